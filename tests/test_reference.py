"""The reference: what its examples do, and which name of the text or of a cell means which entry.

That every public name has an entry is asked of the built book, in test_browser.py.
"""

import importlib
import pkgutil
import re
from pathlib import Path

import pytest
from api_links import entry_of, imports

import cvae
from cvae.music import load_corpus
from cvae.music.midi import write_midi

PAGES = sorted((Path(__file__).parent.parent / "book").glob("reference_*.md"))

ENTRIES = {
    "cvae.music.keys": "module",
    "cvae.music.keys.Key": "class",
    "cvae.music.keys.Key.transpose": "method",
    "cvae.music.keys.Key.name": "property",
    "cvae.music.pianoroll.transpose": "function",
    "cvae.models.LatentModel": "class",
    "cvae.models.LatentModel.elbo": "method",
    "cvae.models.LatentModel.infer_w": "method",
    "cvae.models.ClassifyingVAE.infer_w": "method",
    "cvae.runs.Run.start": "method",
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples_of_a_page_run_one_after_the_other(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_midi(load_corpus("jsb").test[0].roll, "piece.mid")
    examples = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    assert examples
    names = {}
    for example in examples:
        exec(example, names)


def test_each_module_says_what_is_public():
    """But `cvae` itself, which has no more than its version."""
    modules = [module.name for module in pkgutil.walk_packages(cvae.__path__, "cvae.")]
    silent = [name for name in modules if not hasattr(importlib.import_module(name), "__all__")]
    assert len(modules) > 40 and silent == []


@pytest.mark.parametrize(
    "name, here, full",
    [
        ("cvae.music.keys", "", "cvae.music.keys"),
        ("keys", "", None),  # a module, as a path only: the word is used for much else
        ("Key", "", "cvae.music.keys.Key"),
        ("music.Key", "", "cvae.music.keys.Key"),  # as the package has it
        ("plots.Key", "", None),
        ("keys.music.Key", "", None),
        ("transpose", "", "cvae.music.pianoroll.transpose"),
        ("transpose", "cvae.music.keys.Key.name", "cvae.music.keys.Key.transpose"),
        ("Key.transpose", "", "cvae.music.keys.Key.transpose"),
        ("name", "", None),  # of a class that the text does not name
        ("name", "cvae.music.keys.Key", "cvae.music.keys.Key.name"),
        ("start", "", None),
        ("elbo", "", "cvae.models.LatentModel.elbo"),
        ("infer_w", "", "cvae.models.LatentModel.infer_w"),
        ("infer_w", "cvae.models.ClassifyingVAE", "cvae.models.ClassifyingVAE.infer_w"),
        ("unheard_of", "", None),
    ],
)
def test_a_name_means_an_entry(name, here, full):
    assert entry_of(name, ENTRIES, here) == full


def test_names_of_cells_are_those_that_they_import():
    cells = """
%matplotlib inline
!pip install nothing
import numpy as np
from cvae import music
from cvae.runs import (
    load_run as load,
)
from os.path import join
for _ in range(2):
    from cvae.plots import plot_roll
"""
    assert imports(cells) == {
        "music": "cvae.music",
        "load": "cvae.runs.load_run",
        "plot_roll": "cvae.plots.plot_roll",
    }


def test_a_piece_of_code_imports_nothing():
    assert imports("for song in ...:\nfrom cvae import music") == {}
