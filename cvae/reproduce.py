"""The figures of trained models that the book quotes, by one command: `cvae reproduce`.

The runs of `cvae.experiments` are trained, unless they are there already, and scored on the
validation and on the test split. Results are written to ``data/results/EXPERIMENT.json``.
"""

import dataclasses
import json
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from scipy.stats import bootstrap

import cvae
from cvae.evaluation import continuations, evaluate, pieces, sample_statistics
from cvae.examples import SONG
from cvae.experiments import (
    CERTAINTIES,
    EXPERIMENTS,
    MIXTURES,
    PUBLISHED,
    QUICK,
    TWINS,
    seeds_of,
)
from cvae.key_scores import calibration_row, file_row, local_key_rows, song_rows, window_rows
from cvae.models.checks import check_choice, check_sizes
from cvae.music import corpus_statistics, load_corpus, pitch_in_scale_rate
from cvae.music.corpora import CORPORA
from cvae.music.local_keys import analysed_chorales
from cvae.paths import data_folder, write_atomically
from cvae.progress import progress_bar
from cvae.quiet import import_tensorflow
from cvae.runs import SETTINGS, STATE, WEIGHTS, Run, load_run, load_settings, model_options
from cvae.stored import opened_json
from cvae.training import TrainingConfig, fit

__all__ = ["NAMES", "reproduce", "results", "summary"]

MEASURED = ("samples", "in-key", "key-inference", "statistics")
NAMES = (*EXPERIMENTS, *MEASURED)
"""What can be reproduced by itself."""

SPLITS = ("valid", "test")
SAMPLES = 500
SCORES = "scores.json"
ROW = ("model", "corpus", "options", "training", "key_classes")
# Fewer than 64 where that would take hours: the samples of w are taken times those of z.
IW_SAMPLES = (
    dict.fromkeys(("twins", "storn", "ablations", "piano", "standard"), 16)
    | dict.fromkeys(("made-jsb", "classifying", "classifying-piano"), 16)
    | {"table": 8}
    | dict.fromkeys(("key", "all-keys"), 1)
)
QUICKLY = {"draws": 1, "iw_samples": 1, "samples": 10, "mixture": False}
BAR = "{desc} {percentage:3.0f}%|{bar}| {elapsed} gone, about {remaining} to go"
SECONDS = 300  # that a run takes if there is no older result to tell


def reproduce(only=None, folder="runs", quick=False, jobs=1):
    """Train and score every row with every seed; resumable.

    Parameters
    ----------
    only : str, optional
        One of `NAMES`: an experiment, what is drawn from models of one ("samples" and "in-key"),
        how well keys are told ("key-inference"), or what the corpora hold ("statistics").
    folder : path
        Where the runs go. A run that is there is resumed, and neither trained nor scored again if
        that was done; delete its folder to start anew.
    quick : bool
        One epoch of each kind of model, made small, or of those of `only`, scored on the
        validation split alone: to see that it works. Results and weights go to `folder`.
    jobs : int
        Runs side by side, each in a process of its own. They share a GPU if there is one.

    Returns
    -------
    list of Path
        The result files.

    Raises
    ------
    ValueError
        For an unknown experiment, or a run with other settings in the place of one of these.
    MemoryError
        If a run's process was killed.
    """
    if only is not None:
        check_choice("only", only, NAMES)
    check_sizes(jobs=jobs)
    folder = Path(folder) / "quick" if quick else Path(folder)
    target = folder if quick else data_folder()
    names = [only] if only else QUICK if quick else NAMES
    if quick and only == "samples":
        names = ["corpora", "samples"]  # trains the models that the samples are drawn from
    plans = {name: _plan(name, folder, target, quick) for name in names}
    written = []
    # A fresh process for each long run: what TensorFlow has compiled stays in memory to the end.
    pool = ProcessPoolExecutor(
        jobs,
        get_context("spawn"),
        initializer=import_tensorflow,
        max_tasks_per_child=None if quick else 1,
    )
    try:
        costs = {name: _seconds(name, plan) for name, plan in plans.items()}
        with progress_bar(total=sum(map(sum, costs.values())), bar_format=BAR) as bar:
            # What is measured on trained models waits for all of them.
            for stage in (EXPERIMENTS, MEASURED):
                due = [name for name in names if name in stage]
                tasks = {name: [pool.submit(*step) for step in plans[name]] for name in due}
                for name in due:
                    for task, cost in zip(tasks[name], costs[name], strict=True):
                        task.add_done_callback(lambda _, cost=cost: bar.update(cost))
                for name in due:
                    bar.set_description_str(name)
                    parts = [task.result() for task in tasks[name]]
                    rows = _in_key_rows(parts) if name == "in-key" else sum(parts, [])
                    written.append(_write(target / "results" / f"{name}.json", rows))
    except BrokenProcessPool:
        raise MemoryError(
            "a run was killed, perhaps for want of memory; start again to go on, with fewer --jobs"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)
    return written


