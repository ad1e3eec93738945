"""Runs on disk: they come back, half-written files do no harm, foreign ones are named."""

import json
import os
import pickle
import re
import zipfile
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

import cvae
from cvae import runs
from cvae.models import MODELS, VAE, ClassifyingVAE
from cvae.models.classifying_vae import Classifying
from cvae.runs import (
    LOCK,
    SETTINGS,
    STATE,
    WEIGHTS,
    Run,
    build_model,
    fingerprint,
    load_arrays,
    load_run,
    model_options,
    save_arrays,
    set_weights,
    weights_of,
    write_atomically,
)
from cvae.training import TrainingConfig, fit

OPTIONS = {
    "latent_dim": 3,
    "hidden_dim": 7,
    "hidden_class_dim": 6,
    "use_x_prev": True,
    "dropout": 0.25,
    "w_log_var_prior": 0.5,
    "seed": 4,
}


def save(run):
    save_arrays(run.folder / WEIGHTS, weights_of(run.model.variables))
    return run


@pytest.fixture
def run(tmp_path, tiny_corpus):
    """A run with weights that no seed draws."""
    run = Run.plan(tmp_path / "run1", "cl-vae", tiny_corpus, {"epochs": 3}, **OPTIONS).start()
    rng = np.random.default_rng(0)
    for variable in run.model.trainable_variables:
        variable.assign(rng.normal(0, 0.1, variable.shape))
    return save(run)


def bounds(model):
    rng = np.random.default_rng(0)
    x, x_prev = (rng.random((2, 9, 88)) < 0.05).astype(np.float32)
    if not model.sequential:
        return model.elbo(x, x_prev, np.zeros(9, np.int32), seed=(1, 2))
    key, mask = np.zeros(3, np.int32), np.ones((3, 3), np.float32)
    x, x_prev = x.reshape(3, 3, 88), x_prev.reshape(3, 3, 88)
    return model.elbo(x, x_prev, key, seed=(1, 2), mask=mask)


# Options and models


def test_options_are_those_of_the_constructors():
    assert model_options("vae") == {
        "pitches": 88,
        "latent_dim": 2,
        "hidden_dim": 88,
        "output": "bernoulli",
        "use_x_prev": False,
        "predict_next": False,
        "dropout": 0.0,
        "seed": 0,
    }
    assert model_options("cl-vae").items() > model_options("vae").items()
    assert "classes" in model_options("cl-vae") and "name" not in model_options("cl-vae")


@pytest.mark.parametrize("kind", MODELS)
def test_build_model_takes_every_option(kind):
    changed = {
        name: not value if isinstance(value, bool) else value + (0.5 if name in FLOATS else 3)
        for name, value in model_options(kind).items()
        if name not in ("classes", "predict_next", "coordinates", "prior", "output")
    }
    model = build_model(kind, 5, **changed)
    assert isinstance(model, MODELS[kind])
    assert model.classes == (5 if kind.startswith("cl-") else 0)
    assert (model.pitches, model.latent_dim, model.use_x_prev) == (91, 5, True)


FLOATS = ("dropout", "class_dropout", "w_log_var_prior")


@pytest.mark.parametrize(
    ("kind", "options", "named"),
    [
        ("lstm", {}, "model"),
        ("vae", {"hidden": 3}, "hidden"),
        ("vae", {"hidden_class_dim": 3}, "hidden_class_dim"),
        ("vae", {"name": "mine"}, "name"),
        ("cl-vae", {"latent_dim": 0}, "latent_dim"),
    ],
)
def test_build_model_names_what_is_wrong(kind, options, named):
    with pytest.raises(ValueError, match=rf"\A{named}: [^\n]+\Z"):
        build_model(kind, 3, **options)


