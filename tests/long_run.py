"""Memory over hours of use in one process: ``python tests/long_run.py [HOURS] [MODELS]``.

First what each new model costs that is trained (at least two): the programs that XLA compiles stay
until the process ends. Then, for hours, rounds of training on, sampling, rendering and clicking in
the listening room, with models that are there already. There the peak of memory must stand still:
it is an error if it rises by more than a twentieth from half-time to the end.
"""

import itertools
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from cvae.music import load_corpus
from cvae.music.audio import render
from cvae.music.keys import CIRCLE_OF_FIFTHS
from cvae.music.midi import write_midi
from cvae.runs import Run
from cvae.training import Trainer, TrainingConfig
from cvae.widgets import ListeningRoom

SMALL = {"use_x_prev": True, "latent_dim": 4, "hidden_dim": 16, "hidden_class_dim": 16}
ROOM = ("jsb-vae", "jsb-cl-vae", "jsb-cl-vae-lstm")


def megabytes():
    """The peak so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def trainer(corpus, folder):
    """A new model after its first epoch."""
    run = Run.plan(folder, "cl-vae", corpus, **SMALL).start()
    begun = Trainer(run.model, corpus, TrainingConfig(epochs=10**6), run.folder)
    begun.run_epoch()
    return begun


def use(begun, room, corpus, i, folder):
    """A round: an epoch, four samples as MIDI and sound, and a reader's clicks."""
    begun.run_epoch()
    seeds = np.stack([song.roll[:16] for song in corpus.valid[:4]])
    for j, roll in enumerate(begun.model.generate(seeds, 32, i % len(corpus.keys), seed=i)):
        write_midi(roll, folder / f"{j}.mid")
        render(roll)
    room.model.value = ROOM[i % len(ROOM)]
    room.circle.buttons[CIRCLE_OF_FIFTHS[i % 12]].value = True
    room.number.value, room.temperature.value = i, 0.5 + i % 3 / 2
    for button in (room.generate, room.save, room.morph, room.redraw):
        button.click()


def measure(hours, models):
    """MB for each new model, and the peak after that at half-time and at the end."""
    corpus = load_corpus("jsb")
    with tempfile.TemporaryDirectory() as folder:
        folder, after = Path(folder), []
        for i in range(models):
            begun = trainer(corpus, folder / str(i))
            after.append(megabytes())
        room, began, points = ListeningRoom(ROOM, folder / "takes"), time.monotonic(), []
        for i in itertools.count():
            passed = (time.monotonic() - began) / 3600
            if passed * 60 >= len(points) or passed >= hours:
                points.append((passed, megabytes()))
                print(f"{60 * passed:6.1f} min {i:6} rounds {points[-1][1]:7.0f} MB", flush=True)
            if passed >= hours:
                break
            use(begun, room, corpus, i, folder)
    half = next(peak for passed, peak in points if passed >= hours / 2)
    return {
        "MB for each new model": (after[-1] - after[0]) / (models - 1),
        "MB at half-time": half,
        "MB at the end": points[-1][1],
        "hours": hours,
        "rounds": i,
    }


def main(hours=2, models=10):
    """Print what `measure` found; the exit status, 1 if memory has risen."""
    found = measure(float(hours), int(models))
    print(json.dumps(found, indent=2))
    return int(found["MB at the end"] > 1.05 * found["MB at half-time"])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