def _seconds(name, plan):
    """How long each call may take: as long as it once took, or no time if it was done before."""
    known = results(name) if (data_folder() / "results" / f"{name}.json").exists() else []
    seconds = []
    for function, *arguments in plan:
        once = SECONDS
        if function is _scored:
            folder, row, seed = arguments[:3]
            same = (old for old in known if old["seed"] == seed and row.items() <= old.items())
            done = (folder / SCORES).exists()
            once = 0 if done else next(same, {}).get("seconds", SECONDS)
        seconds.append(once)
    return seconds


def _plan(name, folder, target, quick):
    """Calls that an experiment consists of: (function, *arguments)."""
    if name == "samples":
        return [(sample_rows, target / "models", quick)]
    if name == "statistics":
        return [(_statistics, corpus) for corpus in CORPORA if "+" not in corpus]
    if name == "key-inference":
        return [(_key_rows, folder, quick)]
    if name == "in-key":
        runs = _runs("twins", folder, quick)
        return [(_continued, i, *run, quick) for (i, *_), run in runs]
    published = {folder / run: target / "models" / model for run, model in PUBLISHED.items()}
    plan = []
    for _, (path, row, seed) in _runs(name, folder, quick):
        scores = {"iw_samples": IW_SAMPLES.get(name, 64), "mixture": name in MIXTURES}
        both = {"valid": scores | {"iw_samples": 1, "mixture": False}, "test": scores}
        wanted = {"valid": QUICKLY} if quick else both
        plan.append((_scored, path, row, seed, wanted, published.get(path)))
    return plan


def _runs(name, folder, quick):
    """((number of the row, seed), (folder, row, seed)) of each run of an experiment."""
    rows = EXPERIMENTS[name]
    for i, row in enumerate(rows[: QUICK.get(name)] if quick else rows):
        if quick:
            training = row["training"] | {"epochs": 1, "kl_anneal": 0}
            if training.get("seq_length") == SONG:  # each length is compiled for itself
                training |= {"seq_length": 16, "batch_size": 200}
            row = row | {"training": training, "options": row["options"] | {"hidden_dim": 16}}
        for seed in seeds_of(name, quick):
            yield (i, seed), (folder / f"{name}-{i}-{seed}", row, seed)


def _trained(folder, row, seed):
    """The run of a row, trained to its end."""
    config = TrainingConfig(**row["training"], seed=seed)
    corpus = load_corpus(row["corpus"], row.get("key_classes", "relative-major"))
    options, training = row["options"] | {"seed": seed}, dataclasses.asdict(config)
    run = Run.plan(folder, row["model"], corpus, training, overwrite=True, **options)
    if (folder / SETTINGS).exists():
        _check_same(folder, load_settings(folder), run.settings)
    resume = (folder / STATE).exists()
    if not resume:
        run.start()
        (folder / SCORES).unlink(missing_ok=True)
    fit(run.model, corpus, config, folder, resume=resume, progress=False)
    return run, corpus


def _check_same(folder, there, wanted):
    """Raise ValueError if a run is another one; a setting that is newer than it has its default."""
    defaults = {
        "training": dataclasses.asdict(TrainingConfig()),
        "options": {k: v for k, v in model_options(wanted["model"]).items() if k != "classes"},
    }
    there = there | {part: default | there[part] for part, default in defaults.items()}
    for part in ("model", "corpus", "keys", "options", "training"):
        if there[part] != wanted[part]:
            raise ValueError(
                f"{folder}: holds a run whose {part} is {there[part]}, not {wanted[part]}; "
                "delete it to train anew"
            )


