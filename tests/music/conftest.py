"""The chorales are read from music21 once for all tests, and the original's file likewise."""

import pytest

from cvae.music.corpora import load_corpus
from cvae.music.jsb import read_chorales, read_split
from cvae.paths import cache_folder


@pytest.fixture(scope="session")
def chorales():
    """All chorales of the corpus, in the order of the split; takes about a minute."""
    bwvs = [bwv for names in read_split().values() for bwv in names]
    return list(read_chorales(bwvs, progress=False))


@pytest.fixture(scope="session")
def original():
    """The corpus of the original's file, with major and minor keys."""
    path = cache_folder() / "seed" / "JSB Chorales_all.pickle"
    if not path.is_file():
        pytest.skip("needs `cvae corpus fetch jsb-original`")
    return load_corpus("jsb-original", "major-minor")