def test_the_example_of_contributing_is_a_model(tiny_corpus, monkeypatch, eagerly):
    """It trains, its own network too, and generates."""
    text = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    known = {}
    exec(re.search(r"```python\n(from cvae.models .*?)```", text, re.DOTALL)[1], known)
    monkeypatch.setitem(MODELS, "cl-keyed", known["KeyedVAE"])
    assert model_options("cl-keyed").items() >= {"prior_dim": 16, "latent_dim": 2}.items()
    model = build_model("cl-keyed", len(tiny_corpus.keys), prior_dim=3)
    first = model.prior.output_layer.kernel.numpy()
    fit(model, tiny_corpus, TrainingConfig(epochs=1, batch_size=8))
    assert np.all(model.prior.output_layer.kernel.numpy() != first)
    assert model.generate(tiny_corpus.test[0].roll[None], 4, key=0).shape == (1, 4, 88)


# Round trip


def test_a_run_rebuilds_its_model_by_itself(run):
    loaded = load_run(run.folder)
    assert isinstance(loaded.model, ClassifyingVAE) and loaded.model is not run.model
    assert loaded.settings == run.settings and loaded.folder == run.folder
    for got, expected in zip(bounds(loaded.model), bounds(run.model), strict=True):
        np.testing.assert_array_equal(got, expected)
    again = load_run(run.folder)  # however many models the process has made
    np.testing.assert_array_equal(bounds(again.model).bound, bounds(run.model).bound)


def test_the_settings_say_all_that_is_known(run, tiny_corpus):
    settings = json.loads((run.folder / SETTINGS).read_text())
    defaults = model_options("cl-vae")
    defaults.pop("classes")  # the keys say it
    assert settings == {
        "model": "cl-vae",
        "options": defaults | OPTIONS,
        "corpus": "tiny",
        "keys": list(tiny_corpus.keys),
        "step": 1.0,
        "reading": {},
        "fingerprint": fingerprint(tiny_corpus),
        "training": {"epochs": 3},
        "version": cvae.__version__,
    }


@pytest.mark.parametrize("kind", MODELS)
def test_default_options_round_trip(kind, tmp_path, tiny_corpus):
    run = save(Run.plan(tmp_path / "run", kind, tiny_corpus).start())
    loaded = load_run(tmp_path / "run")
    np.testing.assert_array_equal(bounds(loaded.model).bound, bounds(run.model).bound)


def test_a_later_change_of_defaults_does_not_change_a_run(run, monkeypatch):
    expected = bounds(run.model).bound
    defaults = list(Classifying.__init__.__defaults__)
    assert defaults.count("isometric") == 1
    defaults[defaults.index("isometric")] = "additive"
    monkeypatch.setattr(Classifying.__init__, "__defaults__", tuple(defaults))
    assert model_options("cl-vae")["coordinates"] == "additive"
    np.testing.assert_array_equal(bounds(load_run(run.folder).model).bound, expected)


def test_load_run_by_name(run, monkeypatch):
    assert load_run("run1", folder=run.folder.parent).folder == run.folder
    monkeypatch.chdir(run.folder.parent)
    assert load_run("run1").model.latent_dim == 3


def test_a_run_of_the_project_is_found_by_name(run, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "data_folder", lambda: tmp_path / "data")
    (tmp_path / "data" / "models").mkdir(parents=True)
    run.folder.rename(tmp_path / "data" / "models" / "best")
    assert load_run("best").folder == tmp_path / "data" / "models" / "best"


def test_untrained_is_the_model_before_training(run, tiny_corpus):
    fresh = build_model("cl-vae", len(tiny_corpus.keys), **OPTIONS)
    model = Run.untrained(run.folder).model
    np.testing.assert_array_equal(bounds(model).bound, bounds(fresh).bound)
    assert not np.array_equal(bounds(model).bound, bounds(run.model).bound)


# Folders that are taken or cannot be written


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_an_existing_run_is_refused_and_left_alone(run, tiny_corpus):
    before = contents(run.folder)
    with pytest.raises(ValueError, match=r"\A[^\n]*run1: [^\n]*\Z"):
        Run.plan(run.folder, "vae", tiny_corpus).start()
    assert contents(run.folder) == before


@pytest.mark.parametrize("name", [WEIGHTS, STATE])
def test_what_is_left_of_a_run_is_a_run_too(name, tmp_path, tiny_corpus):
    (tmp_path / name).write_bytes(b"precious")
    with pytest.raises(ValueError, match="run"):
        Run.plan(tmp_path, "vae", tiny_corpus).start()
    assert (tmp_path / name).read_bytes() == b"precious"


