"""Piano rolls to MIDI files and back.

A roll does not say whether a pitch that sounds in two steps running is held or struck again, so
that is chosen when it is written; either way it reads back to the same roll. Reading takes the
beats that the file gives. Nothing is left out in silence, but for what a roll has no place for:
how loud a note is, the instrument, the tempo and drums (channel 10).
"""

import heapq
from collections import defaultdict, deque
from collections.abc import Iterator
from itertools import accumulate
from operator import itemgetter
from pathlib import Path

import mido
import numpy as np
import pretty_midi

from cvae.music.keys import parse_key
from cvae.music.pianoroll import LOWEST, PITCHES, check_roll
from cvae.music.score import MAX_BYTES, Score, check_step, longest_signature
from cvae.paths import check_file, reason

__all__ = ["read_midi", "read_midi_score", "roll_to_midi", "write_midi"]

VELOCITY = 80
"""How hard each note is struck: mezzo-forte."""

SLOWEST, FASTEST = 4, 1000
"""Quarter notes per minute; MIDI's 24 bits for a tempo end at 3.6."""

END_OF_ROLL = "end of roll"
"""Text event that marks where a roll ends in silence; MIDI programs pass over it."""

MAX_TICKS = 2**31
"""Longest file, in ticks; what is longer is a spoilt file."""

DRUMS = 9
SUSTAIN = 64


def roll_to_midi(
    roll: np.ndarray,
    bpm: float = 90,
    program: int = 0,
    restrike: bool = False,
    step: float = 1.0,
) -> pretty_midi.PrettyMIDI:
    """Turn a roll into notes of one instrument.

    Parameters
    ----------
    roll : array, shape (T, 88)
    bpm : float
        Tempo in quarter notes per minute, 4 to 1000.
    program : int
        General MIDI instrument, 0 to 127: 0 piano, 19 church organ, 48 strings, 52 choir.
    restrike : bool
        Whether a pitch that sounds in steps running is struck anew in each, or once and held.
    step : float
        Of the roll, in quarter notes: 1 for a quarter note, 0.5 for an eighth.

    Returns
    -------
    pretty_midi.PrettyMIDI
        Where the roll ends in silence, a text event (`END_OF_ROLL`) marks its end, for the silence
        would otherwise be lost.

    Raises
    ------
    ValueError
        For a roll of another shape, or a tempo, instrument or step out of range.
    """
    roll = check_roll(roll)
    if not SLOWEST <= bpm <= FASTEST:
        raise ValueError(f"bpm: {bpm} is outside {SLOWEST} to {FASTEST}")
    if program not in range(128):
        raise ValueError(f"program: {program} is not a General MIDI instrument, 0 to 127")
    check_step(step)
    midi = pretty_midi.PrettyMIDI(initial_tempo=bpm)
    instrument = pretty_midi.Instrument(int(program))
    seconds = 60 / bpm * step
    for pitch, start, end in held_notes(roll):
        strikes = range(start, end) if restrike else (start,)
        for strike in strikes:
            until = strike + 1 if restrike else end
            instrument.notes.append(
                pretty_midi.Note(VELOCITY, pitch, strike * seconds, until * seconds)
            )
    midi.instruments.append(instrument)
    if not roll[-1:].any():
        midi.text_events.append(pretty_midi.Text(END_OF_ROLL, len(roll) * seconds))
    return midi


def write_midi(
    roll: np.ndarray,
    path: str | Path,
    bpm: float = 90,
    program: int = 0,
    restrike: bool = False,
    step: float = 1.0,
) -> None:
    """Write a roll as a MIDI file; the arguments are those of `roll_to_midi`."""
    roll_to_midi(roll, bpm, program, restrike, step).write(str(path))


