import os
import pickle

import numpy as np
import pytest
from fuzz import Attack

from cvae.music import pickles
from cvae.music.pickles import load_plain_pickle


def write(folder, data, protocol=2):
    path = folder / "some.pickle"
    path.write_bytes(pickle.dumps(data, protocol))
    return path


@pytest.mark.parametrize("protocol", range(6))
def test_plain_data(tmp_path, protocol):
    data = {
        "notes": [[60, 64], (67,), []],
        "numbers": [
            np.int64(-60),
            np.uint8(200),
            np.float32(0.5),
            np.bool_(True),
            np.dtype(">i4").type(7),
        ],
        "text": "é",
        "other": (None, True, 1.5),
    }
    loaded = load_plain_pickle(write(tmp_path, data, protocol))
    assert loaded == data
    assert not any(isinstance(number, np.generic) for number in loaded["numbers"])


def test_byte_order_of_numpy_scalars(tmp_path):
    # As NumPy on a big-endian machine would write 258.
    text = b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'i4'\nI0\nI1\ntR"
    text += b"(I3\nS'>'\nNNNI-1\nI-1\nI0\ntbS'\\x00\\x00\\x01\\x02'\ntR."
    path = tmp_path / "big-endian.pickle"
    path.write_bytes(text)
    assert load_plain_pickle(path) == 258


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_code_is_refused_and_does_not_run(tmp_path, protocol):
    target = tmp_path / "made"
    for attack in (
        Attack(os.mkdir, str(target)),
        Attack(eval, f"__import__('os').mkdir({str(target)!r})"),
    ):
        path = write(tmp_path, {"train": [attack]}, protocol)
        with pytest.raises(ValueError, match="some.pickle: not a pickle of plain data: asks for"):
            load_plain_pickle(path)
    assert not target.exists()
    pickle.loads(path.read_bytes())
    assert target.exists()  # the attack works on the ordinary reader


@pytest.mark.parametrize(
    "data", [np.zeros(3), np.array(["a"])[0], Attack(np.dtype, "O"), {1}.union]
)
def test_other_things_are_refused(tmp_path, data):
    with pytest.raises(ValueError, match="some.pickle: not a pickle of plain data") as caught:
        load_plain_pickle(write(tmp_path, data))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x02]q\x00", b"I1\nI2\ntR."])
def test_foreign_or_cut_files(tmp_path, content):
    path = tmp_path / "foreign.pickle"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="foreign.pickle: not a pickle of plain data"):
        load_plain_pickle(path)


def test_missing_file_folder_and_size(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="absent.pickle: No such file"):
        load_plain_pickle(tmp_path / "absent.pickle")
    with pytest.raises(ValueError, match="Is a directory"):
        load_plain_pickle(tmp_path)
    path = write(tmp_path, list(range(100)))
    monkeypatch.setattr(pickles, "MAX_BYTES", 10)
    with pytest.raises(ValueError, match="more than the limit of 10"):
        load_plain_pickle(path)


def test_depth_and_number_of_items(tmp_path):
    loop = []
    loop.append(loop)
    wide = [0] * 1000
    for _ in range(3):
        wide = [wide] * 1000  # 10^12 items in a small file
    deep = tmp_path / "deep.pickle"
    deep.write_bytes(b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".")
    with pytest.raises(ValueError, match="lists more than 8 deep"):
        load_plain_pickle(deep)
    with pytest.raises(ValueError, match="lists more than 8 deep"):
        load_plain_pickle(write(tmp_path, loop))
    with pytest.raises(ValueError, match="more than 10000000 items"):
        load_plain_pickle(write(tmp_path, wide))


def test_a_number_in_the_file_does_not_take_the_memory(tmp_path):
    path = tmp_path / "memo.pickle"
    path.write_bytes(b"\x80\x02]r\xff\xff\xff\xff.")
    assert load_plain_pickle(path) == []


@pytest.mark.parametrize("protocol", range(5))
def test_keys_that_take_for_ever_to_be_hashed(tmp_path, protocol):
    pair = ()
    for _ in range(60):
        pair = (pair, pair)
    names = b"".join([b"(", b")" if protocol else b"(t", *[b"2\x86" * 60], b"I1\n"])
    path = tmp_path / "pairs.pickle"
    path.write_bytes(b"\x80\x02" + names + b"d.")
    with pytest.raises(ValueError, match="keys are not names or numbers"):
        load_plain_pickle(path)
    path.write_bytes(b"\x80\x02}" + names[1:] + b"s.")
    with pytest.raises(ValueError, match="keys are not names or numbers"):
        load_plain_pickle(path)


@pytest.mark.parametrize("data", [{1, 2}, frozenset("ab"), slice(1), complex(1, 2)])
def test_sets_and_objects_are_refused(tmp_path, data):
    for protocol in (0, 2, 4):
        with pytest.raises(ValueError, match="not a pickle of plain data"):
            load_plain_pickle(write(tmp_path, [data], protocol))


def test_the_reader_itself_is_not_changed(tmp_path):
    path = tmp_path / "build.pickle"
    path.write_bytes(b"c_codecs\nencode\n}Vfoo\nI1\nsb.")
    with pytest.raises(ValueError, match="sets the state"):
        load_plain_pickle(path)
