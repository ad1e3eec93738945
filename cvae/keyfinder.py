"""What key is this? The key of a file of music, and of each of its bars."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from cvae.calibration import sharpened
from cvae.models.smoothing import smooth
from cvae.music.files import read_score
from cvae.music.keys import modulation_probabilities
from cvae.runs import load_run

__all__ = ["FoundKey", "find_key"]

WINDOW, STAY = 9, 0.9  # best on the chorales with human analyses: data/results/key-inference.json
SHARPNESS = 2.5  # of the default model, fitted on the validation split: see there
RUNNERS_UP = 3


class FoundKey(NamedTuple):
    """Key of a piece.

    key : str
    probability : float, 0 to 1, calibrated: see `cvae.calibration.sharpened`
    interval : two floats, the 90 % credible interval of the key's w, which is not
    runners_up : list of (str, float), the next keys and their probabilities
    bars : list of (str, float), key and probability of each bar, counted from the first note: of
        the length that the time signature gives that holds longest
    """

    key: str
    probability: float
    interval: tuple[float, float]
    runners_up: list[tuple[str, float]]
    bars: list[tuple[str, float]]


def find_key(path, model="all-keys-cl-vae-lstm", folder="runs"):
    """Key of a file of MIDI or MusicXML.

    The key of the whole is that of q(w | all steps); the keys of the bars are those of a hidden
    Markov model on top of q(w | a window about each step), see `cvae.models.smoothing`.

    Parameters
    ----------
    path : path
    model : str or Path
        Of a classifying model, see `load_run`. The default knows the 24 keys.
    folder : path
        Where one's own runs are.

    Returns
    -------
    FoundKey

    Raises
    ------
    ValueError
        If there is no such run, its model has no classes, or the file cannot be read or has no
        notes.
    """
    run = load_run(model, folder)
    keys, step = run.settings["keys"], run.reading.step
    score = read_score(Path(path), run.reading.pedal)
    try:
        roll = score.roll(step)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if not roll.any():
        raise ValueError(f"{path}: no notes whose key could be found")
    if not run.model.classes:
        raise ValueError(f"model: got {str(model)!r}, which knows no keys")
    posterior = run.model.infer_key(roll, WINDOW)
    probs = sharpened(posterior.whole, SHARPNESS)
    order = np.argsort(-probs)
    best, *others = [(keys[k], float(probs[k])) for k in order[: 1 + RUNNERS_UP]]
    evidence = sharpened(posterior.steps, SHARPNESS)
    smoothed = smooth(evidence, modulation_probabilities(keys, STAY), window=WINDOW)
    bar_of_step = (np.arange(len(roll)) * step // score.bar).astype(int)
    bars = []
    for bar in np.unique(bar_of_step):
        probs = smoothed.marginals[bar_of_step == bar].mean(axis=0)
        bars.append((keys[int(probs.argmax())], float(probs.max())))
    low, high = posterior.interval[:, order[0]].tolist()
    return FoundKey(*best, (low, high), others, bars)
