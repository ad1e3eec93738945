"""Kill a training at random moments, resume it each time: ``python tests/kill.py [KILLS] [SEED]``.

In the end it must hold what a training holds that was left alone, to the bit, and no rest of a file
that was being written. Each training is a process of its own with the command `cvae train`.
"""

import contextlib
import io
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from conftest import make_tiny_corpus, pickled

from cvae.cli import main
from cvae.quiet import import_tensorflow
from cvae.runs import LOCK, SETTINGS, STATE, WEIGHTS

EPOCHS = 8  # from one kill to the next, more or less
MODEL = "--corpus tiny.pickle --model cl-vae --hidden-dim 4 --hidden-class-dim 4"
TRAINING = f"{MODEL} --batch-size 48 --transpose 3 --patience 0"


def start(name, epochs):
    """Begin a training, or go on with it, in a process of its own; its number."""
    process = os.fork()
    if process:
        return process
    status = 1
    with contextlib.suppress(BaseException), contextlib.redirect_stdout(io.StringIO()):
        import tensorflow as tf

        tf.config.run_functions_eagerly(True)  # nothing of this is about compilation
        begun = (Path("runs") / name / SETTINGS).exists()
        words = "--resume" if begun else f"{TRAINING} --epochs {epochs}"
        status = main(["train", name, *words.split()])
    os._exit(status)


def kill(kills, seed):
    """How far the training was at each kill, in epochs, and what differs in the end: nothing."""
    rng = np.random.default_rng(seed)
    begun = time.perf_counter()
    assert os.waitpid(start("alone", kills * EPOCHS), 0)[1] == 0
    longest = 2 * (time.perf_counter() - begun) / kills
    done = []
    for _ in range(kills):
        process = start("killed", kills * EPOCHS)
        time.sleep(rng.uniform(0, longest))
        os.kill(process, signal.SIGKILL)
        assert os.waitpid(process, 0)[1] == signal.SIGKILL, "it was over before"
        state = Path("runs/killed") / STATE
        done.append(len(np.load(state)["history/epoch"]) if state.exists() else 0)
    assert os.waitpid(start("killed", kills * EPOCHS), 0)[1] == 0
    alone, killed = Path("runs/alone"), Path("runs/killed")
    differing = []
    for name in (STATE, WEIGHTS):
        with np.load(alone / name) as one, np.load(killed / name) as other:
            assert one.files == other.files
            differing += [n for n in one.files if one[n].tobytes() != other[n].tobytes()]
    others = {path.name for path in killed.iterdir()} - {SETTINGS, WEIGHTS, STATE, LOCK}
    return {
        "kills": kills,
        "seed": seed,
        "epochs": done,
        "differing": differing,
        "left behind": sorted(others),
    }


def run(kills=50, seed=0):
    """Print what `kill` found."""
    import_tensorflow()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        Path("tiny.pickle").write_bytes(pickled(make_tiny_corpus()))
        print(json.dumps(kill(int(kills), int(seed))))


if __name__ == "__main__":
    run(*sys.argv[1:])
