"""The command line: what it does, and what bad input gets."""

import errno
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from cvae.cli import main
from cvae.music.midi import read_midi, write_midi

KEYS = {"C major", "E major", "A- major"}  # of the tiny corpus
SMALL = "--hidden_dim 8 --hidden-class-dim 8 --batch-size 16 --epochs 2 --latent-dim 3".split()


@pytest.fixture(scope="module")
def place(tiny_pickle, tmp_path_factory):
    """A folder with the tiny corpus as the original's pickle, and a trained run."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "tiny.pickle").write_bytes(tiny_pickle)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        # The original's own spellings.
        assert main(["train", "run1", "--train_file", "tiny.pickle", "--use_x_prev", *SMALL]) == 0
    return folder


@pytest.fixture
def cvae(place, monkeypatch, capfd):
    """Run a command in the folder: status, standard output, standard error."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))

    def run(line):
        try:
            status = main([word.replace("~", " ") for word in line.split()])
        except SystemExit as stop:
            status = stop.code
        return status, *capfd.readouterr()

    return run


def test_train_writes_a_run(place):
    settings = json.loads((place / "runs/run1/settings.json").read_text())
    assert settings["model"] == "cl-vae"
    assert settings["options"]["latent_dim"] == 3
    assert settings["options"]["use_x_prev"] is True
    assert settings["training"]["batch_size"] == 16
    assert settings["corpus"] == str(place / "tiny.pickle"), "found from any folder"


def test_sample_writes_midi_and_sound(cvae, place):
    status, out, _ = cvae("sample run1 -n 2 -t 8 --infer-key --seed-steps 4 --sample-dir a")
    assert status == 0
    assert out.split() == ["a/run1_0.mid", "a/run1_1.mid"]
    assert (place / "a/run1_1.mp3").stat().st_size > 1000
    assert read_midi(place / "a/run1_0.mid").shape == (8, 88)


def test_sample_in_a_key_from_a_file(cvae, place):
    seed = np.zeros((4, 88), bool)
    seed[:, [39, 43, 46]] = True
    write_midi(seed, place / "seed.mid")
    line = "sample run1 --key A-~major --seed-file seed.mid --seed-steps 4 --audio none"
    assert cvae(f"{line} --sample-dir b")[0] == 0
    assert cvae(f"{line} --sample-dir c")[0] == 0
    same = (place / "b/run1_0.mid").read_bytes() == (place / "c/run1_0.mid").read_bytes()
    assert same, "the same seed gives the same sample"


def test_the_original_names_the_files_and_the_model_apart(cvae, place):
    line = "sample outfile --model_file runs/run1 --seed-steps 1 --infer_w --use_z_prior -t 4"
    assert cvae(f"{line} --audio none --sample_dir d")[0] == 0
    assert (place / "d/outfile_0.mid").exists()


def test_a_model_of_sequences_is_trained_and_modulates(cvae, place, eagerly):
    line = "train seq --model cl-vae-lstm --prior lstm --corpus tiny.pickle --hidden-dim 8"
    assert cvae(f"{line} --seq-length song --batch-size 4 --epochs 1 --clip-norm 1")[0] == 0
    training = json.loads((place / "runs/seq/settings.json").read_text())["training"]
    assert training["seq_length"] == "song"
    line = "sample seq -c C -t 5 --seed-steps 3 --audio none --key C --then-key E~major"
    assert cvae(f"{line} --temperature .8 --sample_dir g")[0] == 0
    assert read_midi(place / "g/seq_0.mid").shape[1] == 88
    assert cvae("sample seq -t 5 --seed-steps 3 --discrete_w --audio none --sample-dir h")[0] == 0


def test_evaluate_prints_one_json_object(cvae):
    few = "--json --draws 1 --iw-samples 2 --samples 3"
    status, out, err = cvae(f"evaluate run1 {few}")
    result = json.loads(out)
    names = (
        "model corpus split seed bound reconstruction kl_z kl_w window_bound iw_bound iw_samples "
        "iw_bound_se mixture_bound mixture_bound_se key_accuracy key_profiles samples data songs "
        "steps"
    )
    assert list(result) == names.split()
    assert (status, err) == (0, "")
    parts = result["reconstruction"] + result["kl_z"] + result["kl_w"]
    assert result["bound"] == pytest.approx(parts)
    assert (result["songs"], result["split"]) == (3, "test")
    assert cvae(f"evaluate runs/run1 {few}")[1] == out, "by path as by name"


