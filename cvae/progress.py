"""Progress bars: shown to people, silent in pipes, files, tests and stored notebooks."""

import os
import sys

__all__ = ["is_live", "progress_bar"]


def is_live():
    """Whether a kernel runs for a reader, and not for a test or for what a notebook stores."""
    return "ipykernel" in sys.modules and "PYTEST_CURRENT_TEST" not in os.environ


def progress_bar(iterable=None, show=None, **options):
    """A tqdm bar.

    Parameters
    ----------
    iterable : iterable, optional
    show : bool, optional
        By default a bar is shown on a terminal and in a live notebook.
    **options
        Passed on to tqdm.
    """
    from tqdm.auto import tqdm  # which a reader of scores alone does without

    if show is None:
        show = is_live() or (sys.stderr.isatty() and "PYTEST_CURRENT_TEST" not in os.environ)
    return tqdm(iterable, disable=not show, **options)
