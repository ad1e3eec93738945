"""Downloads against a server on this machine, and against none at all."""

import gc
import hashlib
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pooch
import pytest

from cvae.music import downloads
from cvae.music.corpora import FILES
from cvae.music.downloads import SOURCES, download

# requests leaves the connection of a failed answer to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

CONTENT = {"one file.mid": b"one", "two.mid": b"two"}


class Handler(BaseHTTPRequestHandler):
    """Serves CONTENT; `failures` requests fail first."""

    failures = 0
    asked = []

    def do_GET(self):
        type(self).asked.append(self.path)
        name = self.path.removeprefix("/at/").replace("%20", " ")
        if type(self).failures > 0 or name not in CONTENT:
            type(self).failures -= 1
            self.send_error(503)
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(CONTENT[name])

    def log_message(self, *args):
        pass


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder for downloads, and a list of two files."""
    data = tmp_path / "data"
    (data / "corpora").mkdir(parents=True)
    lines = [f'"box/{n}" {hashlib.sha256(c).hexdigest()}' for n, c in CONTENT.items()]
    (data / "corpora" / "downloads.txt").write_text("\n".join(lines))
    monkeypatch.setattr(downloads, "data_folder", lambda: data)
    monkeypatch.setattr(downloads, "SOURCES", {"box": "http://127.0.0.1:9/at"})
    monkeypatch.setenv("CVAE_DATA_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    return tmp_path / "cache"


@pytest.fixture
def server(place, monkeypatch):
    class Fresh(Handler):
        failures, asked = 0, []

    with ThreadingHTTPServer(("127.0.0.1", 0), Fresh) as running:
        threading.Thread(target=partial(running.serve_forever, 0.01), daemon=True).start()
        address = f"http://127.0.0.1:{running.server_address[1]}/at"
        monkeypatch.setattr(downloads, "SOURCES", {"box": address})
        yield Fresh
        running.shutdown()
    gc.collect()


def test_what_is_missing_is_downloaded_once(place, server):
    paths = download("box", "boxed")
    assert [path.read_bytes() for path in paths] == list(CONTENT.values())
    assert sorted(place.rglob("*.*")) == sorted(paths)  # and nothing else is left
    assert download("box/two.mid", "boxed") == [paths[1]]
    assert sorted(server.asked) == ["/at/one%20file.mid", "/at/two.mid"]


def test_what_is_there_needs_no_connection(place):
    (place / "box").mkdir(parents=True)
    for name, content in CONTENT.items():
        (place / "box" / name).write_bytes(content)
    assert len(download("box", "boxed")) == 2


def test_a_failed_request_is_tried_again(place, server):
    server.failures = 2
    assert download("box/two.mid", "boxed")[0].read_bytes() == b"two"
    assert len(server.asked) == 3


def test_a_server_that_only_fails_is_one_line(place, server):
    server.failures = 100
    with pytest.raises(ValueError, match="^boxed: .*two.mid is not there and cannot be") as caught:
        download("box/two.mid", "boxed")
    assert "\n" not in str(caught.value) and "cvae corpus fetch boxed" in str(caught.value)
    assert len(server.asked) == 4


def test_without_a_connection_it_is_one_line_that_says_what_to_do(place):
    with pytest.raises(ValueError, match="set CVAE_DATA_DIR .* or run `cvae corpus fetch boxed`"):
        download("box", "boxed")
    assert not [path for path in place.rglob("*") if path.is_file()]


def test_another_file_than_the_published_one_is_refused(place, server, monkeypatch):
    monkeypatch.setitem(CONTENT, "two.mid", b"too")
    with pytest.raises(ValueError, match="what came is not the published file"):
        download("box/two.mid", "boxed")
    assert not list(place.rglob("*.*"))


def test_an_altered_file_is_refused_and_kept(place, server):
    (place / "box").mkdir(parents=True)
    (place / "box" / "two.mid").write_bytes(b"mine")
    with pytest.raises(ValueError, match="two.mid: not the published file, its SHA-256 differs"):
        download("box/two.mid", "boxed")
    assert (place / "box" / "two.mid").read_bytes() == b"mine"
    assert not server.asked


def test_every_file_of_the_list_has_a_source():
    store = pooch.create(".", "")
    store.load_registry(downloads.data_folder() / "corpora" / "downloads.txt")
    assert {name.split("/")[0] for name in store.registry} == SOURCES.keys()
    assert set(FILES.values()) <= {*store.registry, *SOURCES}
    assert all(len(sha256) == 64 for sha256 in store.registry.values())
    url = downloads._url("seed/JSB Chorales_all.pickle")
    assert url.startswith("https://") and url.endswith("/data/input/JSB%20Chorales_all.pickle")