def test_overwriting_leaves_nothing_of_the_old_run(run, tiny_corpus):
    (run.folder / STATE).write_bytes(b"old")
    new = Run.plan(run.folder, "vae", tiny_corpus, overwrite=True).start()
    assert set(contents(run.folder)) == {SETTINGS, LOCK}
    assert isinstance(new.model, VAE)
    with pytest.raises(ValueError, match=WEIGHTS):
        load_run(run.folder)


def test_a_wrong_option_writes_and_removes_nothing(run, tmp_path, tiny_corpus):
    before = contents(run.folder)
    for folder in (run.folder, tmp_path / "new"):
        with pytest.raises(ValueError, match="hidden_dim"):
            Run.plan(folder, "vae", tiny_corpus, overwrite=True, hidden_dim=0).start()
    assert contents(run.folder) == before
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_file_in_the_way(name, tmp_path, tiny_corpus):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match=r"\A[^\n]*file[^\n]*cannot be written[^\n]*\Z"):
        Run.plan(tmp_path / name, "vae", tiny_corpus).start()
    assert (tmp_path / "file").read_text() == "mine"


# Writing in one step


class DiskFullError(OSError):
    pass


def half_written(file, **arrays):
    file.write(b"PK half")
    raise DiskFullError


def test_a_failing_write_of_arrays_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    save_arrays(path, {"a": np.arange(3)})
    monkeypatch.setattr(np, "savez_compressed", half_written)
    with pytest.raises(DiskFullError):
        save_arrays(path, {"a": np.zeros(3)})
    np.testing.assert_array_equal(load_arrays(path)["a"], np.arange(3))
    monkeypatch.undo()
    save_arrays(path, {"a": np.ones(3)})  # and what was left half written is not in the way
    np.testing.assert_array_equal(load_arrays(path)["a"], np.ones(3))
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]