def read_midi(path: str | Path, step: float = 1.0, pedal: bool = False) -> np.ndarray:
    """Roll of a MIDI file; undoes `write_midi` exactly.

    Parameters
    ----------
    path : path
        A MIDI file of type 0 or 1.
    step : float
        Of the roll, in quarter notes: 1 for a quarter note, 0.5 for an eighth.
    pedal : bool
        Whether notes sound on while the sustain pedal is down.

    Returns
    -------
    ndarray of bool, shape (T, 88)
        See `Score.roll`. It ends with the last note, or at the mark that `roll_to_midi` sets.

    Raises
    ------
    ValueError
        One line that names the file: if it is missing, empty, larger than `MAX_BYTES`, cut short or
        no MIDI file; if it has no notes but drums, notes outside 21 to 108 or without an end, or
        makes too many steps.
    """
    score = read_midi_score(path, pedal)
    try:
        return score.roll(step)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def read_midi_score(path: str | Path, pedal: bool = False) -> Score:
    """Notes and signatures of a MIDI file, by its ticks: the tempo does not matter.

    Parameters
    ----------
    path, pedal
        As in `read_midi`.

    Returns
    -------
    Score
        A note that ends in the tick in which it begins has no length.

    Raises
    ------
    ValueError
        As in `read_midi`, but for notes and steps out of range.
    """
    path = Path(path)
    file = _load(path)
    sounding = defaultdict(deque)
    notes, signatures, meters, pedals = [], [], [], defaultdict(list)
    tick = end_of_roll = 0
    for tick, event in heapq.merge(*map(_timed, file.tracks), key=itemgetter(0)):
        if event.type == "key_signature":
            signatures.append((tick, parse_key(event.key).relative_major.name))
        elif event.type == "time_signature":
            meters.append((tick, 4 * event.numerator / event.denominator))
        elif event.type == "text" and event.text == END_OF_ROLL:
            end_of_roll = tick
        elif event.type == "control_change" and event.control == SUSTAIN:
            pedals[event.channel].append((tick, event.value >= 64))
        elif event.type == "note_on" and event.velocity and event.channel != DRUMS:
            sounding[event.channel, event.note].append(tick)
        elif event.type in ("note_on", "note_off") and sounding[event.channel, event.note]:
            start = sounding[event.channel, event.note].popleft()
            notes.append((event.note, start, tick, event.channel))
    lost = sum(map(len, sounding.values()))
    if lost:
        raise ValueError(f"{path}: {lost} of {lost + len(notes)} notes have no end")
    if tick > MAX_TICKS:
        raise ValueError(f"{path}: {tick} ticks are more than the limit of {MAX_TICKS}")
    pitch, start, end, channel = np.array(notes, int).reshape(-1, 4).T
    if pedal:
        for number, events in pedals.items():
            mine = channel == number
            end[mine] = _released(end[mine], events, tick)
    length = max(end_of_roll, end.max(initial=0))
    beat = file.ticks_per_beat
    signature, bar = longest_signature(signatures, tick), longest_signature(meters, tick)
    return Score(pitch, start / beat, end / beat, length / beat, signature, bar or 4.0)


def _timed(track: mido.MidiTrack) -> Iterator[tuple[int, mido.Message]]:
    """Events of a track, each with its tick from the beginning."""
    return zip(accumulate(event.time for event in track), track, strict=True)


def _released(end: np.ndarray, pedals: list[tuple[int, bool]], last_tick: int) -> np.ndarray:
    """Ticks at which notes fall silent that end at the ticks `end`, by the movements of a pedal."""
    ticks, down = map(np.array, zip(*pedals, strict=True))
    last = np.searchsorted(ticks, end, side="right") - 1
    is_held = (last >= 0) & down[last]
    ups = np.append(ticks[~down], last_tick)
    release = ups[np.minimum(np.searchsorted(ups, end, side="right"), len(ups) - 1)]
    return np.where(is_held, np.maximum(release, end), end)


def held_notes(roll: np.ndarray) -> list[tuple[int, int, int]]:
    """List the notes of a roll, steps running of a pitch as one: (MIDI number, start, end).

    Start and end are in steps; the end is the first step in which the note no longer sounds.
    Ordered by start, then pitch.
    """
    silence = np.zeros((1, PITCHES), dtype=np.int8)
    edges = np.diff(check_roll(roll).astype(np.int8), axis=0, prepend=silence, append=silence)
    pitches, starts = np.nonzero(edges.T == 1)  # pitch by pitch, so the two lists of edges match
    _, ends = np.nonzero(edges.T == -1)
    order = np.lexsort((pitches, starts))
    return [(int(pitches[i]) + LOWEST, int(starts[i]), int(ends[i])) for i in order]


def _load(path: Path) -> mido.MidiFile:
    """Load a MIDI file, or say in one line, as a ValueError, what is wrong with it."""
    check_file(path, MAX_BYTES)
    try:
        file = mido.MidiFile(path)
        if file.type == 2 or file.ticks_per_beat <= 0:
            raise ValueError("type 2, or timed in frames of film, which have no beats")
        return file
    except Exception as error:  # mido raises a dozen kinds on a broken file
        why = "it ends too soon" if isinstance(error, EOFError) else reason(error)
        raise ValueError(f"{path}: not a MIDI file that can be read ({why})") from None
