"""Stored results: where they come from, and that what is quoted is what is stored."""

import dataclasses
import json
import re

import numpy as np
import pytest

import cvae.reproduce
from cvae.experiments import CERTAINTIES, EXPERIMENTS, PUBLISHED, seeds_of
from cvae.paths import data_folder
from cvae.reproduce import NAMES, ROW, reproduce, results, summary
from cvae.runs import model_options
from cvae.training import TrainingConfig

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
    got = [({f: row[f] for f in ROW if f in row}, row["seed"]) for row in stored["rows"]]
    got = [(json.dumps(row), seed) for row, seed in got]
    assert set(got) == {(row, seed) for row in wanted for seed in seeds_of(name)}
    for row in stored["rows"]:
        assert row["bound"] == pytest.approx(row["reconstruction"] + row["kl_z"] + row["kl_w"])


def test_in_key_compares_each_song_with_itself(tiny_corpus, monkeypatch):
    """Songs differ much more than the models do; the interval must not show it."""
    rng, base = np.random.default_rng(0), np.linspace(0.5, 0.9, 40)
    gains = {1: 0.05, 3: 0.0, 5: -0.03, 6: 0.02}  # of the Classifying rows

    def run(row):
        certainties = (None, *CERTAINTIES) if row in gains else (None,)
        return [
            {
                "row": row,
                "split": split,
                "certainty": certainty,
                "statistics": {"polyphony": 4.0},
                "rates": base + gains.get(row, 0) + rng.normal(0, 0.01, 40),
            }
            for split in ("valid", "test")
            for certainty in certainties
        ]

    monkeypatch.setattr(cvae.reproduce, "load_corpus", lambda name: tiny_corpus)
    found = cvae.reproduce._in_key_rows([run(row) for row in range(7) for seed in range(3)])
    data, compared = found[:1], [row for row in found if row["model"] != "data"]
    assert data[0]["model"] == "data" and len(compared) == 2 * 4 * (1 + len(CERTAINTIES))
    for row, gain in zip(compared[: 4 * 8 : 8], gains.values(), strict=True):
        low, high = row["interval"]
        assert low < row["difference"] < high < low + 0.01
        assert row["difference"] == pytest.approx(gain, abs=0.005)
        assert len(row["samples"]) == len(row["plain"]) == 3


# README's tables in their order: what their columns hold, experiment and row of each line.
WITH_MEMORY = [("twins", 2), ("twins", 3), ("storn", 1), ("collapse", 0)]
WITH_MEMORY += [("twins", row) for row in (4, 5, 6)]
BEYOND = [("literature", 0), ("tighter", 0), ("made", 0), ("classifying", 1), ("classifying", 0)]
CLASS_WEIGHTS = [("class-weight", row) for row in (4, 2, 1)]
TABLES = [
    (("bound", "1"), [("changes", 0), *CLASS_WEIGHTS, ("twins", 0)]),
    (("bound", "1"), [("corpora", row) for row in range(4)]),
    (("bound", "window_bound", "kl_z", "kl_w", "16"), WITH_MEMORY),
    (("bound", "iw_bound", "mixture_bound", "kl_z"), BEYOND),
    (("bound", "kl_z", "kl_w", "16"), [("piano", row) for row in range(4)]),
]


def spreads_of(experiment, row, columns):
    scores = summary(experiment)[row]
    if not scores["model"].startswith("cl-"):
        del scores["kl_w"]
    scores |= scores["key_accuracy"]
    return [scores[column] for column in columns if column in scores]


def test_readme_tables_are_the_stored_results():
    lengths = ("1", "4", "8", "16", "32", "song")
    lines = [spreads_of(*line, columns) for columns, table in TABLES for line in table]
    bounds = [row["bound"] for row in summary("table")]
    lines += [bounds[model::6] for model in range(6)]
    lines += [spreads_of("key", row, lengths) for row in range(2)]
    stored = [[f"{mean:.2f} ± {sd:.2f}" for mean, sd in line] for line in lines]
    tables = [line for line in README.read_text().splitlines() if line.startswith("|")]
    quoted = [re.findall(r"\d+\.\d+ ± \d+\.\d+", line) for line in tables]
    assert [line for line in quoted if line] == stored


def test_readme_quotes_the_stored_results():
    text = README.read_text()
    table = text[text.index("## Results") : text.index("## What lies where")]
    quoted = re.findall(r"(\d+\.\d+) ± (\d+\.\d+)", table)
    stored = set()
    for name in STORED & EXPERIMENTS.keys():
        for row in summary(name):
            spreads = [value for value in row.values() if isinstance(value, tuple)]
            for spread in (*spreads, *row["key_accuracy"].values(), *row["samples"].values()):
                stored.add(tuple(f"{value:.2f}" for value in spread))
    assert len(quoted) >= 8
    assert set(quoted) <= stored


