"""Re-run the book's notebooks in place: ``make execute``, or ``make execute NB=book/x.ipynb``.

The stored outputs are what readers see and what ``pytest --nbval`` compares with, so they come
from here only: each notebook from the top in a clean kernel, on the CPU. A notebook that fails is
left as it was.
"""

import argparse
import os
import sys
import time
from pathlib import Path

import nbformat
import yaml
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

BOOK = Path(__file__).resolve().parent
TIMEOUT = 600  # seconds a cell, as in the tests

KERNEL_ENVIRONMENT = {
    # ipykernel copies what C++ writes to stderr (TensorFlow's log) into the outputs, except under
    # pytest, which it knows by this name. So references and tests see the same.
    "PYTEST_CURRENT_TEST": "reference",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",  # figures of a GPU differ in their last digits
}
KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
LANGUAGE = {"file_extension": ".py", "mimetype": "text/x-python", "name": "python"}
CELL_METADATA = ("tags", "mystnb")  # all else is some editor's
WIDGETS = "application/vnd.jupyter.widget-state+json"


def listed() -> list[Path]:
    """Pages that ``_toc.yml`` lists, in its order, the landing page first; some may not exist."""
    toc = yaml.safe_load((BOOK.parent / "_toc.yml").read_text(encoding="utf-8"))
    entries = [toc["root"], *(page["file"] for part in toc["parts"] for page in part["chapters"])]
    pages = [BOOK.parent / f"{entry}.md" for entry in entries]
    return [page if page.exists() else page.with_suffix(".ipynb") for page in pages]


def clean(notebook: nbformat.NotebookNode) -> None:
    """Drop outputs and all metadata that would differ from one machine or editor to the next."""
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNELSPEC, "language_info": LANGUAGE})
    for cell in notebook.cells:
        kept = {name: cell.metadata[name] for name in CELL_METADATA if cell.metadata.get(name)}
        cell.metadata = nbformat.from_dict(kept)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None


def number_widgets(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Number the widgets in the order in which they were made, instead of by chance."""
    state = notebook.metadata.get("widgets", {}).get(WIDGETS, {}).get("state", {})
    text = nbformat.writes(notebook)
    for number, name in enumerate(state):
        text = text.replace(name, widget_id(number))
    return nbformat.reads(text, as_version=4)


def widget_id(number: int) -> str:
    """Id of a stored widget, in the form that the kernel's have."""
    return f"{number:032x}"


def execute(path: Path) -> None:
    """Run a notebook from the top and write it back, all or nothing."""
    notebook = nbformat.read(path, as_version=4)
    clean(notebook)
    NotebookClient(
        notebook,
        timeout=TIMEOUT,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
        resources={"metadata": {"path": str(path.parent)}},
    ).execute()
    notebook.metadata["language_info"] = LANGUAGE  # the kernel adds its version
    notebook = number_widgets(notebook)
    nbformat.validate(notebook)
    partial = path.with_suffix(".partial")
    partial.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
    partial.replace(path)


def main() -> int:
    """Run the notebooks named, or all that are listed; return how many failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all in _toc.yml")
    chosen = parser.parse_args().notebooks
    os.environ.update(KERNEL_ENVIRONMENT)
    os.environ.pop("MPLBACKEND", None)  # figures go into the notebook
    failed = 0
    for path in chosen or [page for page in listed() if page.suffix == ".ipynb"]:
        start = time.perf_counter()
        try:
            execute(path)
        except (OSError, CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            failed += 1
            print(f"{path.name}: failed, left as it was\n{error}", file=sys.stderr)
        else:
            print(f"{path.name}: {time.perf_counter() - start:.0f} s", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
