"""Progress bars: shown to people, silent in pipes, files, tests and stored notebooks."""

import os
import sys

__all__ = ["progress_bar"]


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
        live = "ipykernel" in sys.modules or sys.stderr.isatty()
        show = live and "PYTEST_CURRENT_TEST" not in os.environ
    return tqdm(iterable, disable=not show, **options)
