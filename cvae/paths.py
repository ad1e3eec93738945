"""Where the project's data lie, and how a file is replaced.

Two folders: the data that come with the project (read only: derived tables, trained weights,
samples, results), and the user's own folder for what is not committed (files of others, downloads).
"""

import os
from pathlib import Path

__all__ = ["cache_folder", "data_folder", "write_atomically"]

_PACKAGE = Path(__file__).resolve().parent


def data_folder() -> Path:
    """Folder of the data that come with the project.

    Returns
    -------
    Path
        ``data/`` of the checkout the package is imported from, else the copy of it inside the
        installed package.
    """
    checkout = _PACKAGE.parent / "data"
    return checkout if (checkout / "corpora").is_dir() else _PACKAGE / "_data"


def cache_folder() -> Path:
    """Folder of data that are not committed; it may not exist yet.

    Returns
    -------
    Path
        ``$CVAE_DATA_DIR`` when set, else ``cvae`` in the user's cache folder
        (``$XDG_CACHE_HOME``, else ``~/.cache``).
    """
    chosen = os.environ.get("CVAE_DATA_DIR")
    if chosen:
        return Path(chosen).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache).expanduser() / "cvae"


def write_atomically(path: str | Path, data: bytes) -> None:
    """Write a file in one step: a crash leaves the old one or the new one, never half of one.

    Parameters
    ----------
    path : str or Path
    data : bytes

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    partial = Path(path).with_name(Path(path).name + ".partial")
    with open(partial, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
