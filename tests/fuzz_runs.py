"""Mutated files of runs against their readers: ``python tests/fuzz_runs.py [CASES] [SEED]``.

As in `fuzz`: each is read, or refused in one line that begins with the file's name, soon, and
nothing runs.
"""

import collections
import io
import json
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
from fuzz import mutated

from cvae import reproduce
from cvae.runs import SETTINGS, STATE, WEIGHTS, Run, load_arrays, save_arrays, set_weights
from cvae.training import Trainer, TrainingConfig

SECONDS = 10
RESULTS = "results.json"
KINDS = {WEIGHTS: 0.3, STATE: 0.3, SETTINGS: 0.15, RESULTS: 0.25}
VALUES = (None, True, -1, 0, 0.5, 2**31, 10**9, 10**30, "", "x", "\n", [], [[]], {}, {"a": 1})
ARRAYS = (np.nan, np.inf, 1e300, True, 7, "x", b"x", 1j)


class Readers:
    """A small run in a folder, and what reads each of its files."""

    def __init__(self, folder, corpus):
        self.folder = folder
        config = TrainingConfig(epochs=2, batch_size=4)
        run = Run.plan(folder, "cl-vae", corpus, vars(config), hidden_dim=4, hidden_class_dim=4)
        self.model = run.start().model
        self.trainer = Trainer(self.model, corpus, config, folder)
        self.trainer.history = {
            name: [1.0 + (name == "valid_bound")]
            for name in ("epoch", "train_bound", "valid_bound")
        }
        self.trainer.save_state()
        save_arrays(folder / WEIGHTS, self.trainer.best_weights)
        (folder / "results").mkdir()
        rows = [{"model": "vae", "seed": 0, "bound": 9.5, "key_accuracy": {"1": 0.5}}] * 3
        (folder / RESULTS).write_text(json.dumps({"command": "cvae", "rows": rows}))

    def read(self, path):
        """Read a file as the package would; True, or False if it was refused as it should be."""
        try:
            if path.name == WEIGHTS:
                set_weights(self.model.variables, load_arrays(path), path)
            elif path.name == STATE:
                self.trainer.load_state()
                assert self.trainer.best_epoch in range(2)
            elif path.name == SETTINGS:
                Run.untrained(self.folder)
            else:
                (self.folder / "results" / path.name).write_bytes(path.read_bytes())
                reproduce.results(path.stem)
        except ValueError as error:
            message = str(error)
            assert path.name in message.split(":")[0], message
            assert "\n" not in message and len(message) < len(str(path)) + 400, message
            return False
        return True


def spoilt(content, name, rng):
    """The bytes spoilt, or what they say: else checksums and commas are all that is tried."""
    if rng.random() < 0.3:
        return mutated(content, "", rng)
    return spoilt_arrays(content, rng) if name.endswith(".npz") else spoilt_json(content, rng)


def spoilt_json(content, rng):
    """One value replaced, left out, or buried."""
    content = json.loads(content)
    place, names = content, list(content)
    while True:
        name = names[rng.integers(len(names))]
        below = place[name]
        if not below or not isinstance(below, dict | list) or rng.random() < 0.3:
            break
        place, names = below, list(below if isinstance(below, dict) else range(len(below)))
    value = VALUES[rng.integers(len(VALUES))]
    if rng.random() < 0.2:
        del place[name]
    else:
        place[name] = value if rng.random() < 0.8 else [value] * 1000
    return json.dumps(content).encode()


def spoilt_arrays(content, rng):
    """One array of other values, shape, type or bytes; or left out, or another added."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = list(members)[rng.integers(len(members))]
    array, fault = np.load(io.BytesIO(members[name])), rng.integers(6)
    value = ARRAYS[rng.integers(len(ARRAYS))]
    if fault == 0:
        members[name] = mutated(members[name], "", rng)
    elif fault == 1:
        members.pop(name)
    elif fault == 2:
        members[name + "x"] = members[name]
    else:
        if fault == 3:
            array = np.full(array.shape, value)
        elif fault == 4:
            array = np.array([array, value], object) if rng.random() < 0.5 else array[..., None]
        else:
            array = array.astype(["<f8", ">f4", "<i8", "<f2", "V4"][rng.integers(5)], copy=True)
        data = io.BytesIO()
        np.save(data, array, allow_pickle=True)
        members[name] = data.getvalue()
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for member, inside in members.items():
            archive.writestr(member, inside)
    return data.getvalue()


def fuzz(cases, seed, folder, corpus):
    """Counts by kind of file of what was read and refused, and the longest time in seconds."""
    rng, readers = np.random.default_rng(seed), Readers(folder / "run", corpus)
    counts, longest = collections.Counter(), 0.0
    for name, share in KINDS.items():
        path = readers.folder / name
        whole = path.read_bytes()
        assert readers.read(path)
        for _ in range(round(cases * share)):
            path.write_bytes(spoilt(whole, name, rng))
            start = time.perf_counter()
            outcome = "read" if readers.read(path) else "refused"
            longest = max(longest, time.perf_counter() - start)
            counts[f"{name} {outcome}"] += 1
            assert longest < SECONDS, f"{path} took {longest:.0f} s"
        path.write_bytes(whole)
        assert readers.read(path)
    return {"cases": counts.total(), "seed": seed, "longest_s": round(longest, 2), **counts}


def main(cases=4000, seed=0):
    """Print the counts."""
    from conftest import make_tiny_corpus  # under pytest there are several of that name

    with tempfile.TemporaryDirectory() as folder:
        reproduce.data_folder = lambda: Path(folder) / "run"
        print(json.dumps(fuzz(int(cases), int(seed), Path(folder), make_tiny_corpus()), indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