def _scored(folder, row, seed, wanted, published=None):
    """Scores of a row, kept beside the run: ``wanted`` has the options for each split.

    With the seconds that all took: of an interrupted run since its last start, of one that is
    scored anew those of before too.
    """
    start = time.perf_counter()
    run, corpus = _trained(folder, row, seed)
    path = folder / SCORES
    scores, there = [], []
    if path.exists():
        with opened_json(path) as scores:
            there = [_asked(stored) for stored in scores]
    asked = [(split, of["iw_samples"], of["mixture"]) for split, of in wanted.items()]
    if there != asked:
        before = scores[0].get("seconds", 0) if scores else 0
        scores = [
            evaluate(run.model, corpus, split, seed, **of_split, progress=False)
            for split, of_split in wanted.items()
        ]
        seconds = before + round(time.perf_counter() - start)
        scores = [of_split | {"seconds": seconds} for of_split in scores]
        write_atomically(path, json.dumps(scores).encode())
    if published:
        published.mkdir(parents=True, exist_ok=True)
        for name in (SETTINGS, WEIGHTS):
            write_atomically(published / name, (folder / name).read_bytes())
    return [row | scores_of_split for scores_of_split in scores]


def _asked(scores):
    """Split and options that tell whether stored scores are those that are wanted."""
    return scores["split"], scores["iw_samples"], scores.get("mixture_bound") is not None


def sample_rows(models, quick=False):
    """Statistics of samples of the published models beside the data's.

    500 samples of 64 steps in each given key, and as many from the plain VAE and with an inferred
    key from the same seeds: the first 16 steps of songs of the split. The certainty of a given key
    was chosen on the validation split.

    Returns
    -------
    list of dict
        split, model, key, certainty and the statistics; the data's own as model "data", from
        windows of 64 steps.
    """
    rows, count = [], 10 if quick else SAMPLES
    corpus = load_corpus("jsb")
    plain, classifying = (load_run(models / name).model for name in ("jsb-vae", "jsb-cl-vae"))
    for split in SPLITS:
        rows.append({"split": split, "model": "data"} | sample_statistics(*pieces(corpus, split)))
        for name, model in (("vae", plain), ("cl-vae, key inferred", classifying)):
            rolls, _, _ = continuations(model, corpus, split, count, key=None)
            statistics = sample_statistics(rolls)
            rows.append({"split": split, "model": name} | statistics)
        for certainty in CERTAINTIES:
            for k, key in enumerate(corpus.keys):
                told = {"key": k, "certainty": certainty}
                rolls, _, _ = continuations(classifying, corpus, split, count, **told)
                statistics = sample_statistics(rolls, [key] * len(rolls))
                row = {"split": split, "model": "cl-vae", "key": key, "certainty": certainty}
                rows.append(row | statistics)
    return rows


def _statistics(name):
    return [corpus_statistics(load_corpus(name))]


def _key_rows(folder, quick=False):
    """How well the models of "key" and "all-keys" tell keys: see `cvae.key_scores`."""
    rows, models = [], {}
    for _, run in _runs("key", folder, quick):
        trained, corpus = _trained(*run)
        models.setdefault(corpus.name, (corpus, []))[1].append(trained.model)
    for corpus, of_seeds in models.values():
        rows += [{"part": "windows"} | row for row in window_rows(corpus, of_seeds)]
    finder, _ = _trained(*next(_runs("all-keys", folder, quick))[1])
    rows += [{"part": "songs"} | row for row in song_rows(finder)]
    chorales = analysed_chorales()
    trained_on = {song.source for song in load_corpus("jsb").train}
    unseen = [chorale for chorale in chorales if chorale.source not in trained_on]
    for part, those in (("local keys", chorales), ("local keys, unseen", unseen)):
        local = local_key_rows(finder.model, finder.settings["keys"], those)
        rows += [{"part": part} | row for row in local]
    rows.append({"part": "calibration"} | calibration_row(finder))
    return rows + [{"part": "files"} | file_row(finder.folder)]


def _continued(i, folder, row, seed, quick=False):
    """Continuations by one run of "twins": for each split and certainty, what `_in_key_rows` needs.

    Certainty None: the key is inferred, or there is none.
    """
    run, corpus = _trained(folder, row, seed)
    results = []
    for split in SPLITS:
        for certainty in (None, *CERTAINTIES) if run.model.classes else (None,):
            told = {"certainty": certainty} if certainty else {"key": None}
            samples = 10 if quick else SAMPLES
            rolls, keys, songs = continuations(run.model, corpus, split, samples, **told)
            rates = np.array([pitch_in_scale_rate(*pair) for pair in zip(rolls, keys, strict=True)])
            results.append(
                {
                    "row": i,
                    "split": split,
                    "certainty": certainty,
                    "statistics": sample_statistics(rolls, keys),
                    "rates": [np.nanmean(rates[songs == song]) for song in np.unique(songs)],
                }
            )
    return results