@pytest.mark.parametrize("write", [write_atomically, save_arrays])
def test_a_crash_before_the_last_step_leaves_the_old_file(write, tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def crash(*_):
        assert path.read_bytes() == b"old"
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        write(path, b"new" if write is write_atomically else {})
    assert path.read_bytes() == b"old"


def test_arrays_round_trip(tmp_path):
    arrays = {"a/b/c": np.float32([1, 2]), "n": np.array(3), "file0": np.array(["x"])}
    save_arrays(tmp_path / "a.npz", arrays)
    got = load_arrays(tmp_path / "a.npz")
    assert got.keys() == arrays.keys()
    for name, array in arrays.items():
        assert got[name].dtype == array.dtype
        np.testing.assert_array_equal(got[name], array)


# Damaged and foreign files


def truncated(data):
    return data[: len(data) // 2]


def one_bit_flipped(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


DAMAGES = {
    "empty": lambda _: b"",
    "truncated": truncated,
    "without its end": lambda data: data[:-10],
    "one bit flipped": one_bit_flipped,
    "text": lambda _: b"weights = 1, 2, 3\n",
    "a pickle": lambda _: pickle.dumps({"a": [1.0]}),
    "a NumPy pickle": lambda _: pickle.dumps(np.zeros(3)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_weights_are_named_in_one_line(damage, run):
    path = run.folder / WEIGHTS
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.raises(ValueError, match=r"\A[^\n]*weights\.npz: [^\n]+\Z"):
        load_run(run.folder)


def write_npy(path):
    with open(path, "wb") as file:
        np.save(file, np.zeros(3))


def write_npy_of_objects(path):
    with open(path, "wb") as file:
        np.save(file, np.array([{"a": 1}], object), allow_pickle=True)


def write_npz_of_objects(path):
    with open(path, "wb") as file:
        np.savez(file, a=np.array([{"a": 1}], object), allow_pickle=True)


def write_zip_of_text(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("word/document.xml", "<a/>")


def write_damaged_compressed(path):
    with open(path, "wb") as file:
        np.savez_compressed(file, a=np.random.default_rng(0).random(1000))
    data = bytearray(path.read_bytes())
    data[500:900] = bytes(400)
    path.write_bytes(data)


def make_a_folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "foreign",
    [
        write_npy,
        write_npy_of_objects,
        write_npz_of_objects,
        write_zip_of_text,
        write_damaged_compressed,
        make_a_folder,
        lambda path: path.unlink(),
    ],
)
def test_foreign_and_missing_weights_are_named_in_one_line(foreign, run):
    foreign(run.folder / WEIGHTS)
    with pytest.raises(ValueError, match=r"\A[^\n]*weights\.npz: [^\n]+\Z"):
        load_run(run.folder)


def without_one(arrays):
    arrays.popitem()
    return arrays


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (without_one, "missing"),
        (lambda arrays: arrays | {"more": np.zeros(3)}, "absent"),
        (lambda arrays: {name: array[..., None] for name, array in arrays.items()}, "must be"),
        (lambda arrays: {name: array * np.float32(np.nan) for name, array in arrays.items()}, ""),
        (lambda arrays: {name: array.astype(float) for name, array in arrays.items()}, "float64"),
        (lambda arrays: {name: array.astype(str) for name, array in arrays.items()}, "must be"),
        (lambda arrays: {}, "missing"),
    ],
)
def test_weights_of_another_model_change_nothing(change, word, run):
    path = run.folder / WEIGHTS
    save_arrays(path, change(load_arrays(path)))
    with pytest.raises(ValueError, match=rf"\A[^\n]*weights\.npz: [^\n]*{word}[^\n]*\Z"):
        load_run(run.folder)
    before = weights_of(run.model.variables)
    with pytest.raises(ValueError):
        set_weights(run.model.variables, load_arrays(path), path)
    for name, array in weights_of(run.model.variables).items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_single_weight_that_is_no_number_is_found(value, run):
    path = run.folder / WEIGHTS
    arrays = load_arrays(path)
    list(arrays.values())[0].flat[3] = value
    save_arrays(path, arrays)
    with pytest.raises(ValueError, match=r"weights\.npz: [^\n]*not finite"):
        load_run(run.folder)


def test_names_of_weights_do_not_depend_on_what_was_made_before():
    first, second = (ClassifyingVAE(dropout=0.5, hidden_dim=3) for _ in range(2))
    optimizers = [keras.optimizers.Adam(), keras.optimizers.Adam()]
    for optimizer, model in zip(optimizers, (first, second), strict=True):
        optimizer.build(model.trainable_variables)
    assert weights_of(first.variables).keys() == weights_of(second.variables).keys()
    names = [weights_of(optimizer.variables).keys() for optimizer in optimizers]
    assert names[0] == names[1] and len(names[0]) == len(optimizers[0].variables)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '"cl-vae"',
        "\x00\x01",
        '{"model": "cl-vae"}',
    ],
)
def test_malformed_settings_are_named_in_one_line(text, run):
    (run.folder / SETTINGS).write_text(text)
    with pytest.raises(ValueError, match=r"\A[^\n]*settings\.json: [^\n]+\Z"):
        load_run(run.folder)


@pytest.mark.parametrize(
    "change",
    [
        {"model": "gan"},
        {"model": 3},
        {"options": []},
        {"options": {"depth": 3}},
        {"options": {"classes": 4}},
        {"options": {"latent_dim": "three"}},
        {"options": {"latent_dim": 0}},
        {"options": {"latent_dim": None}},
        {"options": {"w_log_var_prior": "0"}},
        {"options": {"hidden_dim": 10**9}},
        {"options": {"hidden_class_dim": 2049}},
        {"options": {"pitches": 10**6}},
        {"options": {"use_x_prev": "no"}},
        {"options": {"seed": -1}},
        {"options": {"seed": 1.5}},
        {"options": {"hidden_dim": [0] * 10**5}},
        {"reading": {"pedal": "no"}},
        {"keys": ["C major", "H major"]},
        {"keys": ["C major", "Eb major"]},
        {"keys": ["C major", "Bach"]},
        {"keys": ["Bach", ""]},
        {"keys": ["C major", "C major"]},
        {"keys": [["C major"], "G major"]},
        {"keys": []},
        {"keys": "C major"},
        {"keys": [1, 2, 3]},
        {"training": None},
        {"corpus": 1},
    ],
    ids=str,
)
def test_wrong_settings_are_named_in_one_line(change, run):
    path = run.folder / SETTINGS
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=r"\A[^\n]*settings\.json: [^\n]+\Z"):
        load_run(run.folder)


