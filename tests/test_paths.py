from pathlib import Path

from cvae.paths import cache_folder, data_folder


def test_data_folder_holds_the_corpora():
    assert (data_folder() / "corpora" / "jsb.json").is_file()


def test_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("CVAE_DATA_DIR", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("CVAE_DATA_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert cache_folder() == tmp_path / "cache" / "cvae"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "cvae"
