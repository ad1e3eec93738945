"""Where the book is published, and the files that GitHub and Binder read.

The repository's address stands in ``_config.yml``, and in the first cell of each notebook, which is
kept in step with it: what else needs it is derived from there.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import address
import nbformat
import pytest
import yaml
from check_pages import faults, wrong_buttons

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / "_config.yml"
NOTEBOOKS = sorted((ROOT / "book").glob("*.ipynb"))
URL = "https://github.com/some-one/some.book"  # a made-up one
REPOSITORY = {"url": URL, "branch": "main"}
COLAB = "https://colab.research.google.com/github/some-one/some.book/blob/main/book/page.ipynb"
BINDER = "https://mybinder.org/v2/gh/some-one/some.book/main?urlpath=lab/tree/book/page.ipynb"

# Repositories of others that our files may name, and the form in which ours is asked for.
OTHERS = {
    "mobeets/classifying-vae-lstm",
    "locuslab/TCN",
    "cheriell/ClassicalPianoMIDI-dataset",
    "OWNER/NAME",
}
NAMED = re.compile(
    r"(?:github\.com[/:]|githubusercontent\.com/|mybinder\.org/v2/gh/"
    r"|colab\.research\.google\.com/github/|img\.shields\.io/github/[\w/-]+?/)"
    r"([A-Za-z0-9-]+/[A-Za-z0-9._-]*[A-Za-z0-9_-])|(?<![\w.-])([\w-]+\.github\.io)"
)
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
FORMS = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"))


def load(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def set_address():
    """The address in ``_config.yml``, or the form in which it is asked for."""
    return load(CONFIG).get("repository", {}).get("url", address.UNSET)


def test_no_other_file_holds_the_address(texts):
    found = [
        (path, match[1] or match[2])
        for path, text in texts.items()
        for match in NAMED.finditer(text)
        if path not in (CONFIG, Path(__file__).resolve())
    ]
    installed = set_address().removeprefix("https://github.com/")
    ours = [
        f"{path}: {project}"
        for path, project in found
        if project not in OTHERS and (path not in NOTEBOOKS or project != installed)
    ]
    assert ours == [], "our own address is _config.yml's alone; another's project goes into OTHERS"
    assert OTHERS <= {project for _, project in found}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_starts_with_the_cell_that_installs_the_package_in_colab(path):
    title, first = nbformat.read(path, 4).cells[:2]
    assert title.cell_type == "markdown"
    assert first.source == address.SETUP.format(address=set_address()).rstrip()
    assert first.metadata.tags == ["remove-cell"]  # the page has no use for it


def test_buttons_are_shown_where_there_is_an_address():
    """As the file is now. Launch buttons alone would lead to Jupyter Book's own repository."""
    config = load(CONFIG)
    shown = "repository" in config
    assert ("launch_buttons" in config) == shown
    assert config["html"]["use_repository_button"] == config["html"]["use_issues_button"] == shown
    assert not config["html"]["use_edit_page_button"]  # nobody writes a notebook in a web page