def test_evaluate_in_words(cvae):
    status, out, _ = cvae("evaluate run1 --draws 1 --iw-samples 1 --samples 2")
    assert status == 0
    lines = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert lines["songs"] == "3" and lines["key_accuracy"].startswith("1: ")
    assert "key_profiles temperley" in out


@pytest.fixture(scope="module")
def piece(tiny_corpus, place):
    """A file of three bars in the first key, and two in another."""
    roll = np.concatenate(
        [np.tile(tiny_corpus.test[k].roll[:4], (n, 1)) for k, n in ((0, 3), (1, 2))]
    )
    write_midi(roll, place / "piece.mid")
    return "piece.mid"


def test_key_prints_one_json_object(cvae, piece):
    status, out, err = cvae(f"key {piece} --model run1 --json")
    assert (status, err) == (0, "")
    found = json.loads(out)
    assert list(found) == ["key", "probability", "runners_up", "w", "w_interval"]
    assert found["key"] in KEYS and 0 < found["probability"] <= 1
    assert {other["key"] for other in found["runners_up"]} == KEYS - {found["key"]}
    bars = json.loads(cvae(f"key {piece} --model run1 --json --over-time")[1])["bars"]
    assert [bar["bar"] for bar in bars] == [1, 2, 3, 4, 5]


def test_key_in_words(cvae, piece):
    status, out, _ = cvae(f"key {piece} --model run1 --over-time")
    lines = out.splitlines()
    assert status == 0 and len(lines) == 3 + 5
    assert lines[0].rpartition(" ")[0] in KEYS and lines[1].startswith("then ")
    assert lines[2].startswith("its weight w: mean 0.") and lines[3].startswith("bar    1  ")


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("key nothing.mid --model run1", "nothing.mid"),
        ("key piece.mid --model nobody", "run"),
        ("key piece.mid --model jsb-vae", "--model"),
        ("key tiny.pickle --model run1", "tiny.pickle"),
    ],
)
def test_key_of_what_is_not_there(cvae, piece, line, named):
    status, out, err = cvae(line)
    assert (status, out) == (2, "")
    assert err.startswith(f"cvae: error: {named}: ") and err.count("\n") == 1


def test_resume_goes_on(cvae, place, eagerly):
    assert cvae("train run1 --resume --epochs 3")[0] == 0
    assert len(np.load(place / "runs/run1/state.npz")["history/epoch"]) == 3


def test_corpus_info(cvae):
    status, out, _ = cvae("corpus info tiny.pickle --json")
    assert status == 0
    assert json.loads(out)["train"]["songs"] == 8


def test_corpus_info_in_words(cvae):
    status, out, _ = cvae("corpus info tiny.pickle")
    assert status == 0
    assert "songs: 8," in out


@pytest.fixture(scope="module")
def own_music(place):
    """Ten pieces of triads in eighths and a broken file."""
    (place / "own").mkdir()
    for i in range(10):
        roll = np.zeros((12, 88), bool)
        roll[:, np.array([0, 4, 7]) + 36 + i] = True
        write_midi(roll, place / f"own/piece {i}.mid", step=0.5)
    (place / "own/broken.mid").write_bytes(b"no")
    return place


