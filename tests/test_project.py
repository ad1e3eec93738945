"""The project's own promises: light imports, a lock that covers the ranges, commands that parse."""

import ast
import importlib.metadata
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import cvae
from cvae import cli

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^cvae .*", README, re.MULTILINE)
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
TARGETS = re.findall(r"(?:^|`)make ([a-z]+)", README + CONTRIBUTING, re.MULTILINE)

# In two parts each, since this file is checked too.
REGISTRIES = "|".join(
    first + r"\." + last
    for first, last in (("py" + "pi", "org"), ("python" + "hosted", "org"), ("npm" + "js", "org"))
)
FOREIGN = re.compile(rf"(?<![\w.])/(?:home|root|work|opt|Users)/\w|{REGISTRIES}")


@pytest.mark.parametrize(
    "statement, absent",
    [
        ("import cvae", {"tensorflow", "music21", "keras", "matplotlib"}),
        ("import cvae.cli", {"tensorflow", "music21"}),
        ("import cvae.music", {"tensorflow", "music21", "keras"}),
        (
            "import cvae.music.midi, cvae.music.audio, cvae.plots",
            {"tensorflow", "music21", "keras"},
        ),
    ],
)
def test_imports_are_light(statement, absent):
    """Each in a Python of its own; printed are the packages that came in."""
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert absent & set(run.stdout.split()) == set()


def test_models_know_no_music():
    code = "import sys, cvae.models\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {m for m in run.stdout.split() if m.startswith("cvae.music")} == set()


def test_what_the_package_imports_is_declared():
    imported = set()
    for path in (ROOT / "cvae").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module.split(".")[0])
    providers = importlib.metadata.packages_distributions()
    declared = {_normal(Requirement(line).name) for line in PROJECT["dependencies"]}
    undeclared = {
        name
        for name in imported - {"cvae"} - sys.stdlib_module_names
        if not declared & set(map(_normal, providers.get(name, [])))
    }
    assert undeclared == set()


def locked():
    """Name -> version, from requirements.txt."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    for pin in pins:
        (specifier,) = pin.specifier
        assert specifier.operator == "==" and "*" not in specifier.version and not pin.url, str(pin)
    return {_normal(pin.name): next(iter(pin.specifier)).version for pin in pins}


def _normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_lock_covers_the_ranges():
    ranges = PROJECT["dependencies"] + sum(PROJECT["optional-dependencies"].values(), [])
    versions = locked()
    wrong = [
        f"{wanted}: the lock has {versions.get(_normal(wanted.name))}"
        for wanted in map(Requirement, ranges)
        if not wanted.specifier.contains(versions.get(_normal(wanted.name), "0"), prereleases=True)
    ]
    assert wrong == [], "run `make lock`"


def test_versions_agree():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (\S+)", citation, re.MULTILINE).group(1) == cvae.__version__


def test_readme_shows_every_command():
    assert {command.split()[1] for command in COMMANDS} == {
        "train",
        "sample",
        "key",
        "evaluate",
        "corpus",
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_of_the_readme_parse(command, monkeypatch):
    """Through the real parser, up to the function that would do the work."""
    called = []
    for name in ("train", "sample", "key", "evaluate", "corpus_build", "corpus_info"):
        monkeypatch.setattr(cli, name, lambda args: called.append(args))
    assert cli.main(shlex.split(command, comments=True)[1:]) == 0
    assert len(called) == 1


def test_targets_of_the_documents_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert set(TARGETS) <= set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))


def test_no_file_names_a_machine_or_a_package_registry(texts):
    found = [
        f"{path}: {match.group()}"
        for path, text in texts.items()
        for match in FOREIGN.finditer(text)
    ]
    assert found == []
