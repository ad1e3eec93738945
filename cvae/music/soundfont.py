"""Notes from a SoundFont: the recorded instruments that pretty_midi carries, played by NumPy.

A SoundFont (.sf2) holds short recordings, and for each instrument the *zones* that say which
recording plays which keys and how: the part that loops while a key is held, tuning, envelope,
low-pass filter. This module plays single notes in mono: recording, loop, tuning, volume envelope
and filter. It leaves out vibrato, tremolo, stereo position and reverberation; the filter stands
still where the zone's modulation envelope opens it furthest.

Times are in seconds, pitches are MIDI numbers.

References
----------
E-mu Systems, SoundFont Technical Specification, version 2.04, 2006: sections 6 and 7 (the file),
8.1.3 (generators) and 9 (the synthesis).
"""

import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pretty_midi

from cvae.paths import check_file

__all__ = ["MAX_BYTES", "RELEASE_SECONDS", "SoundFont", "general_midi"]

RELEASE_SECONDS = 1.0
"""How long a note sounds on after its key is released, fading, at the most."""

MAX_BYTES = 2**30
"""Largest SoundFont that is read."""

# The records of the chunks that list presets, instruments and recordings (sections 7.2 to 7.10).
_ZONE = [("generator", "<u2"), ("modulator", "<u2")]
_GENERATOR = [("kind", "<u2"), ("amount", "<i2")]
_RECORDS = {
    "phdr": [("name", "S20"), ("program", "<u2"), ("bank", "<u2"), ("zone", "<u2"), ("_", "S12")],
    "pbag": _ZONE,
    "pgen": _GENERATOR,
    "inst": [("name", "S20"), ("zone", "<u2")],
    "ibag": _ZONE,
    "igen": _GENERATOR,
    "shdr": [("name", "S20"), ("start", "<u4"), ("end", "<u4"), ("loop_start", "<u4")]
    + [("loop_end", "<u4"), ("rate", "<u4"), ("root", "u1"), ("cents", "i1"), ("_", "S4")],
    "smpl": "<i2",
}

# Kinds of generator (section 8.1.2) and the value that holds where a zone does not give one.
_INSTRUMENT, _KEY_RANGE, _VELOCITY_RANGE, _RECORDING, _LOOPS, _ROOT = 41, 43, 44, 53, 54, 58
_CUTOFF, _RESONANCE, _SWEEP, _ATTENUATION, _SEMITONES, _CENTS, _SCALE = 8, 9, 11, 48, 51, 52, 56
_DELAY, _ATTACK, _HOLD, _DECAY, _SUSTAIN, _RELEASE, _KEY_TO_HOLD, _KEY_TO_DECAY = range(33, 41)
_DEFAULTS = {_CUTOFF: 13500, _SCALE: 100, _ROOT: -1} | dict.fromkeys(
    (_DELAY, _ATTACK, _HOLD, _DECAY, _RELEASE), -12000
)
# Where these stand in a zone of a preset they replace nothing: they only select the zone.
_SELECTORS = {_INSTRUMENT, _KEY_RANGE, _VELOCITY_RANGE}


class Recording(NamedTuple):
    """A recorded note: samples (n,) float32 in -1 to 1, and where it loops, in samples."""

    samples: np.ndarray
    loop_start: int
    loop_end: int
    rate: int
    root: int
    cents: int


