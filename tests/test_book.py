"""The notebooks as they are committed: executed in order, legible, small, and compared by nbval.

CONTRIBUTING.md gives the rules in words.
"""

import base64
import json
import re

import nbformat
import pytest
from execute import (
    BOOK,
    CELL_METADATA,
    KERNELSPEC,
    LANGUAGE,
    WIDGETS,
    listed,
    number_widgets,
    widget_id,
)

PAGES = listed()
NOTEBOOKS = [page for page in PAGES if page.suffix == ".ipynb"]
CHAPTERS = [page for page in NOTEBOOKS if re.match(r"\d\d_|training_on_gpu|capstone", page.name)]

NOT_COMPARED = "nbval-ignore-output"
MOST_NOT_COMPARED = 0.15
MOST_LINES = 15
MOST_BYTES = 2_000_000
MOST_AUDIO_BYTES = 130_000
MOST_AUDIO_BYTES_IN_WIDGETS = 40_000  # there are many, and a page carries all of them
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
WIDGET_REFERENCE = re.compile(r"IPY_MODEL_(\w+)")
IMAGES = {"image/png", "image/jpeg", "image/gif", "image/svg+xml", "application/pdf"}
SKIPS = re.compile(r"nbval[-_]skip|skip-execution", re.IGNORECASE)
MARKED_BY_COMMENT = re.compile(r"^# *NBVAL_", re.MULTILINE)
MACHINE_PATH = re.compile(r"(?<![\w.+/=])(?:/(?:home|root|Users|tmp|work|opt)/\w|[A-Z]:\\Users)")
ADDRESS = re.compile(r"\bat 0x[0-9a-f]{6,}")
AUDIO = re.compile(r"data:audio/[\w.+-]+;base64,([A-Za-z0-9+/=]+)")
FRONT_MATTER = ("After this chapter you can", "You need", "Time", "Downloads")
DIRECTIVE = re.compile(
    r"^```+\{(exercise|exercise-start|solution|solution-start|solution-end)\} *([^\n]*)\n(.*?)^```",
    re.MULTILINE | re.DOTALL,
)


def notebook_test(paths):
    return pytest.mark.parametrize("path", paths, ids=lambda path: path.name)


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def tags(cell):
    return cell.metadata.get("tags", [])


def outputs_of(notebook):
    return [(cell, output) for cell in code_cells(notebook) for output in cell.outputs]


def cell_name(cell):
    return f"In [{cell.execution_count}]: {cell.source.splitlines()[0]}"


def markdown(notebook):
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def test_every_listed_page_exists():
    assert [page.name for page in PAGES if not page.exists()] == []


def test_every_notebook_is_listed():
    there = {path for path in BOOK.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts}
    assert there <= set(PAGES), "a notebook that _toc.yml does not list is neither built nor linted"


@notebook_test(NOTEBOOKS)
def test_is_a_valid_notebook_for_any_kernel(path):
    notebook = read(path)
    nbformat.validate(notebook)
    expected = {"kernelspec": KERNELSPEC, "language_info": LANGUAGE}
    if widget_views(notebook):
        expected["widgets"] = {WIDGETS: notebook.metadata.widgets[WIDGETS]}
    assert notebook.metadata == expected, "make execute writes it"
    foreign = {name for cell in notebook.cells for name in cell.metadata} - set(CELL_METADATA)
    assert foreign == set()
    assert path.stat().st_size < MOST_BYTES


def widget_views(notebook):
    """Ids of the widgets that outputs show."""
    views = [output.get("data", {}).get(WIDGET_VIEW) for _, output in outputs_of(notebook)]
    return [view["model_id"] for view in views if view]


@notebook_test(NOTEBOOKS)
def test_widgets_work_without_a_kernel(path):
    """What is shown, and all that it refers to, is stored; its ids are the same each time."""
    notebook = read(path)
    views = widget_views(notebook)
    if not views:
        return
    stored = notebook.metadata.widgets[WIDGETS]
    state = stored["state"]
    assert (stored["version_major"], list(state)) == (2, [widget_id(n) for n in range(len(state))])
    assert set(views + WIDGET_REFERENCE.findall(json.dumps(state))) <= set(state)
    shown = json.dumps([model["state"] for model in state.values()])
    assert not MACHINE_PATH.search(re.sub(r"base64,[A-Za-z0-9+/=]+", "", shown))
    assert not re.search(r"<img(?![^>]*\balt=\\\"\w)|<audio(?![^>]*\baria-label=\\\"\w)", shown)
    sizes = [len(base64.b64decode(clip)) for clip in AUDIO.findall(shown)]
    assert max(sizes, default=0) <= MOST_AUDIO_BYTES_IN_WIDGETS


def test_widgets_are_numbered():
    ids = ["b" * 32, "a" * 32]
    state = {ids[0]: {"state": {"children": [f"IPY_MODEL_{ids[1]}"]}}, ids[1]: {"state": {}}}
    data = {WIDGET_VIEW: {"model_id": ids[0]}, "text/plain": "VBox()"}
    cell = nbformat.v4.new_code_cell(outputs=[nbformat.v4.new_output("display_data", data)])
    notebook = nbformat.v4.new_notebook(cells=[cell])
    notebook.metadata["widgets"] = {WIDGETS: {"version_major": 2, "state": state}}
    text = nbformat.writes(number_widgets(notebook))
    first, second = widget_id(0), widget_id(1)
    assert text.count(first) == 2 and text.count(second) == 2 and text.count("b" * 32) == 0
    assert f"IPY_MODEL_{second}" in text and nbformat.reads(text, 4) == number_widgets(notebook)


