"""What several test files share: corpora, weights, the project's own files, the built book."""

import gc
import pickle
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent

# TensorFlow Probability 0.25 itself runs into these; they are not about our code.
WARNINGS_OF_OTHERS = (
    "ignore:distutils Version classes are deprecated:DeprecationWarning",
    "ignore:`newshape` keyword argument is deprecated:DeprecationWarning",
)


def pytest_configure(config):
    # music21 and TensorFlow make so many objects that Python spends up to 40 % of its time looking
    # for those that are garbage.
    gc.set_threshold(50_000)
    for line in WARNINGS_OF_OTHERS:
        config.addinivalue_line("filterwarnings", line)


@pytest.fixture(scope="session")
def texts():
    """Text of each file of the project, but those of others: path -> text."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listing.returncode:
        pytest.skip("needs a git checkout")
    paths = [ROOT / name for name in filter(None, listing.stdout.split("\0"))]
    ours = [path for path in paths if "vendor_root" not in path.parts and path.is_file()]
    contents = {path: path.read_bytes() for path in ours}
    return {path: data.decode("utf-8") for path, data in contents.items() if b"\0" not in data}


@pytest.fixture(scope="session")
def built_book(tmp_path_factory):
    """Folder of the book's pages, built as `make book` does."""
    folder = tmp_path_factory.mktemp("book")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    command = re.search(r"jupyter-book (build .*)", makefile).group(1).split()
    command[1] = "."  # $(SOURCE), which is another folder for the book without solutions
    program = Path(sys.executable).with_name("jupyter-book")
    run = subprocess.run(
        [program, *command, "--path-output", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return folder / "_build" / "html"


def cadence(semitones, steps, rng):
    """A roll (steps, 88) of major triads on I, IV and V of the key that many semitones above C."""
    roll = np.zeros((steps, 88), bool)
    for t, root in enumerate(rng.choice([0, 5, 7], steps)):
        roll[t, 27 + semitones + root + np.array([0, 12, 16, 19])] = True  # 27: the C of MIDI 48
    return roll


@pytest.fixture(scope="session")
def tiny_corpus():
    return make_tiny_corpus()


@pytest.fixture(scope="session")
def composers(tiny_corpus):
    """The same songs, whose classes are no keys: each key has its composer."""
    names = dict(zip(tiny_corpus.keys, ("Ravel", "Bach", "Grieg"), strict=True))
    splits = {
        split: tuple(replace(song, key=names[song.key]) for song in tiny_corpus.split(split))
        for split in ("train", "valid", "test")
    }
    return replace(tiny_corpus, keys=tuple(names.values()), **splits)


def make_tiny_corpus():
    """Three keys without a triad in common; 8, 3 and 3 songs of 6 to 10 steps."""
    from cvae.music.corpora import Corpus, Song

    keys = ("C major", "E major", "A- major")
    rng = np.random.default_rng(0)

    def songs(count):
        chosen = [(i % 3, int(rng.integers(6, 11))) for i in range(count)]
        return tuple(
            Song(cadence((0, 4, 8)[k], steps, rng), keys[k], f"song {i}", "test")
            for i, (k, steps) in enumerate(chosen)
        )

    return Corpus("tiny", keys, songs(8), songs(3), songs(3))


@pytest.fixture(scope="session")
def tiny_pickle(tiny_corpus):
    return pickled(tiny_corpus)


def pickled(corpus):
    """The tiny corpus as a pickle laid out as the original's, which writes keys its own way."""
    from cvae.music import roll_to_notes

    short = {"C major": "C", "E major": "E", "A- major": "A-"}
    data = {}
    for split in ("train", "valid", "test"):
        songs = corpus.split(split)
        data[split] = [[list(step) for step in roll_to_notes(song.roll)] for song in songs]
        data[f"{split}_key"] = [short[song.key] for song in songs]
    return pickle.dumps(data, protocol=2)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    if plt := sys.modules.get("matplotlib.pyplot"):
        plt.close("all")


@pytest.fixture
def eagerly():
    """Run compiled functions step by step: for tests of logic, compilation takes too long."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="session")
def trained(tiny_corpus, tmp_path_factory):
    """A Classifying VAE that has learnt the tiny corpus, with what training has left."""
    from cvae.runs import Run
    from cvae.training import TrainingConfig, fit

    folder = tmp_path_factory.mktemp("trained") / "run"
    options = {"hidden_dim": 32, "hidden_class_dim": 16, "dropout": 0.1, "class_dropout": 0.1}
    run = Run.plan(folder, "cl-vae", tiny_corpus, **options).start()
    config = TrainingConfig(
        epochs=80, batch_size=16, learning_rate=0.02, kl_anneal=10, transpose=4, patience=0
    )
    history = fit(run.model, tiny_corpus, config, folder, log_dir=folder / "logs")
    return SimpleNamespace(
        model=run.model,
        options=options,
        folder=folder,
        log_dir=folder / "logs",
        history=history,
        config=config,
    )


@pytest.fixture(scope="session")
def shaken():
    """Give a model large random weights, so that nothing is near 0 or near uniform by accident."""

    def shake(model, seed=0, scale=0.4):
        rng = np.random.default_rng(seed)
        for variable in model.trainable_variables:
            variable.assign(rng.normal(0, scale, variable.shape))
        return model

    return shake