def test_readme_says_how_long_the_trainings_took():
    runs = [run for name in EXPERIMENTS for run in results(name) if run["split"] == "test"]
    seconds = [run["seconds"] for run in runs if "seconds" in run]
    prose = " ".join(README.read_text().split())
    assert f"{len(seconds)} of its {len(runs)} trainings" in prose
    assert f"took {sum(seconds) / 3600:.0f} hours" in prose


def test_readme_quotes_the_stored_key_inference():
    text, rows = README.read_text(), results("key-inference")
    for corpus in ("jsb-original", "jsb"):
        test = [r for r in rows if r.get("corpus") == corpus and r["split"] == "test"]
        best = [f"{max(r['profiles'].values()):.2f}" for r in test if r["part"] == "windows"]
        assert f"| best profile | {' | '.join(best)} |" in text
    local = {
        (r["part"], r["method"]): f"{r['agreement']:.2f}"
        for r in rows
        if "method" in r and "agreement" in r
    }
    prose = " ".join(text.split())
    ours, theirs = ("classifier + HMM", "temperley + HMM")
    assert f"on {local['local keys', ours]} of the quarter notes" in prose
    assert f"the same on {local['local keys', theirs]};" in prose
    unseen = [local["local keys, unseen", name] for name in (ours, theirs)]
    assert f"it is {unseen[0]} and {unseen[1]}." in prose


def test_readme_quotes_the_stored_gains_in_key():
    number = r"(-?\d\.\d{3})"
    quoted = re.findall(rf"{number} \({number} to {number}\)", README.read_text())
    stored = {
        tuple(f"{value:.3f}" for value in (row["difference"], *row["interval"]))
        for row in results("in-key")
        if row["split"] == "test" and "difference" in row
    }
    assert len(quoted) == 8 and set(quoted) <= stored


@pytest.mark.parametrize("name", PUBLISHED.values())
def test_published_models_load_and_know_their_corpus(name):
    from cvae.music.corpora import FILES
    from cvae.paths import cache_folder
    from cvae.runs import load_run

    run = load_run(name)
    assert sum(path.stat().st_size for path in run.folder.iterdir()) < 2e6
    corpus = run.settings["corpus"]
    if corpus in FILES and not (cache_folder() / FILES[corpus]).exists():
        pytest.skip(f"needs `cvae corpus fetch {corpus}`")
    run.check_unchanged(run.corpus())
    assert tuple(run.settings["keys"]) == run.corpus().keys


def test_a_run_is_known_again_whatever_settings_came_later():
    from cvae.reproduce import _check_same

    wanted = {"model": "vae", "corpus": "jsb", "keys": ["C major"], "version": "2"}
    wanted["training"] = dataclasses.asdict(TrainingConfig(epochs=3))
    wanted["options"] = {k: v for k, v in model_options("vae").items() if k != "classes"}
    older = wanted | {"version": "1", "training": {"epochs": 3}, "options": {"latent_dim": 2}}
    _check_same("runs/x", older, wanted)
    with pytest.raises(ValueError, match=r"\Aruns/x: holds a run whose training is [^\n]+\Z"):
        _check_same("runs/x", older | {"training": {"epochs": 4}}, wanted)


def test_another_run_in_the_place_is_left_as_it_is(tmp_path):
    """One that has weights, and no state to resume from."""
    from cvae.reproduce import _trained
    from cvae.runs import SETTINGS, WEIGHTS

    published = data_folder() / "models" / "jsb-vae"
    for name in (SETTINGS, WEIGHTS):
        (tmp_path / name).write_bytes((published / name).read_bytes())
    row = EXPERIMENTS["corpora"][1]
    with pytest.raises(ValueError, match="holds a run whose model is vae, not cl-vae; delete it"):
        _trained(tmp_path, row, 0)
    assert {path.name for path in tmp_path.iterdir()} == {SETTINGS, WEIGHTS}
    assert (tmp_path / WEIGHTS).read_bytes() == (published / WEIGHTS).read_bytes()


def test_results_are_those_of_any_file_of_rows():
    assert "weight-norm" not in NAMES and results("weight-norm")
    with pytest.raises(ValueError, match="bench.json: not laid out as it should be"):
        results("bench")
    with pytest.raises(ValueError, match="nothing.json: no such file"):
        results("nothing")


def test_unknown_experiment():
    with pytest.raises(ValueError, match="must be one of class-weight"):
        reproduce(only="everything")