@pytest.fixture
def copied(tmp_path):
    """What `make address` needs, in a folder of its own."""
    (tmp_path / "book").mkdir()
    for name in ("Makefile", "_config.yml", "book/address.py", "book/index.ipynb"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def make_address(folder, url):
    return subprocess.run(
        ["make", "--no-print-directory", "address", f"PYTHON={sys.executable}", f"URL={url}"],
        cwd=folder,
        capture_output=True,
        text=True,
    )


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
def test_one_command_sets_the_address(copied):
    config = copied / "_config.yml"
    run = make_address(copied, "https://github.com/an-other/name")
    said = "_config.yml and 1 notebooks: https://github.com/an-other/name\n"
    assert (run.returncode, run.stdout) == (0, said)
    for given in (URL, URL, f"{URL}.git", f"{URL}/"):  # again, and as browsers and git write it
        assert make_address(copied, given).returncode == 0
        assert load(config)["repository"] == REPOSITORY
        assert "an-other" not in config.read_text(encoding="utf-8")
        notebook = (copied / "book/index.ipynb").read_text(encoding="utf-8")
        original = (ROOT / "book/index.ipynb").read_text(encoding="utf-8")
        assert notebook == original.replace(f"git+{set_address()}", f"git+{URL}") != original
    before, after = load(CONFIG), load(config)
    assert after.pop("launch_buttons") == {
        "colab_url": "https://colab.research.google.com",
        "binderhub_url": "https://mybinder.org",
        "notebook_interface": "jupyterlab",
    }
    after.pop("repository")
    before["html"] |= {"use_repository_button": True, "use_issues_button": True}
    assert after == {key: before[key] for key in after}  # nothing else has changed
    old, new = (path.read_text(encoding="utf-8").splitlines() for path in (CONFIG, config))
    for was, now in zip(old, new, strict=True):  # comments stay as they are
        uncommented = re.sub(r"https://github\.com/\S+", URL, was.removeprefix("# "))
        assert now in (was, uncommented, was.replace("button: false", "button: true"))


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
@pytest.mark.parametrize("url", ["", "github.com/a/b", "'; touch it; '"])
def test_make_refuses_what_is_no_address(copied, url):
    run = make_address(copied, url)
    assert run.returncode == 2 and run.stderr.startswith("address: say make address URL=https://")
    assert (copied / "_config.yml").read_bytes() == CONFIG.read_bytes()
    assert sorted(path.name for path in copied.iterdir()) == ["Makefile", "_config.yml", "book"]


@pytest.mark.parametrize(
    "words",
    [
        [],
        [URL, URL],
        ["http://github.com/a/b"],
        ["https://gitlab.com/a/b"],
        ["https://github.com/a"],
        ["https://github.com/a/b/tree/main"],
        ["https://github.com/OWNER/NAME"],
        ["https://github.com/a/b\nurl: c"],
        ["https://github.com/a/b # c"],
        [r"https://github.com/a/\1"],
    ],
)
def test_bad_addresses_get_one_line(words, tmp_path, capsys):
    config = tmp_path / "_config.yml"
    shutil.copy(CONFIG, config)
    assert address.main(words, tmp_path) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "https://github.com/OWNER/NAME" in err
    assert config.read_bytes() == CONFIG.read_bytes()


@pytest.mark.parametrize(
    "buttons, repository, notebook, count",
    [
        ([], {}, "book/page.ipynb", 0),
        ([COLAB], {}, "book/page.ipynb", 1),
        (["https://github.com/executablebooks/jupyter-book"], {}, None, 1),
        ([COLAB, BINDER, URL, f"{URL}/issues/new?title=x"], REPOSITORY, "book/page.ipynb", 0),
        ([URL], REPOSITORY, "book/page.ipynb", 2),
        ([URL], REPOSITORY, None, 0),
        ([URL, COLAB], REPOSITORY, None, 1),
        ([COLAB, BINDER], {"url": f"{URL}s", "branch": "main"}, "book/page.ipynb", 4),
        ([COLAB, BINDER], {"url": URL, "branch": "other"}, "book/page.ipynb", 4),
        ([COLAB, BINDER], REPOSITORY, "page.ipynb", 4),
    ],
)
def test_buttons_lead_to_the_repository_or_are_not_there(buttons, repository, notebook, count):
    assert len(wrong_buttons(buttons, repository, notebook)) == count


def test_a_book_with_an_address_has_its_buttons(tmp_path):
    """A notebook and a page of text, built with our configuration and a made-up address."""
    config = address.with_address(CONFIG.read_text(encoding="utf-8"), URL)
    (tmp_path / "_config.yml").write_text(config, encoding="utf-8")
    (tmp_path / "_toc.yml").write_text(
        "format: jb-book\nroot: book/page\nchapters:\n  - file: book/text\n", encoding="utf-8"
    )
    book = tmp_path / "book"
    book.mkdir()
    for name in ("_static", "vendor_root", "references.bib", "api_links.py"):
        (book / name).symlink_to(ROOT / "book" / name)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# A page")])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, book / "page.ipynb")
    (book / "text.md").write_text("# A text\n", encoding="utf-8")
    command = "import sys; from jupyter_book.cli.main import main; sys.exit(main())"
    build = [sys.executable, "-c", command, "build", str(tmp_path), "--quiet", "--warningiserror"]
    subprocess.run(build, capture_output=True, check=True)
    site = tmp_path / "_build/html"
    page = (site / "book/page.html").read_text(encoding="utf-8")
    assert all(f'href="{link}"' in page for link in (URL, COLAB, BINDER))
    assert faults(site, REPOSITORY) == []
    bare = faults(site, {})
    assert sum("book/page.html: a button to" in line for line in bare) == 4
    assert sum("book/text.html: a button to" in line for line in bare) == 2


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_have_what_github_requires(path):
    workflow = load(path)
    assert {"name", True, "permissions", "jobs"} <= set(workflow)  # YAML reads `on` as true
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for job in workflow["jobs"].values():
        assert job["runs-on"] and job["steps"]
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", step.get("uses", "actions/a@v1"))
            command = step.get("run", "make venv").split()
            if command[0] == "make":
                assert re.search(rf"^{command[1]}:", makefile, re.MULTILINE), step
            else:
                assert (ROOT / command[0]).is_file(), step


def test_workflows_agree_on_versions():
    used = re.findall(
        r"uses: (\S+)@(\S+)", "".join(path.read_text(encoding="utf-8") for path in WORKFLOWS)
    )
    assert len(dict(used)) == len(set(used))


def test_pages_are_published_with_the_rights_that_it_takes():
    workflow = load(ROOT / ".github/workflows/pages.yml")
    assert workflow["permissions"] == {"contents": "read", "pages": "write", "id-token": "write"}
    job = workflow["jobs"]["publish"]
    assert job["environment"]["name"] == "github-pages"
    steps = {step.get("uses", "").split("@")[0]: step for step in job["steps"]}
    assert steps["actions/upload-pages-artifact"]["with"]["path"] == "_build/html"
    deployment = steps["actions/deploy-pages"]["id"]
    assert f"steps.{deployment}.outputs.page_url" in job["environment"]["url"]
    others = [load(path)["permissions"] for path in WORKFLOWS if path.name != "pages.yml"]
    assert all(permissions == {"contents": "read"} for permissions in others)


def test_links_are_looked_at_on_a_schedule():
    workflow = load(ROOT / ".github/workflows/links.yml")
    (when,) = workflow[True]["schedule"]
    assert len(when["cron"].split()) == 5
    assert {"run": "make links"} in workflow["jobs"]["links"]["steps"]
    for pattern in load(CONFIG)["sphinx"]["config"]["linkcheck_ignore"]:
        re.compile(pattern)


def test_updates_cover_what_there_is():
    updates = load(ROOT / ".github/dependabot.yml")
    assert updates["version"] == 2
    entries = {entry["package-ecosystem"]: entry for entry in updates["updates"]}
    assert set(entries) == {"pip", "github-actions"}
    assert (ROOT / "requirements.txt").exists() and WORKFLOWS
    for entry in entries.values():
        assert entry["directory"] == "/"
        assert entry["schedule"]["interval"] in ("daily", "weekly", "monthly")


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_issue_forms_have_what_github_requires(path):
    form = load(path)
    assert set(form) == {"name", "description", "body"}  # labels would have to exist
    assert all(isinstance(form[key], str) for key in ("name", "description"))
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    assert fields
    for field in fields:
        assert field["type"] in ("input", "textarea", "dropdown", "checkboxes")
        assert field["attributes"]["label"]
        options = field["attributes"].get("options", [])
        assert bool(options) == (field["type"] in ("dropdown", "checkboxes"))
        assert set(field) <= {"type", "id", "attributes", "validations"}
    for names in ([f["id"] for f in fields], [f["attributes"]["label"] for f in fields]):
        assert len(set(names)) == len(names)


def test_issue_forms_are_there():
    assert [path.stem for path in FORMS] == ["bug", "figure_or_text", "teaching"]
    assert len({load(path)["name"] for path in FORMS}) == len(FORMS)


def test_binder_installs_the_lock_and_this_checkout():
    """By repo2docker's rules: it reads .binder/ alone, and runs pip from the root."""
    folder = ROOT / ".binder"
    assert {path.name for path in folder.iterdir()} == {"requirements.txt", "runtime.txt"}
    lines = (folder / "requirements.txt").read_text(encoding="utf-8").splitlines()
    lines = [line for line in lines if not line.startswith("#")]
    assert lines == ["-r ../requirements.txt", "-e ."]
    python = re.fullmatch(r"python-(3\.\d+)\n", (folder / "runtime.txt").read_text())[1]
    tested = load(ROOT / ".github/workflows/test.yml")["jobs"]["test"]["strategy"]["matrix"]
    assert python in tested["python"]
