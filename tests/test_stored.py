"""JSON and .npz that are read back: what is strict, and what may not run, grow or be guessed."""

import io
import json
import os
import re
import struct
import zipfile

import numpy as np
import pytest
from fuzz import Attack

from cvae import stored
from cvae.stored import MAX_ARRAY_BYTES, MAX_JSON_BYTES, opened_json, read_arrays, read_json

DEEP = b"[" * 200_000
BAD_JSON = {
    "nothing": b"",
    "cut short": b'{"a": [1, 2',
    "more after the end": b"{} {}",
    "a name twice": b'{"a": {"b": 1, "c": 2, "b": 3}}',
    "not a number": b'{"a": NaN}',
    "infinite": b'{"a": -Infinity}',
    "infinite by its exponent": b'{"a": 1e999}',
    "beyond 64 bits": b'{"a": 9223372036854775808}',
    "5000 digits": b'{"a": ' + b"9" * 5000 + b"}",
    "too deep": DEEP,
    "too deep, closed": b'{"a":' + DEEP + b"]" * len(DEEP) + b"}",
    "another encoding": '{"a": "é"}'.encode("latin-1"),
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "binary": bytes(range(256)),
}


@pytest.mark.parametrize("content", BAD_JSON.values(), ids=BAD_JSON)
def test_bad_json_is_refused_in_one_line(content, tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"\A{re.escape(str(path))}: [^\n]+\Z") as caught:
        read_json(path)
    assert len(str(caught.value)) < len(str(path)) + 300


def test_good_json(tmp_path):
    content = {"a": [1, -(2**63), 0.5, None, True], "é": {"a": {}}}
    (tmp_path / "a.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    assert read_json(tmp_path / "a.json") == content


def test_places_where_no_file_is(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe")  # which would never end
    for name in ("absent", "folder", "loop", "pipe", "n" * 300):
        for read in (read_json, read_arrays):
            with pytest.raises(ValueError, match=rf"{name}: [^\n]+\Z"):
                read(tmp_path / name)


@pytest.mark.parametrize(
    ("read", "most"), [(read_json, MAX_JSON_BYTES), (read_arrays, MAX_ARRAY_BYTES)]
)
def test_a_file_too_large_is_not_opened(read, most, tmp_path):
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(most + 1)
    with pytest.raises(ValueError, match=f"its {most + 1} bytes are more than the limit of {most}"):
        read(path)


def test_what_a_block_misses_is_the_fault_of_the_file(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"a": [1]}')
    for take in (lambda a: a["b"], lambda a: a["a"][1], lambda a: a["a"]["b"], lambda a: a.rows):
        with pytest.raises(ValueError, match=r"a\.json: not laid out as it should be \([^\n]+\)\Z"):
            with opened_json(path) as content:
                take(content)


def zipped(**members):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return data.getvalue()


def npy(array, **options):
    data = io.BytesIO()
    np.save(data, array, **options)
    return data.getvalue()


def claiming(shape):
    """An array's header, with less after it than it says."""
    data = io.BytesIO()
    about = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(data, about)
    return data.getvalue() + bytes(100)


def test_a_pickle_within_is_refused_and_does_not_run(tmp_path):
    made, path = tmp_path / "made", tmp_path / "a.npz"
    np.savez(path, a=np.array([Attack(os.mkdir, str(made))], object))
    with pytest.raises(ValueError, match=r"a\.npz: not a file of arrays [^\n]*allow_pickle"):
        read_arrays(path)
    assert not made.exists()
    np.load(path, allow_pickle=True)["a"]
    assert made.exists()  # the attack works where pickles are let in


BAD_ARRAYS = {
    "no arrays": zipped(**{"a.txt": b"text"}),
    "a name that climbs": zipped(**{"../a b.npy": npy(np.zeros(3))}),
    "a name of two lines": zipped(**{"a\nb.npy": npy(np.zeros(3))}),
    "more than it says": zipped(**{"a.npy": npy(np.zeros(3)) + b"more"}),
    "less than it says": zipped(**{"a.npy": claiming((1000,))}),
    "4 TB": zipped(**{"a.npy": claiming((10**12,))}),
    "a size below 0": zipped(**{"a.npy": claiming((-3,))}),
    "a size beyond 64 bits": zipped(**{"a.npy": claiming((2**40, 2**40))}),
    "npy": npy(np.zeros(3)),
}


@pytest.mark.parametrize("content", BAD_ARRAYS.values(), ids=BAD_ARRAYS)
def test_bad_arrays_are_refused_in_one_line(content, tmp_path):
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"\A{re.escape(str(path))}: not a file [^\n]+\Z"):
        read_arrays(path)


def test_a_name_given_twice(tmp_path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", npy(np.zeros(3)))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.npy", npy(np.ones(3)))
    with pytest.raises(ValueError, match="given twice"):
        read_arrays(path)


def test_what_would_grow_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, a=np.zeros(10**6), b=np.zeros(10**6))
    assert path.stat().st_size < 10**5
    monkeypatch.setattr(stored, "MAX_ARRAY_BYTES", 10**7)
    monkeypatch.setattr(np.lib.format, "read_array", None)
    with pytest.raises(
        ValueError, match="unpacked its 160002.. bytes exceed the limit of 10000000"
    ):
        read_arrays(path)


def test_a_member_that_hides_its_size(tmp_path):
    """The directory says 128 bytes; the array's header says 8 MB, which are there."""
    path = tmp_path / "a.npz"
    np.savez_compressed(path, a=np.zeros(10**6))
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 128)
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"a\.npz: not a file of arrays"):
        read_arrays(path)
