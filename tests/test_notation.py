"""One notation in the whole book: formulas use the symbols of notation.md, spelt one way."""

import re

import nbformat
import pytest
from execute import listed

PAGES = {page.name: page for page in listed()}
# Explained where they are used, and in more than one meaning; no letter of the table is among them.
LOCAL = set("abcdfgnruAMO") | {r"\alpha", r"\ell", r"\Delta", r"\Phi"}
INDICES = set("ijklt")
CONSTANTS = {"e", "I", r"\pi", r"\partial", r"\nabla"}
WORDS = r"\\(?:text|mathrm|mathbb|mathcal|mathbf|begin|end|big+[lr]?|Big+[lr]?)\*?(?:\{[^{}]*\})?"
LAYOUT = (
    "log exp tanh cos sin sum prod int frac tfrac sqrt sim approx propto in to mapsto le ge pm mid "
    "Vert odot times cdot top dots qquad quad textstyle underbrace left right bmod"
).split()
ONE_SPELLING = {
    r"(?<![\\|])\|(?!\|)": r"\mid, or \Vert in a KL divergence",
    r"\\[|]": r"\Vert",
    r"\\operatorname": r"\mathrm",
    r"\\var(epsilon|phi|theta)": "the plain letter",
    r"\\ln\b": r"\log",
    r"D_\{?\\?(mathrm|text)?\{?KL": r"\mathrm{KL}",
    r"(?<![A-Za-z{])KL\b": r"\mathrm{KL}",
    r"_\{\w+,\s+\w": "x_{t,i}, without a space",
    r"p_\{\\theta\}|q_\{\\phi\}": r"p_\theta, q_\phi",
}


def text_of(page):
    """Markdown of a page, without code."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".ipynb":
        cells = nbformat.reads(text, as_version=4).cells
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return re.sub(r"`+[^`\n]*`+", "", re.sub(r"^```\w+\n.*?^```$", "", text, flags=re.M | re.S))


def formulas(page):
    found = re.finditer(r"\$\$(.+?)\$\$|(?<![\\$])\$(?!\s)([^$]+?)\$", text_of(page), re.S)
    return [block or line for block, line in (match.groups() for match in found)]


def symbols(formula):
    """Letters, Latin and Greek, without what stands below or above them."""
    names = re.findall(r"\\[A-Za-z]+|[A-Za-z]", re.sub(WORDS, " ", formula))
    return {name for name in names if name.lstrip("\\") not in LAYOUT}


def rows():
    """First column of the tables of the page: formulas."""
    page = PAGES["notation.md"].read_text(encoding="utf-8")
    return [re.findall(r"\$([^$]+)\$", row) for row in re.findall(r"^\| (\$.+?) \| ", page, re.M)]


EXPLAINED = {name for row in rows() for formula in row for name in symbols(formula)}


def test_a_symbol_has_one_row():
    names = [name for row in rows() for each in row for name in re.split(r", (?![^(]*\))", each)]
    assert len(names) > 40
    assert sorted(names) == sorted(set(names))
    assert not LOCAL & set(names)


@pytest.mark.parametrize("name", PAGES)
def test_every_symbol_is_explained(name):
    used = {symbol for formula in formulas(PAGES[name]) for symbol in symbols(formula)}
    assert used <= EXPLAINED | LOCAL | INDICES | CONSTANTS


def test_every_explained_symbol_is_used():
    pages = [page for name, page in PAGES.items() if name != "notation.md"]
    assert EXPLAINED <= {
        s for page in pages for formula in formulas(page) for s in symbols(formula)
    }


@pytest.mark.parametrize("name", PAGES)
def test_one_spelling(name):
    for formula in formulas(PAGES[name]):
        for spelling, right in ONE_SPELLING.items():
            assert not re.search(spelling, formula), f"{formula}: write {right}"