class SoundFont:
    """A SoundFont file.

    Parameters
    ----------
    path : path
        An .sf2 file.

    Raises
    ------
    ValueError
        If the file is not a SoundFont.
    """

    def __init__(self, path: str | Path) -> None:
        path = Path(path)
        check_file(path, MAX_BYTES)
        chunks = _read_chunks(path.read_bytes())
        if missing := [name for name in _RECORDS if name not in chunks]:
            raise ValueError(f"{path}: not a SoundFont (.sf2), it lacks {', '.join(missing)}")
        try:
            self._tables = {
                name: np.frombuffer(chunks[name], dtype=record) for name, record in _RECORDS.items()
            }
        except ValueError as error:  # half a record at the end
            raise ValueError(f"{path}: not a SoundFont (.sf2): {error}") from None
        if not self._is_whole():
            raise ValueError(f"{path}: a damaged SoundFont, its tables point beyond their ends")
        self._zones: dict[int, list[dict[int, int]]] = {}

    def _is_whole(self) -> bool:
        """Whether each table points into the next, in order, and nowhere else."""
        tables = self._tables
        recordings = tables["shdr"][:-1]  # the last record of each table only marks its end
        whole = np.all(recordings["start"] <= recordings["end"])
        whole &= recordings["end"].max(initial=0) < len(tables["smpl"])
        levels = (("p", "phdr", _INSTRUMENT, "inst"), ("i", "inst", _RECORDING, "shdr"))
        for level, heads, link, below in levels:
            generators = tables[f"{level}gen"]
            links = generators["amount"][generators["kind"] == link]
            whole &= np.all((links >= 0) & (links < len(tables[below]) - 1))
            for indices, most in (
                (tables[heads]["zone"], len(tables[f"{level}bag"]) - 1),
                (tables[f"{level}bag"]["generator"], len(generators)),
            ):
                whole &= np.all(indices[:-1] <= indices[1:]) and indices.max(initial=0) <= most
        return bool(whole)

    def note(
        self, pitch: int, seconds: float, velocity: int, program: int, sample_rate: int
    ) -> np.ndarray:
        """One note, its release included.

        Parameters
        ----------
        pitch : int
            MIDI number, 0 to 127.
        seconds : float
            From the key's going down to its release.
        velocity : int
            1 to 127; the amplitude goes with its square.
        program : int
            General MIDI instrument, 0 to 127.
        sample_rate : int
            In Hz.

        Returns
        -------
        ndarray of float64, shape (n,)
            `seconds` and `RELEASE_SECONDS` long; above 1 where the recordings add up to it.

        Raises
        ------
        ValueError
            If the file has no such instrument.
        """
        time = np.arange(round((seconds + RELEASE_SECONDS) * sample_rate)) / sample_rate
        sound = np.zeros(len(time))
        for zone in self.zones(program):
            if _within(zone, _KEY_RANGE, pitch) and _within(zone, _VELOCITY_RANGE, velocity):
                wave = self._play(zone, pitch, time, sample_rate)
                sound += wave * _envelope(zone, pitch, time, seconds)
        return sound * (velocity / 127) ** 2

    def zones(self, program: int) -> list[dict[int, int]]:
        """List the zones of a General MIDI instrument, each as generators, kind -> amount."""
        if program not in self._zones:
            self._zones[program] = list(self._read_zones(program))
        return self._zones[program]

    def recording(self, zone: dict[int, int]) -> Recording:
        """Return the recording that a zone plays."""
        header = self._tables["shdr"][zone[_RECORDING]]
        start, end, loop_start, loop_end, rate, root, cents = (int(v) for v in header.item()[1:8])
        samples = self._tables["smpl"][start : end + 1] / np.float32(32768)
        return Recording(samples, loop_start - start, loop_end - start, rate, root, cents)

    def _read_zones(self, program: int) -> Iterator[dict[int, int]]:
        """Zones of the preset's instruments, with what the preset adds to each."""
        presets = self._tables["phdr"]
        (found,) = np.nonzero((presets["program"][:-1] == program) & (presets["bank"][:-1] == 0))
        if not found.size:
            raise ValueError(f"program: the SoundFont has no instrument {program}")
        for preset in self._linked_zones("p", presets["zone"], int(found[0]), _INSTRUMENT):
            instruments = self._tables["inst"]["zone"]
            for zone in self._linked_zones("i", instruments, preset[_INSTRUMENT], _RECORDING):
                zone = _DEFAULTS | zone
                for kind in preset.keys() - _SELECTORS:
                    zone[kind] = zone.get(kind, 0) + preset[kind]
                yield zone

    def _linked_zones(
        self, level: str, first_zones: np.ndarray, index: int, link: int
    ) -> Iterator[dict[int, int]]:
        """Zones of one preset ("p") or instrument ("i") that have a link to the level below."""
        bags, generators = self._tables[f"{level}bag"]["generator"], self._tables[f"{level}gen"]
        first, last = int(first_zones[index]), int(first_zones[index + 1])
        shared: dict[int, int] = {}
        for i in range(first, last):
            zone = dict(generators[bags[i] : bags[i + 1]].tolist())
            if link in zone:
                yield shared | zone
            elif i == first:  # a first zone without a link holds what all the others share
                shared = zone

    def _play(
        self, zone: dict[int, int], pitch: int, time: np.ndarray, sample_rate: int
    ) -> np.ndarray:
        """Play the recording at the pitch, looped, filtered; not yet shaped by the envelope."""
        samples, loop_start, loop_end, rate, root, cents = self.recording(zone)
        if zone[_ROOT] >= 0:
            root = zone[_ROOT]
        cents += (pitch - root) * zone[_SCALE] + 100 * zone.get(_SEMITONES, 0) + zone.get(_CENTS, 0)
        position = time * rate * 2 ** (cents / 1200)
        if zone.get(_LOOPS, 0) in (1, 3) and loop_end > loop_start:
            looping = position[np.searchsorted(position, loop_end) :]
            looping -= loop_start
            looping %= loop_end - loop_start
            looping += loop_start
        else:
            position = position[: np.searchsorted(position, len(samples) - 1)]
        before = position.astype(np.int64)
        slope = np.diff(samples)
        wave = np.zeros(len(time))
        wave[: len(position)] = samples[before] + (position - before) * slope[before]
        return _low_pass(wave, zone, sample_rate)


