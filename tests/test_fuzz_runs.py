"""400 spoilt files of runs in each test run; ``python tests/fuzz_runs.py 20000 7`` tries more."""

from fuzz_runs import KINDS, fuzz

from cvae import reproduce


def test_spoilt_files_are_read_or_refused_in_one_line(tmp_path, tiny_corpus, capsys, monkeypatch):
    monkeypatch.setattr(reproduce, "data_folder", lambda: tmp_path / "run")
    counts = fuzz(400, 0, tmp_path, tiny_corpus)
    with capsys.disabled():
        print(f"\n{counts}")
    assert counts["cases"] == 400
    for name in KINDS:
        assert counts[f"{name} refused"] > 10
        assert counts[f"{name} read"] > 0
