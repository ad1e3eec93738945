"""Training on several devices at once: each has a copy of the model and a share of each batch."""

import tensorflow as tf

from cvae.models.checks import check_choice

__all__ = ["STRATEGIES", "share", "strategy"]

STRATEGIES = {
    "none": tf.distribute.get_strategy,
    "mirrored": tf.distribute.MirroredStrategy,
    "workers": tf.distribute.MultiWorkerMirroredStrategy,
}


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
        For another name, a TF_CONFIG that is none, or workers that come too late.
    """
    check_choice("distribute", name, STRATEGIES)
    try:
        return STRATEGIES[name]()
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"distribute: TF_CONFIG is not as it should be: {error}") from error
    except RuntimeError as error:
        raise ValueError(f"distribute: {name} comes too late: {error}") from error


def share(arrays, parts, number):
    """One of so many equal parts of the rows of each array; what is None stays None."""

    def part(array):
        return None if array is None else tf.stack(tf.split(array, parts))[number]

    return tf.nest.map_structure(part, arrays)
