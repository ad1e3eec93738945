"""Piano rolls to MIDI and back; one step of a roll is a quarter note.

A roll does not say whether a pitch that sounds in two steps running is held or struck again, so
that is chosen when it is written; either way it reads back to the same roll. Reading takes the
beats that the file gives. Nothing is left out in silence, but for what a roll has no place for:
how loud a note is, the instrument, the sustain pedal, and drums (channel 10).
"""

import math
import warnings
from pathlib import Path

import mido
import numpy as np
import pretty_midi

from cvae.music.pianoroll import HIGHEST, LOWEST, PITCHES, check_roll

__all__ = ["midi_to_roll", "read_midi", "roll_to_midi", "write_midi"]

VELOCITY = 80
"""How hard each note is struck: mezzo-forte."""

SLOWEST, FASTEST = 4, 1000
"""Quarter notes per minute; MIDI's 24 bits for a tempo end at 3.6."""

END_OF_ROLL = "end of roll"
"""Text event that marks where a roll ends in silence; MIDI programs pass over it."""

TOLERANCE = 1 / 16
"""In steps: a note that reaches less than this into a step is not taken to sound in it."""


def roll_to_midi(
    roll: np.ndarray, bpm: float = 90, program: int = 0, restrike: bool = False
) -> pretty_midi.PrettyMIDI:
    """Turn a roll into notes of one instrument.

    Parameters
    ----------
    roll : array, shape (T, 88)
    bpm : float
        Tempo in quarter notes (steps) per minute, 4 to 1000.
    program : int
        General MIDI instrument, 0 to 127: 0 piano, 19 church organ, 48 strings, 52 choir.
    restrike : bool
        Whether a pitch that sounds in steps running is struck anew in each, or once and held.

    Returns
    -------
    pretty_midi.PrettyMIDI
        Where the roll ends in silence, a text event (`END_OF_ROLL`) marks its end, for the silence
        would otherwise be lost.

    Raises
    ------
    ValueError
        For a roll of another shape, or a tempo or instrument out of range.
    """
    roll = check_roll(roll)
    if not SLOWEST <= bpm <= FASTEST:
        raise ValueError(f"bpm: {bpm} is outside {SLOWEST} to {FASTEST}")
    if program not in range(128):
        raise ValueError(f"program: {program} is not a General MIDI instrument, 0 to 127")
    midi = pretty_midi.PrettyMIDI(initial_tempo=bpm)
    instrument = pretty_midi.Instrument(int(program))
    seconds = 60 / bpm
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


def midi_to_roll(midi: pretty_midi.PrettyMIDI, bpm: float | None = None) -> np.ndarray:
    """Roll of what sounds in each quarter note; undoes `roll_to_midi` exactly.

    A step holds every pitch that sounds in it for at least 1/16 of the step, and every note sounds
    in at least one step, however short it is. The roll ends with the last note, or at the mark that
    `roll_to_midi` sets.

    Parameters
    ----------
    midi : pretty_midi.PrettyMIDI
        Drums are left out.
    bpm : float, optional
        Lay a grid of this tempo over the notes' seconds (for a recording that does not follow its
        own beats) instead of taking the beats that `midi` gives.

    Returns
    -------
    ndarray of bool, shape (T, 88)

    Raises
    ------
    ValueError
        For a note outside 21 to 108, music without notes, or a tempo out of range.
    """
    return _to_roll(midi, bpm, "midi")


def write_midi(
    roll: np.ndarray,
    path: str | Path,
    bpm: float = 90,
    program: int = 0,
    restrike: bool = False,
) -> None:
    """Write a roll as a MIDI file; the arguments are those of `roll_to_midi`."""
    roll_to_midi(roll, bpm, program, restrike).write(str(path))


def read_midi(path: str | Path, bpm: float | None = None) -> np.ndarray:
    """Roll of a MIDI file, as by `midi_to_roll`.

    Parameters
    ----------
    path : path
        A MIDI file of type 0 or 1.
    bpm : float, optional
        As in `midi_to_roll`.

    Returns
    -------
    ndarray of bool, shape (T, 88)

    Raises
    ------
    ValueError
        One line that names the file: if it is missing, empty, cut short or no MIDI file; if it has
        no notes but drums, notes outside 21 to 108, or notes without an end or of no length.
    """
    return _to_roll(_load(Path(path)), bpm, str(path))


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


def _to_roll(midi: pretty_midi.PrettyMIDI, bpm: float | None, name: str) -> np.ndarray:
    """Read the roll; errors begin with the name of what is read."""
    if bpm is not None and not SLOWEST <= bpm <= FASTEST:
        raise ValueError(f"bpm: {bpm} is outside {SLOWEST} to {FASTEST}")

    def step(time: float) -> float:
        return midi.time_to_tick(time) / midi.resolution if bpm is None else time * bpm / 60

    notes = [note for part in midi.instruments if not part.is_drum for note in part.notes]
    marks = [text.time for text in midi.text_events if text.text == END_OF_ROLL]
    if not notes and not marks:
        raise ValueError(f"{name}: no notes (drums are not read)")
    outside = [note.pitch for note in notes if not LOWEST <= note.pitch <= HIGHEST]
    if outside:
        raise ValueError(
            f"{name}: {len(outside)} of {len(notes)} notes outside {LOWEST} to {HIGHEST}, "
            f"the first is {outside[0]}"
        )
    spans = []
    for note in notes:
        first = math.floor(step(note.start) + TOLERANCE)
        end = max(first + 1, math.ceil(step(note.end) - TOLERANCE))
        spans.append((note.pitch - LOWEST, first, end))
    ends = [end for _, _, end in spans] + [round(step(mark)) for mark in marks]
    roll = np.zeros((max(ends), PITCHES), dtype=bool)
    for pitch, first, end in spans:
        roll[first:end, pitch] = True
    return roll


def _load(path: Path) -> pretty_midi.PrettyMIDI:
    """Load a MIDI file, or say in one line, as a ValueError, what is wrong with it."""
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise ValueError(f"{path}: the file is empty")
    try:
        file = mido.MidiFile(path)
        struck = sum(
            event.type == "note_on" and event.velocity > 0 and event.channel != 9
            for track in file.tracks
            for event in track
        )
        if file.type == 2 or file.ticks_per_beat <= 0:
            raise ValueError("type 2, or timed in frames of film, which have no beats")
        with warnings.catch_warnings():
            # Of a tempo outside the first track, where the standard has it: not read, beats are.
            warnings.simplefilter("ignore", RuntimeWarning)
            midi = pretty_midi.PrettyMIDI(mido_object=file)
    except Exception as error:  # the two libraries raise a dozen kinds on a broken file
        reason = " ".join(str(error).split()) or "it ends too soon"
        raise ValueError(f"{path}: not a MIDI file that can be read ({reason})") from None
    # pretty_midi passes over notes that nothing ends, and those that end in the tick they begin.
    lost = struck - sum(len(part.notes) for part in midi.instruments if not part.is_drum)
    if lost:
        raise ValueError(f"{path}: {lost} of {struck} notes have no end or no length")
    return midi
