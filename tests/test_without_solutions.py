"""The book without its solutions: nothing of one is left, and all else is."""

import functools
import html
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import without_solutions
import yaml
from execute import BOOK

ROOT = BOOK.parent
GATED, IN_ONE_CELL = "01_from_score_to_piano_roll", "training_on_gpu"
GATES = "```{solution-start} ex-a\n:label: sol-a\n```", "```{solution-end}\n```"
code, text = nbformat.v4.new_code_cell, nbformat.v4.new_markdown_cell


def strip(*cells):
    notebook = without_solutions.strip(nbformat.v4.new_notebook(cells=list(cells)))
    return [cell.source for cell in notebook.cells]


def test_what_stands_between_gates_is_dropped():
    start, end = GATES
    assert strip(text("a"), text(start), code("b"), text("c"), text(end), code("d")) == ["a", "d"]
    assert strip(text(f"a\n{start}\nb"), code("c"), text(f"d\n{end}\ne")) == ["a", "e"]
    block = "```{solution} ex-a\n:label: sol-a\n\nb\n```"
    assert strip(text(f"a\n\n{block}\nc"), text(block)) == ["a\n\nc"]


@pytest.mark.parametrize(
    "cells, message",
    [
        ([text(GATES[0])], "without its solution-end"),
        ([text(GATES[1])], "solution-end out of its place"),
        ([text(GATES[0]), text(GATES[0])], "solution-start out of its place"),
    ],
)
def test_gates_that_do_not_match_are_refused(cells, message):
    with pytest.raises(ValueError, match=message):
        strip(*cells)


def test_a_widget_in_a_solution_is_refused():
    shown = nbformat.v4.new_output(
        "display_data", {"application/vnd.jupyter.widget-view+json": {"model_id": "a"}}
    )
    with pytest.raises(ValueError, match="widget"):
        strip(text(GATES[0]), code("b", outputs=[shown]), text(GATES[1]))


def solution_lines(name):
    """What only the solutions of a notebook say: lines of code, of text and of output."""
    cells = nbformat.read(BOOK / f"{name}.ipynb", as_version=4).cells
    within, inside, outside = False, [], []
    for cell in cells:
        within = within or "{solution-start}" in cell.source
        printed = "".join(output.get("text", "") for output in cell.get("outputs", []))
        (inside if within else outside).append(f"{cell.source}\n{printed}")
        within = within and "{solution-end}" not in cell.source
    lines = {line.strip() for line in "\n".join(inside).splitlines()}
    there = "\n".join(outside)
    return {line for line in lines if len(line) > 20 and line not in there}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build two chapters, with solutions and without; whether -> site."""
    folder = tmp_path_factory.mktemp("book")
    without_solutions.main(folder / "no")
    (folder / "yes").mkdir()
    (folder / "yes/book").symlink_to(BOOK)
    toc = {
        "format": "jb-book",
        "root": f"book/{GATED}",
        "chapters": [{"file": f"book/{IN_ONE_CELL}"}],
    }
    for whether in ("yes", "no"):
        shutil.copy(ROOT / "_config.yml", folder / whether)
        (folder / whether / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")
        # Warnings are no errors: links to the chapters that are not here lead nowhere.
        build = [Path(sys.executable).with_name("jupyter-book"), "build", folder / whether, "-q"]
        run = subprocess.run(build, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
    return {whether: folder / whether / "_build/html" for whether in ("yes", "no")}


@functools.cache
def all_text(site):
    """Pages, also without their markup, their sources, and the search index."""
    pages = [path.read_text(encoding="utf-8") for path in site.glob("book/*.html")]
    shown = [html.unescape(re.sub("<[^>]*>", "", page)) for page in pages]
    sources = [path.read_text(encoding="utf-8") for path in site.glob("_sources/book/*")]
    read = [re.sub(r"\\(.)", r"\1", source.replace(r"\n", "")) for source in sources]  # JSON
    index = (site / "searchindex.js").read_text(encoding="utf-8")
    return "\n".join([*pages, *shown, *sources, *read, index])


@pytest.mark.parametrize("name", [GATED, IN_ONE_CELL])
def test_no_line_of_a_solution_is_left(built, name):
    lines = solution_lines(name)
    assert len(lines) > 10
    assert {line for line in lines if line in all_text(built["no"])} == set()
    assert {line for line in lines if line not in all_text(built["yes"])} == set()


def test_no_label_word_or_picture_of_a_solution_is_left(built):
    with_them, without = all_text(built["yes"]), all_text(built["no"])
    for mark in ("sol-music-foreign", "solution-start", 'class="solution'):
        assert mark in with_them and mark not in without
    assert "profile_key" in without  # the exercise itself stays
    pictures = {whether: set((site / "_images").iterdir()) for whether, site in built.items()}
    names = {whether: {path.name for path in paths} for whether, paths in pictures.items()}
    assert names["no"] <= names["yes"]
    sounds = {whether: len(re.findall("<audio", all_text(site))) for whether, site in built.items()}
    assert 0 < sounds["no"] <= sounds["yes"]


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    folder = tmp_path_factory.mktemp("copy") / "copy"
    assert without_solutions.main(folder) == 0
    return folder / "book"


@pytest.mark.parametrize("name", ["teaching_marking.md", "teaching_misconceptions.md"])
def test_of_pages_that_say_what_is_right_the_headings_are_left(copied, name):
    text, left = ((folder / name).read_text(encoding="utf-8") for folder in (BOOK, copied))
    paragraphs = [paragraph for paragraph in left.splitlines() if paragraph]
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        paragraph for paragraph in paragraphs if paragraph != without_solutions.EMPTIED
    ]
    assert paragraphs[1] == without_solutions.EMPTIED


def test_the_five_questions_have_no_answers(copied):
    text, left = ((folder / "teaching.md").read_text(encoding="utf-8") for folder in (BOOK, copied))
    answers = re.findall(r"Answer\n:class: dropdown\n(.+?)\n:::", text, re.DOTALL)
    assert len(answers) == 5
    lines = {line for answer in answers for line in answer.splitlines()}
    assert not lines & set(left.splitlines())
    assert len(left.splitlines()) == len(text.splitlines()) - len(lines) - 4 * len(answers)


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
def test_make_knows_yes_and_no_only():
    run = subprocess.run(
        ["make", "-n", "book", "SOLUTIONS=maybe"], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 2 and run.stderr.count("\n") == 1
    assert "SOLUTIONS=maybe: say yes or no" in run.stderr
