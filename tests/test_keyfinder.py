"""The key of a file, with a small model that has learnt three keys."""

import numpy as np
import pytest

from cvae.keyfinder import find_key
from cvae.music.midi import write_midi


@pytest.fixture
def run_folder(trained):
    return trained.folder


def test_the_key_of_a_file_and_of_its_bars(run_folder, tiny_corpus, tmp_path):
    first, second = tiny_corpus.test[:2]
    path = tmp_path / "piece.mid"
    write_midi(np.concatenate([np.tile(first.roll, (4, 1)), np.tile(second.roll, (2, 1))]), path)
    found = find_key(path, run_folder)
    assert found.key == first.key
    assert found.runners_up[0][0] == second.key
    assert 0 <= found.interval[0] <= found.interval[1] <= 1
    total = found.probability + sum(probability for _, probability in found.runners_up)
    assert total == pytest.approx(1, abs=1e-3)  # of three keys
    steps = 4 * len(first.roll) + 2 * len(second.roll)
    assert len(found.bars) == -(-steps // 4)
    assert found.bars[0][0] == first.key and found.bars[-1][0] == second.key
    assert all(0 < probability <= 1 for _, probability in found.bars)


def test_a_file_without_notes(run_folder, tmp_path):
    write_midi(np.zeros((4, 88), bool), tmp_path / "silence.mid")
    with pytest.raises(ValueError, match=r"silence.mid: no notes [^\n]+\Z"):
        find_key(tmp_path / "silence.mid", run_folder)


def test_a_missing_file_and_a_missing_model(run_folder, tmp_path):
    with pytest.raises(ValueError, match=r"nothing.mid: [^\n]+\Z"):
        find_key(tmp_path / "nothing.mid", run_folder)
    write_midi(np.ones((4, 88), bool), tmp_path / "a.mid")
    with pytest.raises(ValueError, match=r"\Arun: no 'nobody'; [^\n]+\Z"):
        find_key(tmp_path / "a.mid", "nobody")


def test_a_model_without_classes(tmp_path):
    write_midi(np.ones((4, 88), bool), tmp_path / "a.mid")
    with pytest.raises(ValueError, match=r"\Amodel: got 'jsb-vae', which knows no keys\Z"):
        find_key(tmp_path / "a.mid", "jsb-vae")
