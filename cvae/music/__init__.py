"""Music as arrays: keys, piano rolls, corpora, MIDI and sound. Knows nothing of TensorFlow.

``cvae.music.midi`` and ``cvae.music.audio`` are imported by name, since they bring in more.
"""

from cvae.music.corpora import Corpus, Song, load_corpus
from cvae.music.keys import (
    CIRCLE_OF_FIFTHS,
    MAJOR_MINOR,
    PROFILES,
    RELATIVE_MAJORS,
    Key,
    fifths_apart,
    modulation_probabilities,
    parse_key,
    profile_key,
    profile_scores,
    scale_mask,
)
from cvae.music.pianoroll import (
    HIGHEST,
    LOWEST,
    PITCHES,
    Windows,
    notes_to_roll,
    pitch_class_counts,
    roll_to_notes,
    transpose,
    windows,
)
from cvae.music.statistics import (
    corpus_statistics,
    note_repetition,
    notes_in_common,
    pitch_class_entropy,
    pitch_in_scale_rate,
    pitch_range,
    polyphony,
    scale_consistency,
)

__all__ = [
    "CIRCLE_OF_FIFTHS",
    "HIGHEST",
    "LOWEST",
    "MAJOR_MINOR",
    "PITCHES",
    "PROFILES",
    "RELATIVE_MAJORS",
    "Corpus",
    "Key",
    "Song",
    "Windows",
    "corpus_statistics",
    "fifths_apart",
    "load_corpus",
    "modulation_probabilities",
    "note_repetition",
    "notes_in_common",
    "notes_to_roll",
    "parse_key",
    "pitch_class_counts",
    "pitch_class_entropy",
    "pitch_in_scale_rate",
    "pitch_range",
    "polyphony",
    "profile_key",
    "profile_scores",
    "roll_to_notes",
    "scale_consistency",
    "scale_mask",
    "transpose",
    "windows",
]
