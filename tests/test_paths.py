from pathlib import Path

import pytest

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


@pytest.mark.parametrize("variable", ["CVAE_DATA_DIR", "XDG_CACHE_HOME"])
def test_a_home_that_is_not_known_is_named(variable, monkeypatch):
    monkeypatch.delenv("CVAE_DATA_DIR", raising=False)
    monkeypatch.setenv(variable, "~nobody-here/x")
    with pytest.raises(ValueError, match=rf"\A{variable}: got '~nobody-here/x', [^\n]+\Z"):
        cache_folder()
