"""Checks of arguments: each raises a ValueError of one line that names the argument."""

from numbers import Integral, Real

import tensorflow as tf

__all__ = [
    "MAX_WIDTH",
    "check_choice",
    "check_roll",
    "check_seed",
    "check_shares",
    "check_sizes",
    "check_widths",
]


def check_sizes(**sizes):
    """Raise ValueError for a size that is not a whole number of at least 1, naming it."""
    for name, size in sizes.items():
        if not isinstance(size, Integral) or size < 1:
            raise ValueError(f"{name}: got {size!r}, must be a whole number of at least 1")


MAX_WIDTH = 2048
"""Most units of a layer: the largest model has some hundred million weights."""


def check_widths(**widths):
    """Raise ValueError for a number of units that is not from 1 to `MAX_WIDTH`, naming it."""
    check_sizes(**widths)
    for name, width in widths.items():
        if width > MAX_WIDTH:
            raise ValueError(f"{name}: got {width!r}, must be at most {MAX_WIDTH}")


def check_seed(seed):
    """Raise ValueError for a seed that is not a whole number that TensorFlow takes."""
    if not isinstance(seed, Integral) or not 0 <= seed < 2**31:
        raise ValueError(f"seed: got {seed!r}, must be a whole number from 0 to 2**31 - 1")


def check_shares(**shares):
    """Raise ValueError for a share outside [0, 1), naming it."""
    for name, share in shares.items():
        if not isinstance(share, Real) or not 0 <= share < 1:
            raise ValueError(f"{name}: got {share!r}, must be at least 0 and below 1")


def check_choice(name, value, allowed):
    """Raise ValueError unless a value is one of those allowed."""
    if value not in allowed:
        raise ValueError(f"{name}: got {value!r}, must be one of {', '.join(allowed)}")


def check_roll(roll, name, pitches, ndim, steps=1):
    """Roll(s) as float32 (T, P) or (S, T, P); ValueError unless T is at least `steps`."""
    roll = tf.cast(roll, tf.float32)
    if roll.ndim != ndim or roll.shape[-1] != pitches or roll.shape[-2] < steps:
        raise ValueError(
            f"{name}: got shape {tuple(roll.shape)}, "
            f"must be ({'samples, ' * (ndim == 3)}at least {steps} steps, {pitches})"
        )
    return roll
