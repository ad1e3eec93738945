"""The original's file, read once for all tests."""

import pytest

from cvae.music.corpora import load_corpus
from cvae.paths import cache_folder


@pytest.fixture(scope="session")
def original():
    """The corpus of the original's file, with major and minor keys."""
    path = cache_folder() / "seed" / "JSB Chorales_all.pickle"
    if not path.is_file():
        pytest.skip("needs `cvae corpus fetch jsb-original`")
    return load_corpus("jsb-original", "major-minor")