def _in_key_rows(results):
    """Measure the paper's claim: Classifying models stay in key better than their plain twins.

    Both continue the same first 16 steps of songs for 64 steps; the Classifying model is told the
    song's key (with some certainty) or infers it. The difference is between samples of the same
    song, and its confidence interval is over the songs, from means over samples and seeds.

    Parameters
    ----------
    results : list of lists
        Of `_continued`, for each run.

    Returns
    -------
    list of dict
        split, model, options, training, certainty (None: key inferred), statistics of each seed's
        samples (``samples``) and of its plain twin's (``plain``), and ``difference`` and
        ``interval`` (95 per cent) of the pitch-in-scale rate; the data's own statistics as model
        "data".
    """
    rows, twins = [], EXPERIMENTS["twins"]
    corpus = load_corpus(twins[0]["corpus"])
    by_cell = {}
    for part in sum(results, []):
        cell = part["row"], part["split"], part["certainty"]
        by_cell.setdefault(cell, []).append((part["statistics"], part["rates"]))
    for split in SPLITS:
        rows.append({"split": split, "model": "data"} | sample_statistics(*pieces(corpus, split)))
        for plain, classifying in TWINS:
            without, rates = zip(*by_cell[plain, split, None], strict=True)
            for certainty in (None, *CERTAINTIES):
                told, told_rates = zip(*by_cell[classifying, split, certainty], strict=True)
                difference = np.mean(told_rates, axis=0) - np.mean(rates, axis=0)
                difference = difference[~np.isnan(difference)]
                interval = bootstrap([difference], np.mean, rng=0).confidence_interval
                row = {name: twins[classifying][name] for name in ("model", "options", "training")}
                row |= {"split": split, "certainty": certainty}
                row |= {"samples": list(told), "plain": list(without)}
                row |= {"difference": float(difference.mean())}
                rows.append(row | {"interval": [float(end) for end in interval]})
    return rows


def results(name):
    """Stored results.

    Parameters
    ----------
    name : str
        Of a file of ``data/results`` that holds rows, without ``.json``: those of `NAMES`, and
        others that have their own commands.

    Returns
    -------
    list of dict
        Its rows.

    Raises
    ------
    ValueError
        If there is no such file, or it is not laid out as it should be.
    """
    with opened_json(data_folder() / "results" / f"{name}.json") as table:
        return [dict(row) for row in table["rows"]]


def summary(experiment, split="test"):
    """Means and spreads over the seeds of an experiment's stored results.

    Parameters
    ----------
    experiment : str
    split : {"valid", "test"}

    Returns
    -------
    list of dict
        For each row: its settings, seeds, and (mean, standard deviation) of
        each score that `evaluate` gives: key accuracy by number of steps, statistics of the samples
        by name (``samples``; ``data``: the split's own, a number each), seconds of all seeds.

    Raises
    ------
    ValueError
        See `results`.
    """
    grouped = {}
    for row in results(experiment):
        if row["split"] == split:
            settings = {name: row[name] for name in ROW if name in row}
            grouped.setdefault(json.dumps(settings), []).append(row)
    result = []
    for settings, rows in grouped.items():
        row = json.loads(settings) | {"seeds": [row["seed"] for row in rows]}
        for name in (
            "bound",
            "reconstruction",
            "kl_z",
            "kl_w",
            "window_bound",
            "iw_bound",
            "mixture_bound",
        ):
            if rows[0].get(name) is not None:
                row[name] = _spread([row[name] for row in rows])
        accuracy = [row["key_accuracy"] for row in rows]
        row["key_accuracy"] = {n: _spread([by[n] for by in accuracy]) for n in accuracy[0]}
        names = [name for name, value in rows[0].get("samples", {}).items() if value is not None]
        row["samples"] = {name: _spread([of["samples"][name] for of in rows]) for name in names}
        row["data"] = rows[0].get("data", {})
        row["seconds"] = sum(of.get("seconds", 0) for of in rows)
        result.append(row)
    return result


def _spread(values):
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def _write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    command = f"cvae reproduce --only {path.stem}"
    result = {"command": command, "version": cvae.__version__, "rows": rows}
    write_atomically(path, (json.dumps(result, indent=1) + "\n").encode())
    return path
