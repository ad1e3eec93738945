"""1,000 spoilt files in each test run; ``python tests/fuzz.py 100000 7`` tries more."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz import KINDS, SECONDS, fuzz

from cvae.music import musicxml


def test_spoilt_files_are_read_or_refused_in_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(musicxml, "MAX_SECONDS", SECONDS / 4)
    counts = fuzz(1000, 0, tmp_path)
    with capsys.disabled():
        print(f"\n{counts}")
    assert counts["cases"] == 1000
    for kind in KINDS:
        assert counts[f"{kind} refused"] > 5
        assert counts[f"{kind} read"] > 2
