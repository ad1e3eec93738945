"""Read pickles of plain data without running what they may contain.

A pickle is a program that can call any function. This reader admits lists, tuples, dicts, strings
and numbers, NumPy's scalar numbers among them, and nothing that would call anything else.
"""

import pickle
import re
from pathlib import Path

import numpy as np

from cvae.paths import reason

__all__ = ["MAX_BYTES", "MAX_DEPTH", "MAX_ITEMS", "load_plain_pickle"]

MAX_BYTES = 8 * 2**20
"""Largest file that is read."""

MAX_DEPTH, MAX_ITEMS = 8, 10**7
"""Most lists within lists, and most items in all: what a file mentions twice counts twice."""


class _NumberType:
    """Stands for ``numpy.dtype`` in a pickle: the type of a scalar number, and no other type."""

    def __init__(self, code, align=False, copy=False):
        if not re.fullmatch("[biuf][1248]", code):
            raise pickle.UnpicklingError(f"holds the NumPy type {code!r}")
        self.dtype = np.dtype(code)

    def __setstate__(self, state):
        self.dtype = self.dtype.newbyteorder(state[1])


def _scalar(number_type, data):
    """Stands for NumPy's function that makes a scalar; gives a Python number."""
    data = data.encode("latin-1") if isinstance(data, str) else data  # a str in Python 2's pickles
    return np.frombuffer(data, number_type.dtype, count=1)[0].item()


def _encode(text, encoding):
    """Stands for ``codecs.encode``, by which the protocols up to 2 write bytes."""
    return str(text).encode("latin-1")


# The unpickler that is written in Python: the other makes room in its memo for any number that a
# file names, which can be all of the memory.
class _PlainUnpickler(pickle._Unpickler):
    dispatch = pickle._Unpickler.dispatch.copy()
    for code in b"\x8f\x90\x91io\x81\x92":  # sets, and objects of other classes
        del dispatch[code]

    def load_build(self):
        if not isinstance(self.stack[-2], _NumberType):
            raise pickle.UnpicklingError("sets the state of an object")
        super().load_build()

    def load_dict(self):
        self._check_names(self.stack[::2])
        super().load_dict()

    def load_setitem(self):
        self._check_names(self.stack[-2:-1])
        super().load_setitem()

    def load_setitems(self):
        self._check_names(self.stack[::2])
        super().load_setitems()

    def _check_names(self, names):
        """Lists within lists take for ever to be hashed."""
        if not all(isinstance(name, str | int | float) for name in names):
            raise pickle.UnpicklingError("has a dict whose keys are not names or numbers")

    dispatch[pickle.BUILD[0]] = load_build
    dispatch[pickle.DICT[0]] = load_dict
    dispatch[pickle.SETITEM[0]] = load_setitem
    dispatch[pickle.SETITEMS[0]] = load_setitems

    def find_class(self, module, name):
        if (module, name) == ("_codecs", "encode"):
            return _encode
        if (module, name) == ("numpy", "dtype"):
            return _NumberType
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "scalar":
            return _scalar
        raise pickle.UnpicklingError(f"asks for {module}.{name}, which is not plain data")


def load_plain_pickle(path: str | Path):
    """Load a pickle that holds only lists, tuples, dicts, strings and numbers.

    Parameters
    ----------
    path : str or Path
        A pickle of any protocol, also one written by Python 2, of at most `MAX_BYTES`.

    Returns
    -------
    object
        The data; NumPy's scalars come as Python numbers.

    Raises
    ------
    ValueError
        If the file is missing, too large, not a pickle, asks for anything else than plain data, or
        holds more than `MAX_ITEMS` items or lists deeper than `MAX_DEPTH`.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            if size <= MAX_BYTES:
                data = _PlainUnpickler(file, encoding="latin-1").load()
                _check_extent(data)
                return data
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}") from error
    except Exception as error:  # a broken pickle can raise nearly anything
        raise ValueError(f"{path}: not a pickle of plain data: {reason(error)}") from error
    raise ValueError(f"{path}: its {size} bytes are more than the limit of {MAX_BYTES}")


def _check_extent(data) -> None:
    """Raise ValueError for more items or depth than the limits; a list in itself is too deep."""
    level, items = [data], 0
    for _ in range(MAX_DEPTH + 1):
        below = []
        for each in level:
            if isinstance(each, list | tuple | dict):
                items += len(each)
                if items > MAX_ITEMS:
                    raise ValueError(f"holds more than {MAX_ITEMS} items")
                below += each.values() if isinstance(each, dict) else each
        level = below
    if level:
        raise ValueError(f"holds lists more than {MAX_DEPTH} deep")
