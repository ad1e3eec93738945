"""Where the project's data lie.

Two folders: the data that come with the project (read only: derived tables, trained weights,
samples, results), and the user's own folder for what is not committed (files of others, downloads).
"""

import os
from pathlib import Path

__all__ = ["cache_folder", "data_folder"]

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