def test_own_music_is_trained_on_sampled_and_scored(cvae, own_music, monkeypatch, eagerly):
    status, _, err = cvae(f"train own --corpus own --key-from analysis {' '.join(SMALL)}")
    assert status == 0
    assert err.splitlines()[0].startswith("skipped broken.mid: not a MIDI file")
    assert err.splitlines()[1] == "read 10 of 11 files"
    settings = json.loads((own_music / "runs/own/settings.json").read_text())
    assert settings["corpus"] == str(own_music / "own")
    assert (settings["step"], settings["reading"]["key_from"]) == (0.5, "analysis")
    monkeypatch.chdir("/")  # the run knows where its music lies
    line = "sample own --seed-steps 4 -t 6 --audio none --bpm 60"
    folders = f"--model-dir {own_music / 'runs'} --sample-dir {own_music / 'o'}"
    assert main(f"{line} {folders}".split()) == 0
    assert read_midi(own_music / "o/own_0.mid", step=0.5).shape == (6, 88)
    seed = own_music / "own/piece 3.mid"
    assert main([*f"{line} {folders} --overwrite --seed-file".split(), str(seed)]) == 0
    monkeypatch.chdir(own_music)
    assert cvae("train own --resume --epochs 3")[0] == 0
    write_midi(np.ones((4, 88), bool), own_music / "own/more.mid")
    status, _, err = cvae("train own --resume --epochs 4")
    (own_music / "own/more.mid").unlink()
    assert status == 2 and "has changed since runs/own began" in err


def test_other_steps_by_option_and_only_for_files(cvae, own_music):
    status, out, err = cvae("corpus info own --step 1 --json")
    assert status == 0 and err.count("skipped") == 1
    assert json.loads(out)["train"]["steps"] == 6 * json.loads(out)["train"]["songs"]
    status, _, err = cvae("corpus info tiny.pickle --pedal")
    assert status == 2 and "pedal" in err and err.count("\n") == 1


def test_an_excerpt_is_the_music_itself(cvae, own_music):
    line = "corpus excerpt own -t 8 --skip 2 -n 2 --sample-dir x"
    status, out, _ = cvae(f"{line} --audio wav")
    assert status == 0 and out.split() == ["x/own_0.mid", "x/own_1.mid"]
    roll = read_midi(own_music / "x/own_0.mid", step=0.5)
    assert roll.shape == (8, 88) and (roll.sum(axis=1) == 3).all()
    assert (own_music / "x/own_1.wav").stat().st_size > 1000
    assert "exists" in cvae(line)[2]
    assert "12 steps" in cvae("corpus excerpt own -t 11 --skip 2 --sample-dir y")[2]


def test_names_may_have_a_dot(cvae, place, eagerly):
    cvae("sample run1 --run run1 --seed-steps 1 -t 4 -n 2 --sample-dir f --audio none")
    assert (
        cvae("sample x.y --run run1 --seed-steps 1 -t 4 -n 2 --sample-dir f --audio none")[0] == 0
    )
    assert {path.name for path in (place / "f").glob("x*")} == {"x.y_0.mid", "x.y_1.mid"}


def test_a_plain_vae_is_scored_on_any_corpus(cvae):
    line = "train plain --model vae --corpus tiny.pickle --batch-size 8 --epochs 1 --hidden-dim 8"
    assert cvae(line)[0] == 0
    status, out, _ = cvae("evaluate plain --corpus jsb-c --draws 1 --json")
    assert status == 0 and json.loads(out)["key_accuracy"] == {}
    assert "knows no keys" in cvae("sample plain --key C --seed-steps 1")[2]


def test_a_model_whose_classes_are_no_keys(cvae, place):
    named = place / "runs/named"
    shutil.copytree(place / "runs/run1", named)
    settings = json.loads((named / "settings.json").read_text())
    settings["keys"] = ["Ravel", "Bach", "Grieg"]
    (named / "settings.json").write_text(json.dumps(settings))
    write_midi(np.ones((4, 88), bool), place / "four.mid")
    line = "sample named --seed-file four.mid --seed-steps 4 -t 4 --audio none --sample-dir g --key"
    assert cvae(f"{line} Bach")[0] == 0
    assert "knows Ravel, Bach, Grieg" in cvae(f"{line} Liszt --overwrite")[2]
    status, _, message = cvae("evaluate named")
    assert status == 2 and "not keys" in message and message.count("\n") == 1


def test_a_killed_first_epoch_can_be_resumed(cvae, place, eagerly):
    line = "train killed --corpus tiny.pickle --batch-size 8 --epochs 1 --hidden-dim 8"
    assert cvae(line)[0] == 0
    good = (place / "runs/killed/weights.npz").read_bytes()
    (place / "runs/killed/state.npz").unlink()
    (place / "runs/killed/weights.npz").unlink()
    assert cvae("train killed --resume")[0] == 0
    assert (place / "runs/killed/weights.npz").read_bytes() == good