def test_classes_that_are_no_keys_come_back(tmp_path, composers):
    run = save(Run.plan(tmp_path / "run", "cl-vae", composers, **OPTIONS).start())
    loaded = load_run(run.folder)
    assert loaded.settings["keys"] == ["Ravel", "Bach", "Grieg"]
    np.testing.assert_array_equal(bounds(loaded.model).bound, bounds(run.model).bound)
    assert [loaded.key_index(name) for name in composers.keys] == [0, 1, 2]
    loaded.check_unchanged(composers)
    with pytest.raises(ValueError, match=r"\Akey: got 'Liszt', the model knows Ravel, Bach, Grieg"):
        loaded.key_index("Liszt")
    with pytest.raises(
        ValueError, match=r"\Acorpus: none has the classes of [^\n]+ not keys[^\n]+\Z"
    ):
        loaded.corpus("jsb")


def test_a_corpus_with_a_misspelt_key_starts_no_run(tmp_path, tiny_corpus):
    corpus = replace(tiny_corpus, keys=("C major", "E major", "H major"))
    with pytest.raises(ValueError, match=r"\Akeys: 'H major' is not a key"):
        Run.plan(tmp_path / "run", "cl-vae", corpus)
    assert not (tmp_path / "run").exists()


def test_settings_that_are_not_utf_8(run):
    (run.folder / SETTINGS).write_bytes(b"\xff\xfe{}")
    with pytest.raises(ValueError, match=r"\A[^\n]*settings\.json: [^\n]+\Z"):
        load_run(run.folder)


def test_settings_of_another_model(run):
    """Sound by themselves, but the weights do not fit."""
    path = run.folder / SETTINGS
    settings = json.loads(path.read_text())
    settings["options"]["latent_dim"] = 4
    path.write_text(json.dumps(settings))
    with pytest.raises(ValueError, match=r"\A[^\n]*weights\.npz: [^\n]*another model[^\n]+\Z"):
        load_run(run.folder)


@pytest.mark.parametrize("name", ["nowhere", "/nowhere/at/all", ""])
def test_no_such_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"\Arun: no [^\n]*\Z"):
        load_run(name)


def test_a_run_knows_its_songs(run, tiny_corpus):
    run.check_unchanged(tiny_corpus)
    for other in (
        replace(tiny_corpus, train=tiny_corpus.train[1:]),
        replace(tiny_corpus, train=tiny_corpus.valid, valid=tiny_corpus.train),
        replace(tiny_corpus, test=(replace(tiny_corpus.test[0], key="A- major"),)),
    ):
        with pytest.raises(ValueError, match="'tiny' has changed since"):
            run.check_unchanged(other)


def test_steps_of_another_length_are_refused(run):
    run.settings["step"] = 0.5
    with pytest.raises(
        ValueError, match="'jsb-c' has steps of 1 quarter notes, those of the model"
    ):
        run.corpus("jsb-c")


@pytest.mark.parametrize("wrong", [{"step": "x"}, {"reading": None}, {"reading": {"speed": 1}}])
def test_malformed_settings_of_reading(run, tmp_path, wrong):
    settings = json.loads((run.folder / SETTINGS).read_text()) | wrong
    (tmp_path / SETTINGS).write_text(json.dumps(settings))
    with pytest.raises(ValueError, match="'step' and 'reading'"):
        Run.untrained(tmp_path)


def test_a_corpus_that_is_gone(run, tmp_path):
    run.settings["corpus"] = str(tmp_path / "gone")
    with pytest.raises(ValueError, match="gone, that of .* is no longer there"):
        run.corpus()


def test_what_a_killed_training_left_half_written_goes_with_the_next(tmp_path):
    (tmp_path / "state.npz.1-2.partial").write_bytes(b"half")
    (tmp_path / "state.npz").write_bytes(b"whole")
    with runs.locked(tmp_path):
        assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "state.npz"]
