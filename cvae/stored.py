"""Files that are read back, JSON and NumPy's .npz: nothing runs, nothing grows, nothing is guessed.

A file that is not what it should be is refused by a ValueError of one line that names it.
"""

import json
import math
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from cvae.paths import check_file, reason

__all__ = [
    "MAX_ARRAY_BYTES",
    "MAX_JSON_BYTES",
    "opened_json",
    "parse_json",
    "read_arrays",
    "read_json",
]

MAX_JSON_BYTES = 16 * 2**20
"""Largest JSON file that is read."""

MAX_ARRAY_BYTES = 2 * 2**30
"""Most bytes of arrays that are read from a file, unpacked: 500 million float32."""


def parse_json(text: str):
    """Parse strict JSON.

    Parameters
    ----------
    text : str

    Returns
    -------
    object

    Raises
    ------
    ValueError
        Also for what Python would let pass: a name given twice, NaN, numbers beyond 64 bits; and
        for lists too deep.
    """
    try:
        return json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_finite,
            parse_float=_finite,
            parse_int=_whole,
        )
    except RecursionError:
        raise ValueError("lists too deep") from None


def _unique(pairs: list) -> dict:
    names = dict(pairs)
    if len(names) < len(pairs):
        twice = next(name for i, (name, _) in enumerate(pairs) if name in dict(pairs[:i]))
        raise ValueError(f"{twice!r} is given twice")
    return names


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is no finite number")
    return number


def _whole(text: str) -> int:
    if len(text) > 20 or not -(2**63) <= int(text) < 2**63:
        raise ValueError(f"a number of {len(text)} digits is too large")
    return int(text)


def read_json(path: str | Path):
    """Read a JSON file, see `parse_json`.

    Parameters
    ----------
    path : path
        Of at most `MAX_JSON_BYTES`, in UTF-8.

    Raises
    ------
    ValueError
        One line that names the file.
    """
    path = Path(path)
    check_file(path, MAX_JSON_BYTES)
    try:
        return parse_json(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise ValueError(f"{path}: not JSON that can be read ({reason(error)})") from None


@contextmanager
def opened_json(path: str | Path) -> Iterator:
    """Read a JSON file for a block that takes it apart.

    Where the block misses something, or finds it of another kind, that is the file's fault, and
    ends in a ValueError of one line that names it.
    """
    content = read_json(path)
    try:
        yield content
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{path}: not laid out as it should be ({reason(error)})") from error


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Read named arrays from an .npz file; arrays of Python objects, which are pickles, never.

    Parameters
    ----------
    path : path
        Of at most `MAX_ARRAY_BYTES`, unpacked.

    Raises
    ------
    ValueError
        One line that names the file: if it is missing, too large, damaged or foreign.
    """
    path = Path(path)
    check_file(path, MAX_ARRAY_BYTES)
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
            if size > MAX_ARRAY_BYTES:
                raise ValueError(f"unpacked its {size} bytes exceed the limit of {MAX_ARRAY_BYTES}")
            return _members(archive)
    except Exception as error:  # a damaged file makes NumPy, zipfile and zlib raise many kinds
        raise ValueError(
            f"{path}: not a file of arrays that can be read ({reason(error)})"
        ) from error


def _members(archive: zipfile.ZipFile) -> dict[str, np.ndarray]:
    """Arrays of an open archive by name."""
    arrays = {}
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        if not re.fullmatch(r"[\w/.-]{1,200}", name) or name in arrays:
            raise ValueError(f"{name[:20]!r} is no name, or given twice")
        with archive.open(member) as file:
            arrays[name] = np.lib.format.read_array(file, allow_pickle=False)
            if file.read(1):
                raise ValueError(f"{name} goes on after its end")
    return arrays
