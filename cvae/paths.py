"""Where the project's data lie, and how a file is replaced.

Two folders: the data that come with the project (read only: derived tables, trained weights,
samples, results), and the user's own folder for what is not committed (files of others, downloads).
"""

import os
import threading
from pathlib import Path

__all__ = [
    "cache_folder",
    "check_file",
    "data_folder",
    "parsed_folder",
    "reason",
    "write_atomically",
]

PARTIAL = ".partial"  # how the name of a file ends that is being written
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
    return _folder("CVAE_DATA_DIR") or _user_cache()


def parsed_folder() -> Path:
    """Folder of what was read from files of music, so that it need not be read again.

    Returns
    -------
    Path
        ``cvae/parsed`` in the user's cache folder; it may not exist, and can always be deleted.
    """
    return _user_cache() / "parsed"


def _user_cache() -> Path:
    return (_folder("XDG_CACHE_HOME") or Path.home() / ".cache") / "cvae"


def _folder(variable: str) -> Path | None:
    """Folder that an environment variable names."""
    chosen = os.environ.get(variable)
    try:
        return Path(chosen).expanduser() if chosen else None
    except RuntimeError:  # ~ and the name of someone unknown
        raise ValueError(f"{variable}: got {chosen!r}, whose home folder is not known") from None


def check_file(path: Path, most: int) -> None:
    """Raise ValueError unless a file is there, is not empty and has at most `most` bytes."""
    try:
        if not path.is_file():
            raise ValueError(f"{path}: {'not a file' if path.exists() else 'no such file'}")
        size = path.stat().st_size
    except OSError as error:  # a folder that is closed to us, a name too long
        raise ValueError(f"{path}: {error.strerror}") from None
    if size == 0:
        raise ValueError(f"{path}: the file is empty")
    if size > most:
        raise ValueError(f"{path}: its {size} bytes are more than the limit of {most}")


def reason(error) -> str:
    """What an error of another library, or a value, says on one line of at most 200 characters."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def write_atomically(path: str | Path, data: bytes) -> None:
    """Write a file in one step: a crash leaves the old one or the new one, never half of one.

    Parameters
    ----------
    path : str or Path
    data : bytes

    Raises
    ------
    OSError
        If the file cannot be written; it names the file.
    """
    path = Path(path)
    partial = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}{PARTIAL}")
    try:
        with open(partial, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename, error.filename2 = str(path), None
        raise
