"""Read pickles of plain data without running what they may contain.

A pickle is a program that can call any function. This reader admits lists, tuples, dicts, strings
and numbers, NumPy's scalar numbers among them, and nothing that would call anything else.
"""

import pickle
import re
from pathlib import Path

import numpy as np

__all__ = ["MAX_BYTES", "load_plain_pickle"]

MAX_BYTES = 64 * 2**20
"""Largest file that is read."""


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


class _PlainUnpickler(pickle.Unpickler):
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
        If the file is missing, too large, not a pickle, or asks for anything else than plain data.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            if size <= MAX_BYTES:
                return _PlainUnpickler(file, encoding="latin-1").load()
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}") from error
    except Exception as error:  # a broken pickle can raise nearly anything
        reason = " ".join(str(error).split())
        raise ValueError(f"{path}: not a pickle of plain data: {reason}") from error
    raise ValueError(f"{path}: its {size} bytes are more than the limit of {MAX_BYTES}")
