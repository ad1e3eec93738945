"""Training on several devices at once: each has a copy of the model and a share of each batch."""

import os
import re

import tensorflow as tf

from cvae.models.checks import check_choice
from cvae.paths import reason
from cvae.stored import parse_json

__all__ = ["STRATEGIES", "share", "strategy"]

STRATEGIES = {
    "none": tf.distribute.get_strategy,
    "mirrored": tf.distribute.MirroredStrategy,
    "workers": tf.distribute.MultiWorkerMirroredStrategy,
}
"""What makes each, see `strategy`."""


def strategy(name="none"):
    """Where training takes place: a model that is built within its scope is trained there.

    Parameters
    ----------
    name : {"none", "mirrored", "workers"}
        One device; all GPUs of this machine (without one, its CPU); or all machines that the
        environment variable TF_CONFIG names. The latter must come before anything else that
        TensorFlow does, and waits for all machines.

    Returns
    -------
    tf.distribute.Strategy

    Raises
    ------
    ValueError
        For another name, a TF_CONFIG that names no workers, or workers that come too late.
    """
    check_choice("distribute", name, STRATEGIES)
    if name == "workers":
        _check_cluster(os.environ.get("TF_CONFIG", ""))
    try:
        return STRATEGIES[name]()
    except RuntimeError as error:
        raise ValueError(f"distribute: {name} comes too late: {error}") from error


def _check_cluster(config):
    """Raise ValueError unless TF_CONFIG names workers by host and port, and which one this is."""
    try:
        cluster = parse_json(config)
        workers, task = list(cluster["cluster"]["worker"]), cluster["task"]
        known = task["type"] == "worker" and task["index"] in range(len(workers))
        if known and all(re.fullmatch(r"\S+:\d{1,5}", worker) for worker in workers):
            return
    except (ValueError, KeyError, TypeError):
        pass
    wanted = '{"cluster": {"worker": ["HOST:PORT", ...]}, "task": {"type": "worker", "index": N}}'
    raise ValueError(f"distribute: workers needs TF_CONFIG={wanted}, got {reason(repr(config))}")


def share(arrays, parts, number):
    """One of so many equal parts of the rows of each array.

    Parameters
    ----------
    arrays : nested tuples of arrays (B, ...)
        What is None stays None.
    parts : int
        Of which B is a multiple.
    number : int
        Of the part, from 0.

    Returns
    -------
    nested tuples of tensors (B / parts, ...)
    """

    def part(array):
        return None if array is None else tf.stack(tf.split(array, parts))[number]

    return tf.nest.map_structure(part, arrays)