@pytest.mark.parametrize("written", range(4))  # the settings, weights and state, and once more
@pytest.mark.parametrize(("call", "code"), [("fsync", errno.ENOSPC), ("replace", errno.EROFS)])
def test_a_training_that_cannot_write_says_so_and_goes_on_later(
    call, code, written, cvae, place, monkeypatch, eagerly
):
    shutil.rmtree(place / "runs/fault", ignore_errors=True)
    shutil.copytree(place / "runs/run1", place / "runs/fault")
    before = {p.name: p.read_bytes() for p in (place / "runs/fault").glob("*.*z*")}
    real, calls = getattr(os, call), []

    def failing(*arguments):
        calls.append(arguments)
        if len(calls) > written:
            raise OSError(code, os.strerror(code), *map(str, arguments[:1]))
        return real(*arguments)

    monkeypatch.setattr(os, call, failing)
    status, _, err = cvae("train fault --resume --epochs 5")
    assert status == 2 and err.count("\n") == 1
    assert err.startswith("cvae: error: ") and err.endswith(f": {os.strerror(code)}\n")
    assert "runs/fault/" in err.replace(os.sep, "/") and "partial" not in err
    assert not list((place / "runs/fault").glob("*.partial"))
    if written < 2:
        after = {p.name: p.read_bytes() for p in (place / "runs/fault").glob("*.*z*")}
        assert len(before) == 2 and after == before
    monkeypatch.setattr(os, call, real)
    assert cvae("train fault --resume --epochs 5")[0] == 0


def test_a_run_whose_corpus_is_gone_keeps_what_it_has(cvae, place):
    before = {p.name: p.read_bytes() for p in (place / "runs/run1").iterdir() if p.is_file()}
    (place / "tiny.pickle").rename(place / "aside.pickle")
    try:
        for line in ("train run1 --resume --epochs 9", "evaluate run1"):
            status, _, err = cvae(line)
            assert status == 2 and "tiny.pickle" in err and err.count("\n") == 1
    finally:
        (place / "aside.pickle").rename(place / "tiny.pickle")
    after = {p.name: p.read_bytes() for p in (place / "runs/run1").iterdir() if p.is_file()}
    assert after == before


def test_one_training_at_a_time_in_a_folder(cvae, place):
    from cvae.runs import locked

    settings = (place / "runs/run1/settings.json").read_bytes()
    with locked(place / "runs/run1"):
        status, _, err = cvae("train run1 --resume --epochs 9")
    assert status == 2 and "another training" in err
    assert (place / "runs/run1/settings.json").read_bytes() == settings


def test_a_run_without_its_state_is_not_trained_anew(cvae, place):
    state = place / "runs/run1/state.npz"
    weights, aside = (place / "runs/run1/weights.npz").read_bytes(), place / "aside.npz"
    state.rename(aside)
    try:
        status, _, err = cvae("train run1 --resume --epochs 9")
        assert status == 2 and "state.npz: missing" in err and err.count("\n") == 1
        assert (place / "runs/run1/weights.npz").read_bytes() == weights
    finally:
        aside.rename(state)


@pytest.mark.parametrize("line", ["train run1", "evaluate run1"])
def test_interrupted_while_tensorflow_loads(cvae, monkeypatch, line):
    def interrupt():
        raise KeyboardInterrupt

    for module in ("arguments", "cli"):
        monkeypatch.setattr(f"cvae.{module}.import_tensorflow", interrupt)
    assert cvae(line)[::2] == (130, "cvae: interrupted\n")


def test_a_line_break_in_the_name_of_a_file_makes_no_second_line(cvae, monkeypatch):
    def missing(*_):
        raise FileNotFoundError(2, "No such file", "two\nlines")

    monkeypatch.setattr("cvae.cli.load_corpus", missing)
    assert cvae("corpus info own")[2] == "cvae: error: two lines: No such file\n"


