"""Stored results: where they come from, and that what is quoted is what is stored."""

import json
import re

import pytest

from cvae.experiments import EXPERIMENTS, PUBLISHED, seeds_of
from cvae.paths import data_folder
from cvae.reproduce import NAMES, reproduce, summary

README = data_folder().parent / "README.md"
STORED = {path.stem for path in (data_folder() / "results").glob("*.json")}


@pytest.mark.parametrize("name", NAMES)
def test_results_are_those_of_the_experiments_as_they_stand(name):
    if name not in STORED:
        pytest.skip(f"not run yet: cvae reproduce --only {name}")
    stored = json.loads((data_folder() / "results" / f"{name}.json").read_text())
    assert stored["command"] == f"cvae reproduce --only {name}"
    if name not in EXPERIMENTS:
        return
    wanted = [json.dumps(row) for row in EXPERIMENTS[name]]
    fields = ("model", "corpus", "options", "training")
    got = [(json.dumps({f: row[f] for f in fields}), row["seed"]) for row in stored["rows"]]
    assert set(got) == {(row, seed) for row in wanted for seed in seeds_of(name)}
    for row in stored["rows"]:
        assert row["bound"] == pytest.approx(row["reconstruction"] + row["kl_z"] + row["kl_w"])


def test_readme_quotes_the_stored_results():
    text = README.read_text()
    table = text[text.index("## Results") : text.index("## What lies where")]
    quoted = re.findall(r"(\d+\.\d+) ± (\d+\.\d+)", table)
    stored = set()
    for name in STORED & EXPERIMENTS.keys():
        for row in summary(name):
            spreads = [value for value in row.values() if isinstance(value, tuple)]
            for spread in (*spreads, *row["key_accuracy"].values()):
                stored.add(tuple(f"{value:.2f}" for value in spread))
    assert len(quoted) >= 8
    assert set(quoted) <= stored


@pytest.mark.parametrize("name", PUBLISHED.values())
def test_published_models_load_and_know_their_corpus(name):
    from cvae.music import load_corpus
    from cvae.runs import load_run

    run = load_run(name)
    corpus = load_corpus(run.settings["corpus"])
    assert tuple(run.settings["keys"]) == corpus.keys
    assert sum(path.stat().st_size for path in run.folder.iterdir()) < 2e6


def test_unknown_experiment():
    with pytest.raises(ValueError, match="must be one of class-weight"):
        reproduce(only="everything")