@notebook_test(NOTEBOOKS)
def test_was_run_from_the_top(path):
    cells = code_cells(read(path))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))


@notebook_test(NOTEBOOKS)
def test_has_no_errors_or_warnings(path):
    found = [
        cell_name(cell)
        for cell, output in outputs_of(read(path))
        if (output.output_type == "error" and "raises-exception" not in tags(cell))
        or output.get("name") == "stderr"
    ]
    assert found == []


@notebook_test(NOTEBOOKS)
def test_cells_are_short(path):
    long = [cell for cell in code_cells(read(path)) if len(cell.source.splitlines()) > MOST_LINES]
    assert [cell_name(cell) for cell in long] == []


@notebook_test(NOTEBOOKS)
def test_pictures_are_png_with_alt_text(path):
    notebook = read(path)
    for cell, output in outputs_of(notebook):
        kinds = IMAGES & set(output.get("data", {}))
        assert kinds <= {"image/png"}, cell_name(cell)
        if kinds:
            alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
            assert len(alt.split()) >= 3, f"{cell_name(cell)}: mystnb.image.alt is {alt!r}"
    assert re.findall(r"!\[\s*\]\(|<img(?![^>]*\balt=)", markdown(notebook)) == []


@notebook_test(NOTEBOOKS)
def test_audio_is_small(path):
    text = path.read_text(encoding="utf-8")
    sizes = [len(base64.b64decode(clip)) for clip in AUDIO.findall(text)]
    assert max(sizes, default=0) <= MOST_AUDIO_BYTES


@notebook_test(NOTEBOOKS)
def test_shows_nothing_of_one_machine(path):
    notebook = read(path)
    found = []
    for cell in notebook.cells:
        shown = AUDIO.sub("", cell.source + json.dumps(_texts(cell)))
        found += MACHINE_PATH.findall(shown) + ADDRESS.findall(shown)
    assert found == []


def _texts(cell):
    shown = []
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        shown += [output.get("text")] + [data[kind] for kind in data if kind not in IMAGES]
    return shown


@notebook_test(NOTEBOOKS)
def test_nothing_is_skipped_and_each_mark_has_its_reason(path):
    cells = code_cells(read(path))
    for cell in cells:
        marks = " ".join(tags(cell)) + "\n" + cell.source
        assert not SKIPS.search(marks), cell_name(cell)
        assert not MARKED_BY_COMMENT.search(cell.source), f"{cell_name(cell)}: use the tag"
        if NOT_COMPARED in tags(cell):
            assert re.search(r"^# not compared: \w+", cell.source, re.MULTILINE), cell_name(cell)


@notebook_test(NOTEBOOKS)
def test_live_training_is_asserted_after_it(path):
    cells = code_cells(read(path)) + [None]
    for cell, following in zip(cells, cells[1:], strict=False):
        if NOT_COMPARED in tags(cell) and re.search(r"# not compared:.*train", cell.source):
            assert following and NOT_COMPARED not in tags(following), cell_name(cell)
            assert "assert " in following.source, cell_name(following)


def test_nearly_all_cells_are_compared(capsys):
    cells = [cell for path in NOTEBOOKS if path.exists() for cell in code_cells(read(path))]
    marked = sum(NOT_COMPARED in tags(cell) for cell in cells)
    with capsys.disabled():
        print(f"\n{marked} of the book's {len(cells)} code cells are run but not compared")
    assert marked <= MOST_NOT_COMPARED * len(cells)


@notebook_test(CHAPTERS)
def test_chapter_opens_with_front_matter(path):
    opening = "\n".join(
        cell.source for cell in read(path).cells[:3] if cell.cell_type == "markdown"
    )
    assert [item for item in FRONT_MATTER if item not in opening] == []
    assert re.search(r"\bminutes? to read\b.*\bto run\b", opening, re.DOTALL)


@notebook_test(CHAPTERS)
def test_chapter_has_exercises_at_three_levels_with_folded_solutions(path):
    directives = DIRECTIVE.findall(markdown(read(path)))
    exercises = [
        re.search(r"^:label: *(\S+)", body, re.MULTILINE).group(1)
        for name, _, body in directives
        if name.startswith("exercise")
    ]
    solved = [
        label.strip() for name, label, _ in directives if name in ("solution", "solution-start")
    ]
    levels = [
        re.search(r"\((warm-up|practice|challenge)\)$", title).group(1)
        for name, title, _ in directives
        if name.startswith("exercise")
    ]
    assert set(levels) == {"warm-up", "practice", "challenge"}
    assert sorted(exercises) == sorted(solved)
    assert all(
        re.search(r"^:class: *dropdown", body, re.MULTILINE)
        for name, _, body in directives
        if name in ("solution", "solution-start")
    )
    gates = [name for name, *_ in directives if name in ("solution-start", "solution-end")]
    assert gates == ["solution-start", "solution-end"] * (len(gates) // 2)