def test_only_our_own_words_on_standard_error(place):
    """In a process of its own: TensorFlow's C++ code writes past Python."""
    line = [sys.executable, "-m", "cvae.cli", "evaluate", "run9"]
    done = subprocess.run(line, cwd=place, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("cvae: error: run: no 'run9'") and done.stderr.count("\n") == 1


def test_help_shows_every_default(cvae):
    from cvae.runs import model_options
    from cvae.training import TrainingConfig

    status, out, _ = cvae("train --help")
    assert status == 0
    words = " ".join(out.split())
    for name in {*model_options("cl-vae"), *vars(TrainingConfig())} - {"classes"}:
        option = words.rpartition(f"--{name.replace('_', '-')} ")[2]
        assert "(default:" in option.partition(" --")[0], name


def test_fetch_takes_a_corpus_that_is_made_of_another(cvae, monkeypatch):
    monkeypatch.setattr("cvae.music.downloads.download", lambda *what: [" for ".join(what)])
    assert cvae("corpus fetch piano-midi-c") == (0, "piano-midi for piano-midi-c\n", "")


def test_each_option_of_a_training_has_a_type_and_goes_to_one_place():
    """The type is that of the default; model and training share nothing but the seed."""
    from cvae.models import MODELS
    from cvae.runs import model_options
    from cvae.training import TrainingConfig

    of_models = {}
    for kind in MODELS:
        of_models |= model_options(kind)
    of_training = vars(TrainingConfig())
    without_type = {name for name, value in (of_models | of_training).items() if value is None}
    assert without_type == {"seq_length"}  # which `_add_train` treats apart
    assert of_models.keys() & of_training.keys() == {"seed"}


BAD = {
    "train run2 --model bvae": "bvae",
    "train run2 --corpus nowhere": "nowhere",
    "train run2 --corpus tiny.pickle --latent-dim 0": "--latent-dim",
    "train run2 --corpus tiny.pickle --batch_size -1": "--batch-size",
    "train run2 --corpus tiny.pickle --batch-size many": "many",
    "train run2 --corpus tiny.pickle --optimizer sgdd": "sgdd",
    "train run2 --corpus tiny.pickle --model vae --class-dropout .1": "--class-dropout",
    "train run2 --corpus tiny.pickle --use-x-prev --predict-next": "predict_next",
    "train run2 --corpus tiny.pickle --pitches 60": "pitches",
    "train run2 --corpus tiny.pickle --batch-size 8 --model-dir tiny.pickle": "tiny.pickle",
    "train run1 --corpus tiny.pickle": "--overwrite or --resume",
    "train run1 --resume --latent-dim 2": "--latent-dim",
    "train run9 --resume": "run9",
    "train run1 --resume --model vae": "model",
    "train run1 --overwrite --corpus tiny.pickle --batch-size 8 --log-dir tiny.pickle": "--log-dir",
    "train run2 --corpus tiny.pickle --optimizer adam-wn": "weight-norm.json",
    "train run2 --corpus tiny.pickle --batch-size 8 --seq_length 16": "--seq-length: ",
    "train run2 --corpus tiny.pickle --batch-size 8 --seq-length bar": "bar",
    "train run2 --corpus tiny.pickle --model vae-lstm --seq-length 0": "--seq-length",
    "train run2 --corpus tiny.pickle --model vae-lstm --prior normal": "normal",
    "train run2 --corpus tiny.pickle --model vae --prior lstm": "prior",
    "train run2 --corpus tiny.pickle --model vae-lstm --batch-size 9 --seq-length song": "songs",
    "train run2 --corpus tiny.pickle --batch-size 8 --any-key": "--any-key",
    "train ../run2 --corpus tiny.pickle --key-classes minor": "minor",
    "sample run9": "run9",
    "sample run1 --key H": "H",
    "sample run1 --key D~major": "C major, E major, A- major",
    "sample run1 -n 0": "n",
    "sample run1 --bpm 0": "bpm",
    "sample run1 -n 100000000000": "-n",
    "sample run1 -n 2 -t 1000000": "-n, -t: got 2 times 1000000",
    "sample run1 -n 1000 -t 1001": "-n",
    "sample run1 --seed-steps 2 --bpm 5000 --sample-dir e": "bpm",
    "sample run1 --seed-steps 2 --key= --sample-dir e": "key: got an empty value",
    "sample run1 --seed-steps 2 --temperature 1e300 --sample-dir e": "temperature",
    "sample run1 --seed -1": "seed",
    "sample run1 -t 0": "t",
    "sample run1 --seed-steps 500 --sample-dir e": "500",
    "sample run1 --seed-steps 1 --z-from posterior --sample-dir e": "at least 2 steps",
    "sample run1 --seed-file tiny.pickle": "tiny.pickle",
    "sample run1 --seed-file nowhere.mid": "nowhere.mid",
    "sample run1 --key C --infer-key": "not allowed with",
    "sample run1 --key C --seed-steps 2 --certainty 2 --sample-dir e": "certainty",
    "sample run1 --seed-steps 2 --certainty 1 --sample-dir e": "certainty: got 1.0, needs a key",
    "sample run1 --seed-steps 2 --key C --w-from sample --sample-dir e": "where no w is inferred",
    "sample run1 --seed-steps 2 --temperature 0 --sample-dir e": "temperature",
    "sample run1 --seed-steps 2 --then-key C --sample-dir e": "then-key",
    "sample run1 --seed-steps 2 --key C --then-key H --sample-dir e": "--then-key: 'H'",
    "sample jsb-vae --certainty 1 --sample-dir e": "certainty: got 1.0, the model 'vae' has no",
    "sample run1 --seed-steps 2 --seed-key G --sample-dir e": "G",
    "sample run1 --seed-key C --seed-file seed.mid": "--seed-file",
    "sample run1 --seed-steps 2 --w-from median --sample-dir e": "median",
    "sample run1 --seed-steps 2 --sample-dir tiny.pickle": "tiny.pickle",
    "evaluate run9": "run9",
    "evaluate run1 --split exam": "exam",
    "evaluate run1 --draws 0": "draws",
    "evaluate run1 --corpus jsb": "keys that the model lacks",
    "evaluate tiny.pickle": "tiny.pickle",
    "corpus info nowhere": "nowhere",
    "corpus info tiny.pickle --step 1": "--step: got 1.0, is for music read from MIDI or MusicXML",
    "corpus info own --step 9": "--step: got 9.0, must be from 0.0625 to 4",
    "corpus info own --key-from ear": "ear",
    "corpus info own/broken.mid": "broken.mid: not a MIDI file",
    "corpus info runs": "holds no file of music",
    "corpus excerpt tiny.pickle -t 0": "-t",
    "corpus excerpt tiny.pickle --skip -1": "--skip",
    "corpus excerpt tiny.pickle -t 2 --skip 2 --seed-key G": "G",
    "corpus excerpt tiny.pickle -t 90": "90",
    "corpus excerpt tiny.pickle -n 100000000": "-n",
    "train run2 --corpus tiny.pickle --step 1": "--step: got 1.0, is for music read from MIDI",
    "train run2 --corpus own/piece~3.mid": "all songs of the corpus are in",
    "train run1 --resume --step 1": "got also --step",
    "train . --corpus tiny.pickle": "NAME: got '.', must name a folder within runs",
    "sample run1 --seed-steps 4 --sample-dir tiny.pickle": "--sample-dir: got 'tiny.pickle', must",
    "corpus info runs/run1/settings.json": "a file of music ends in .mid,",
    "corpus build nowhere": "nowhere",
    "reproduce --only everything": "everything",
    "dance": "dance",
}


@pytest.mark.parametrize("line", BAD)
def test_bad_input_is_one_line_and_status_2(cvae, own_music, place, line):
    def there():
        found = (path for path in place.rglob("*") if place / "cache" not in [path, *path.parents])
        return {path: path.stat().st_mtime_ns for path in found}

    before = there()
    status, out, err = cvae(line)
    assert status == 2, out
    assert err.count("\n") == 1 and "error" in err
    assert BAD[line] in err
    assert there() == before


@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "foreign"])
def test_damaged_weights_are_one_line_and_status_2(cvae, place, damage):
    weights = place / "runs/run1/weights.npz"
    good = weights.read_bytes()
    try:
        if damage == "missing":
            weights.unlink()
        else:
            bad = {"empty": b"", "truncated": good[:-50], "foreign": b"not weights" * 99}[damage]
            weights.write_bytes(bad)
        status, _, err = cvae("evaluate run1")
        assert (status, err.count("\n")) == (2, 1)
        assert "weights.npz" in err
    finally:
        weights.write_bytes(good)
