"""What a file of music says: which notes sound when, by the score's own time.

Times are in quarter notes from the beginning, whatever the tempo: a bar stays a bar in a
performance that slows down.
"""

from collections import Counter
from itertools import pairwise
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from cvae.music.keys import parse_key, profile_key
from cvae.music.pianoroll import HIGHEST, LOWEST, PITCHES

__all__ = ["MAX_BYTES", "MAX_STEPS", "Score", "check_step", "longest_signature"]

TOLERANCE = 1 / 16
"""In steps: a note that reaches less than this into a step is not taken to sound in it."""

MAX_BYTES = 4 * 2**20
"""Largest file that is read (unpacked): as MIDI in some ten seconds, as MusicXML in a minute."""

MAX_STEPS = 100_000
"""Longest roll that is made of a file: 14 hours of eighth notes at 60 a minute would be longer."""


class Score(NamedTuple):
    """N notes.

    Attributes
    ----------
    pitch : ndarray of int, shape (N,)
        MIDI numbers, 0 to 127.
    start, end : ndarray of float, shape (N,)
        In quarter notes.
    length : float
        Of the piece, in quarter notes: that of its last note, or more.
    signature : str or None
        The major key of the key signature that holds longest; None where there is none.
    bar : float
        Quarter notes in a bar of the time signature that holds longest; 4 where there is none.
    """

    pitch: np.ndarray
    start: np.ndarray
    end: np.ndarray
    length: float
    signature: str | None
    bar: float = 4.0

    def roll(self, step: float = 1.0) -> np.ndarray:
        """Roll of what sounds in each step.

        A step holds every pitch that sounds in it for more than 1/16 of the step, and every note
        sounds in at least one step, however short it is: a shorter one just before a step sounds in
        that.

        Parameters
        ----------
        step : float
            In quarter notes: 1 for a quarter note, 0.5 for an eighth.

        Returns
        -------
        ndarray of bool, shape (T, 88)

        Raises
        ------
        ValueError
            For a step out of range, notes outside 21 to 108 or out of time, no notes and no length,
            or more than `MAX_STEPS` steps.
        """
        check_step(step)
        if not self.pitch.size and not self.length:
            raise ValueError("no notes (drums are not read)")
        if not np.all((self.start >= 0) & (self.end >= self.start)):
            raise ValueError("notes that begin before the beginning, or end before they begin")
        outside = self.pitch[(self.pitch < LOWEST) | (self.pitch > HIGHEST)]
        if outside.size:
            raise ValueError(
                f"{outside.size} of {self.pitch.size} notes outside {LOWEST} to {HIGHEST}, "
                f"the first is {outside[0]}"
            )
        if self.length / step > MAX_STEPS:
            raise ValueError(
                f"{self.length / step:.0f} steps are more than the limit of {MAX_STEPS}"
            )
        first = np.floor(self.start / step + TOLERANCE).astype(int)
        end = np.maximum(first + 1, np.ceil(self.end / step - TOLERANCE).astype(int))
        steps = max(round(self.length / step), end.max(initial=0))
        changes = np.zeros((steps + 1, PITCHES), dtype=np.int32)
        np.add.at(changes, (first, self.pitch - LOWEST), 1)
        np.add.at(changes, (end, self.pitch - LOWEST), -1)
        return changes[:-1].cumsum(axis=0) > 0

    def analysis(self) -> str:
        """Key by music21's analysis of the whole piece (Krumhansl's method, Aarden-Essen profile).

        Returns
        -------
        str
            One of the 24 keys.

        Raises
        ------
        ValueError
            Without notes.
        """
        if not self.pitch.size:
            raise ValueError("no notes whose key could be found")
        from music21 import note, stream

        # The analysis sees only how long each pitch class sounds: twelve notes say the same.
        durations = self._durations()
        if not durations.any():  # of notes without length
            durations = np.bincount(self.pitch % 12, minlength=12)
        summary = stream.Stream()
        for pitch_class, duration in enumerate(durations):
            if duration:
                summary.append(note.Note(60 + pitch_class, quarterLength=float(duration)))
        return parse_key(summary.analyze("key").tonicPitchNameWithCase).name

    def signature_key(self) -> str | None:
        """Key of the signature: of the two keys that share it the better by profile.

        Returns
        -------
        str or None
            One of the 24 keys; None without a signature.
        """
        if self.signature is None:
            return None
        major = parse_key(self.signature)
        minor = major.transpose(9)._replace(mode="minor")
        return profile_key(self._durations(), "aarden-essen", (major.name, minor.name))

    def _durations(self) -> np.ndarray:
        """How long each pitch class sounds, in quarter notes: (12,)."""
        return np.bincount(self.pitch % 12, self.end - self.start, minlength=12)


def check_step(step: float) -> None:
    """Raise ValueError unless a step is from 1/16 to 4 quarter notes."""
    if not isinstance(step, Real) or not 1 / 16 <= step <= 4:
        raise ValueError(f"step: got {step!r}, must be from 0.0625 to 4 quarter notes")


def longest_signature(signatures: list[tuple[float, Any]], end: float) -> Any:
    """The signature, of (time, signature), that holds longest; of two at once, the second."""
    spans = Counter()
    for (time, key), (until, _) in pairwise([*signatures, (end, None)]):
        spans[key] += until - time
    return max(spans, key=spans.get, default=None)
