"""Chapters on music that is not here are left out of the tests, and say what would bring it."""

import pytest

from cvae.paths import cache_folder

PIANO_MIDI = ("piano-midi", "piano-midi/metadata.csv")
NEEDS = {"07_piano_music.ipynb": PIANO_MIDI, "capstone.ipynb": PIANO_MIDI}


def pytest_collection_modifyitems(items):
    """Skip the cells of each notebook whose corpus is missing."""
    for item in items:
        corpus, file = NEEDS.get(item.path.name, ("", ""))
        if corpus and not (cache_folder() / file).is_file():
            item.add_marker(pytest.mark.skip(reason=f"needs `cvae corpus fetch {corpus}`"))