@cache
def general_midi() -> SoundFont:
    """General MIDI SoundFont that pretty_midi carries, TimGM6mb (128 instruments, 6 MB)."""
    return SoundFont(Path(pretty_midi.__file__).with_name("TimGM6mb.sf2"))


def _envelope(zone: dict[int, int], pitch: int, time: np.ndarray, released: float) -> np.ndarray:
    """Amplitude over time: a linear rise, then falls that are linear in decibels."""

    def seconds(kind: int, per_key: int | None = None) -> float:
        timecents = zone[kind] + (zone.get(per_key, 0) * (60 - pitch) if per_key else 0)
        return 2 ** (timecents / 1200)

    held = np.minimum(time, released) - seconds(_DELAY)
    rise = np.clip(held / seconds(_ATTACK), 0, 1)
    decay_start = seconds(_ATTACK) + seconds(_HOLD, _KEY_TO_HOLD)
    # Decay and release are given as the time of a fall by 100 dB.
    fall = 100 * np.maximum(held - decay_start, 0) / seconds(_DECAY, _KEY_TO_DECAY)
    fall = np.minimum(fall, zone.get(_SUSTAIN, 0) / 10)
    fall += 100 * np.maximum(time - released, 0) / seconds(_RELEASE)
    # 0.4: the chips that SoundFonts were made for attenuate by less than the specification says.
    fall += 0.4 * zone.get(_ATTENUATION, 0) / 10
    return rise * 10 ** (-fall / 20)


def _low_pass(wave: np.ndarray, zone: dict[int, int], sample_rate: int) -> np.ndarray:
    """Two-pole resonant low-pass filter, by its frequency response."""
    cents = zone[_CUTOFF] + max(zone.get(_SWEEP, 0), 0)
    if cents >= _DEFAULTS[_CUTOFF]:
        return wave
    cutoff = 8.176 * 2 ** (cents / 1200)  # Hz; 8.176 is MIDI number 0
    resonance = 10 ** ((zone.get(_RESONANCE, 0) / 10 - 3.01) / 20)
    # Room for the response to die out, in a length that the transform is fast for.
    size = -(-(len(wave) + sample_rate // 10) // 4096) * 4096
    ratio = np.fft.rfftfreq(size, 1 / sample_rate) / cutoff
    response = 1 / (1 - ratio**2 + 1j * ratio / resonance)
    return np.fft.irfft(np.fft.rfft(wave, size) * response, size)[: len(wave)]


def _within(zone: dict[int, int], kind: int, value: int) -> bool:
    """Whether a key or velocity is in the zone's range: lowest in the low byte, highest above."""
    if kind not in zone:
        return True
    return zone[kind] & 255 <= value <= (zone[kind] >> 8) & 255


def _read_chunks(data: bytes) -> dict[str, bytes]:
    """Chunks of a RIFF file by name, its lists opened."""
    chunks, at = {}, 0
    while at + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        if name in (b"RIFF", b"LIST"):
            at += 12  # the list's own kind, then its chunks
        else:
            chunks[name.decode("latin1")] = data[at + 8 : at + 8 + size]
            at += 8 + size + size % 2
    return chunks
