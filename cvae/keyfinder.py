"""What key is this? The key of a file of music, and of each of its bars."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from cvae.calibration import sharpened
from cvae.experiments import KEY_MODEL
from cvae.models.smoothing import smooth
from cvae.music.files import read_score
from cvae.music.keys import are_keys, modulation_probabilities
from cvae.runs import load_run

__all__ = ["STAY", "WINDOW", "WINDOW_SHARPNESS", "FoundKey", "find_key"]

# Of the default model: what agrees best with the chorales' human analyses, and the sharpness fitted
# to whole songs of the validation split (data/results/key-inference.json).
WINDOW = 3
"""Steps of the window about each step, by which `find_key` tells the key of a bar: three beats
where a step is a beat."""

STAY = 0.9
"""Probability that the key stays from a beat to the next, see `modulation_probabilities`."""

WINDOW_SHARPNESS = 4
"""Power that windows are sharpened by, see `cvae.calibration.sharpened`."""

SHARPNESS = 3.22
RUNNERS_UP = 3


class FoundKey(NamedTuple):
    """Key of a piece.

    Attributes
    ----------
    key : str
    probability : float
        From 0 to 1; of the default model calibrated, see `cvae.calibration.sharpened`.
    runners_up : list of (str, float)
        The next keys and their probabilities.
    w, w_interval : float and two floats
        Mean and 90 % credible interval of the key's w.
    bars : list of (str, float)
        Key of each bar and its probability by the hidden Markov model (whose calibration is not
        known). Bars are counted from the beginning of the file, an upbeat as part of the first, and
        have the length of the time signature that holds longest.
    """

    key: str
    probability: float
    runners_up: list[tuple[str, float]]
    w: float
    w_interval: tuple[float, float]
    bars: list[tuple[str, float]]


def find_key(path, model=KEY_MODEL, folder="runs"):
    """Key of a file of MIDI or MusicXML.

    The key of the whole is that of q(w | all steps that are not silent). The keys of the bars are
    those of a hidden Markov model on top of q(w | a window about each step), see
    `cvae.models.smoothing`; silence is no evidence.

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
    if not (run.model.classes and are_keys(keys)):
        raise ValueError(f"model: got {str(model)!r}, which knows no keys")
    by_default = Path(model).name == KEY_MODEL
    sharpness, near = (SHARPNESS, WINDOW_SHARPNESS) if by_default else (1.0, 1.0)
    sounding = roll.any(axis=1)  # silence tells of no key
    window = min(WINDOW, int(sounding.sum()))
    posterior = run.model.infer_key(roll[sounding], window)
    whole = sharpened(posterior.whole, sharpness)
    order = np.argsort(-whole)
    best, *others = [(keys[k], float(whole[k])) for k in order[: 1 + RUNNERS_UP]]
    move = modulation_probabilities(keys, STAY**step)
    evidence = np.full((len(roll), len(keys)), 1 / len(keys))
    evidence[sounding] = sharpened(posterior.steps, near)
    smoothed = smooth(evidence, move, window=window)
    w, interval = posterior.whole[order[0]], posterior.interval[:, order[0]]
    bars = [_likeliest(probs, keys) for probs in _by_bar(smoothed.marginals, score.bar / step)]
    return FoundKey(*best, others, float(w), tuple(interval.tolist()), bars)


def _by_bar(marginals, steps):
    """Mean over the steps of each bar of so many; a bar of less than one has that it begins in."""
    for bar in range(int(np.ceil(len(marginals) / steps))):
        first = int(bar * steps)
        yield marginals[first : max(first + 1, int(np.ceil((bar + 1) * steps)))].mean(axis=0)


def _likeliest(probs, keys):
    return keys[int(probs.argmax())], float(probs.max())
