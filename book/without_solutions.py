"""Write a copy of the book's sources without solutions: ``make book SOLUTIONS=no`` builds from it.

Sphinx-exercise's own ``hide_solutions`` leaves the cells between ``solution-start`` and
``solution-end`` in the page, and all of a solution in the notebook that the page offers. The copies
are for students too, who run them in JupyterLab.
"""

import re
import shutil
import sys
from pathlib import Path

import nbformat
from execute import BOOK, listed

GATE = re.compile(r"^```\{solution-(start|end)\}.*?^```[^\S\n]*\n?", re.MULTILINE | re.DOTALL)
SOLUTION = re.compile(r"^```\{solution\}.*?^```[^\S\n]*\n?", re.MULTILINE | re.DOTALL)
ANSWER = re.compile(r"^:::\{admonition\} Answer\n.*?^:::\n\n?", re.MULTILINE | re.DOTALL)
TEACHING = "teaching.md"  # has questions, with answers
GIVING_AWAY = ("teaching_marking.md", "teaching_misconceptions.md")  # say what is right, too
EMPTIED = "This copy of the book has no solutions, and so of this page the headings only."


def strip(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Notebook without its solutions and all that stands between their gates."""
    kept, within = [], False
    for cell in notebook.cells:
        if cell.cell_type != "markdown":
            if not within:
                kept.append(cell)
            elif "jupyter.widget-view" in str(cell.get("outputs")):
                raise ValueError("a solution shows a widget, whose state would stay")
            continue
        texts = GATE.split(SOLUTION.sub("", cell.source))
        left = [] if within else texts[:1]
        for gate, text in zip(texts[1::2], texts[2::2], strict=True):
            if within != (gate == "end"):
                raise ValueError(f"a solution-{gate} out of its place")
            within = gate == "start"
            left += [] if within else [text]
        cell.source = "".join(left).strip()
        if cell.source:
            kept.append(cell)
    if within:
        raise ValueError("a solution-start without its solution-end")
    notebook.cells = kept
    return notebook


def emptied(text: str) -> str:
    """Headings of a page, for other pages link to them, and a line that says so."""
    title, *headings = re.findall("^#.*", text, re.MULTILINE)
    return "\n\n".join([title, EMPTIED, *headings]) + "\n"


def main(folder: Path) -> int:
    """Write the copy into `folder`, which must not be there yet."""
    shutil.copytree(BOOK, folder / BOOK.name)
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(BOOK.parent / name, folder)
    for page in listed():
        copy = folder / page.relative_to(BOOK.parent)
        if page.suffix == ".ipynb":
            try:
                nbformat.write(strip(nbformat.read(page, as_version=4)), copy)
            except ValueError as error:
                print(f"{page.name}: {error}", file=sys.stderr)
                return 2
        elif page.name in GIVING_AWAY:
            copy.write_text(emptied(page.read_text(encoding="utf-8")), encoding="utf-8")
        elif page.name == TEACHING:
            text = ANSWER.sub("", page.read_text(encoding="utf-8"))
            copy.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
