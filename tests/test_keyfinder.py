"""The key of a file, with a small model that has learnt three keys."""

import numpy as np
import pretty_midi
import pytest

from cvae.keyfinder import SHARPNESS, STAY, WINDOW, WINDOW_SHARPNESS, find_key
from cvae.music.midi import roll_to_midi, write_midi
from cvae.reproduce import results
from cvae.runs import WEIGHTS, Run, save_arrays, weights_of


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
    assert 0 <= found.w_interval[0] < found.w < found.w_interval[1] <= 1
    assert found.probability == pytest.approx(found.w)  # of another model than the default as it is
    total = found.probability + sum(probability for _, probability in found.runners_up)
    assert total == pytest.approx(1, abs=1e-3)  # of three keys
    steps = 4 * len(first.roll) + 2 * len(second.roll)
    assert len(found.bars) == -(-steps // 4)
    assert found.bars[0][0] == first.key and found.bars[-1][0] == second.key
    assert all(0 < probability <= 1 for _, probability in found.bars)


def test_silence_tells_of_no_key(run_folder, tiny_corpus, tmp_path):
    roll, rest = tiny_corpus.test[0].roll, np.zeros((20, 88), bool)
    write_midi(roll, tmp_path / "plain.mid")
    write_midi(np.concatenate([rest, roll, rest]), tmp_path / "rests.mid")
    plain, rests = (find_key(tmp_path / f"{name}.mid", run_folder) for name in ("plain", "rests"))
    assert (rests.key, rests.probability) == (plain.key, plain.probability)
    assert len(rests.bars) == 10 + len(plain.bars)
    assert rests.bars[0][1] < plain.bars[0][1]


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


def test_a_model_whose_classes_are_no_keys(tmp_path, composers):
    run = Run.plan(tmp_path / "run", "cl-vae", composers).start()
    save_arrays(run.folder / WEIGHTS, weights_of(run.model.variables))
    write_midi(np.ones((4, 88), bool), tmp_path / "a.mid")
    with pytest.raises(ValueError, match=r"\Amodel: got [^\n]+, which knows no keys\Z"):
        find_key(tmp_path / "a.mid", run.folder)


@pytest.mark.parametrize("steps", [1, 2, 5, 40])
def test_one_chord_is_in_one_key_however_long_it_is_held(run_folder, tiny_corpus, tmp_path, steps):
    write_midi(np.tile(tiny_corpus.test[0].roll[:1], (steps, 1)), tmp_path / "chord.mid")
    found = find_key(tmp_path / "chord.mid", run_folder)
    assert {key for key, _ in found.bars} == {found.key}
    assert found.bars[0][1] > 0.9 * found.probability


@pytest.mark.parametrize(("beats", "unit", "bars"), [(3, 4, 4), (6, 8, 4), (2, 4, 6), (3, 16, 16)])
def test_each_bar_has_a_line(run_folder, tiny_corpus, tmp_path, beats, unit, bars):
    midi = roll_to_midi(np.tile(tiny_corpus.test[0].roll[:4], (3, 1)))
    midi.time_signature_changes.append(pretty_midi.TimeSignature(beats, unit, 0))
    midi.write(str(tmp_path / "bars.mid"))
    assert len(find_key(tmp_path / "bars.mid", run_folder).bars) == bars


def test_settings_are_those_of_the_stored_results():
    rows = results("key-inference")
    hmm = next(r for r in rows if r["part"] == "local keys" and r["method"] == "classifier + HMM")
    assert (WINDOW, STAY, WINDOW_SHARPNESS) == tuple(hmm["setting"])
    fitted = next(row for row in rows if row["part"] == "calibration")
    assert SHARPNESS == pytest.approx(fitted["sharpness"], abs=0.05)
