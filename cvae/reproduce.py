"""The experiments behind every figure that the book quotes: `cvae reproduce`.

Each experiment is a list of rows; each row is trained with each seed, unless its run is already
there, and scored on the validation and on the test split. What was chosen was chosen on the
validation split. Results are written to ``data/results/EXPERIMENT.json``.
"""

import dataclasses
import itertools
import json
from pathlib import Path

import numpy as np
from scipy.stats import bootstrap

import cvae
from cvae.evaluation import SEED_STEPS, STEPS, continuations, evaluate, pieces, sample_statistics
from cvae.music import load_corpus, pitch_in_scale_rate
from cvae.paths import data_folder, write_atomically
from cvae.progress import progress_bar
from cvae.runs import SETTINGS, STATE, WEIGHTS, Run, load_run, load_settings
from cvae.training import TrainingConfig, fit

__all__ = ["EXPERIMENTS", "reproduce", "summary"]

SEEDS = (0, 1, 2)
SAMPLES = 500
FROM_RUNS = ("samples", "in-key")
CERTAINTIES = (0.2, 0.3, 0.35, 0.4, 0.5, 0.7, 1.0)

VAE = {"use_x_prev": True, "latent_dim": 16, "hidden_dim": 256, "dropout": 0.1}
CL_VAE = VAE | {"hidden_class_dim": 256, "class_dropout": 0.4, "w_log_var_prior": -1.0}
ORIGINAL = {"use_x_prev": True, "latent_dim": 4}
TRAINING = {
    "epochs": 150,
    "patience": 20,
    "batch_size": 200,
    "learning_rate": 2e-3,
    "transpose": 6,
}
VAE_LSTM = {"use_x_prev": True, "latent_dim": 32, "dropout": 0.3}
STANDARD = VAE_LSTM | {"prior": "standard", "hidden_dim": 192}
LSTM = VAE_LSTM | {"prior": "lstm", "hidden_dim": 256}
LSTM_BELOW_2_MB = LSTM | {"hidden_dim": 192}
CLASSIFIER = {"hidden_class_dim": 256, "class_dropout": 0.4, "w_log_var_prior": -1.0}
SEQUENCES = {
    "epochs": 16,
    "patience": 0,
    "seq_length": 32,
    "batch_size": 64,
    "learning_rate": 2e-3,
    "clip_norm": 1.0,
    "kl_anneal": 4,
    "transpose": 6,
    "class_weight": 0.01,
}
SHORTER = SEQUENCES | {"epochs": 12, "seq_length": 16}


def _row(model, corpus, options, **training):
    return {"model": model, "corpus": corpus, "options": options, "training": training}


EXPERIMENTS = {
    # The frontier between the bound and the key, by the class weight; 1 is the original's.
    "class-weight": [
        _row("cl-vae", "jsb-original", CL_VAE, **TRAINING, class_weight=weight)
        for weight in (0.01, 0.03, 0.1, 0.3, 1.0)
    ],
    "corpora": [
        _row(model, corpus, options, **TRAINING)
        for corpus in ("jsb", "jsb-c")
        for model, options in (("vae", VAE), ("cl-vae", CL_VAE))
    ],
    # The original's sizes and settings, and what each change of ours adds to them.
    "changes": [
        _row("cl-vae", "jsb-original", ORIGINAL | {"coordinates": "additive"}),
        _row("cl-vae", "jsb-original", ORIGINAL),
        _row("cl-vae", "jsb-original", ORIGINAL, transpose=6),
    ],
    # Each model with its plain twin, on the original's file.
    "twins": [
        _row("vae", "jsb-original", VAE, **TRAINING),
        _row("cl-vae", "jsb-original", CL_VAE, **TRAINING, class_weight=0.03),
        _row("vae-lstm", "jsb-original", STANDARD, **SHORTER),
        _row("cl-vae-lstm", "jsb-original", STANDARD | CLASSIFIER, **SHORTER),
        _row("vae-lstm", "jsb-original", LSTM, **SEQUENCES),
        _row("cl-vae-lstm", "jsb-original", LSTM | CLASSIFIER, **SEQUENCES),
    ],
    # Without annealing z is never used, and what is left is an LSTM whose notes are independent.
    "collapse": [_row("vae-lstm", "jsb-original", LSTM, **SEQUENCES | {"kl_anneal": 0})],
    "literature": [_row("vae-lstm", "jsb-bl", LSTM, **SEQUENCES | {"epochs": 28}, any_key=True)],
    # What chapters 5 and 6 load.
    "book": [
        _row("vae-lstm", "jsb", STANDARD, **SHORTER),
        _row("vae-lstm", "jsb", LSTM_BELOW_2_MB, **SEQUENCES),
        # A sure w steers better than a cheap one.
        _row(
            "cl-vae-lstm",
            "jsb",
            LSTM_BELOW_2_MB | CLASSIFIER,
            **SEQUENCES | {"class_weight": 0.3},
        ),
    ],
}
ONE_SEED = ("book",)
# Runs of the first seed that come with the project, for the book to load.
PUBLISHED = {
    "corpora-0-0": "jsb-vae",
    "corpora-1-0": "jsb-cl-vae",
    "book-0-0": "jsb-vae-lstm-standard",
    "book-1-0": "jsb-vae-lstm",
    "book-2-0": "jsb-cl-vae-lstm",
}


def reproduce(only=None, folder="runs", quick=False):
    """Train and score every row with every seed; resumable.

    Parameters
    ----------
    only : str, optional
        One experiment, or one of what is drawn from its models: "samples", "in-key".
    folder : path
        Where the runs go. A run that is there is resumed, and not trained again if it was done.
    quick : bool
        Two epochs of one seed, to see that it works; results and weights go to `folder`.

    Returns
    -------
    list of Path
        The result files.

    Raises
    ------
    ValueError
        For an unknown experiment.
    """
    names = (*EXPERIMENTS, *FROM_RUNS)
    if only is not None and only not in names:
        raise ValueError(f"only: got {only!r}, must be one of {', '.join(names)}")
    folder = Path(folder) / "quick" if quick else Path(folder)
    target = folder if quick else data_folder()
    chosen = {name: EXPERIMENTS.get(name, []) for name in ([only] if only else names)}
    written = []
    runs = sum(len(rows) * len(seeds_of(name, quick)) for name, rows in chosen.items())
    with progress_bar(total=runs, unit="run") as bar:
        for name, rows in chosen.items():
            seeds = seeds_of(name, quick)
            results = []
            if name == "samples":
                results = sample_rows(target / "models", quick)
            if name == "in-key":
                results = in_key_rows(folder, seeds, quick)
            for (i, row), seed in itertools.product(enumerate(rows), seeds):
                if quick:
                    row = row | {"training": row["training"] | {"epochs": 2}}
                run, corpus = _trained(folder / f"{name}-{i}-{seed}", row, seed)
                for split, iw_samples in (("valid", 1), ("test", 64)):
                    scores = evaluate(run.model, corpus, split, seed, iw_samples=iw_samples)
                    results.append(row | scores)
                if run.folder.name in PUBLISHED:
                    _publish(run, target / "models" / PUBLISHED[run.folder.name])
                bar.update()
            written.append(_write(target / "results" / f"{name}.json", results))
    return written


def seeds_of(name, quick=False):
    """Seeds with which each row of an experiment is trained."""
    return SEEDS[:1] if quick or name in ONE_SEED else SEEDS


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
    rows = []
    corpus = load_corpus("jsb")
    plain, classifying = (load_run(models / name).model for name in ("jsb-vae", "jsb-cl-vae"))
    for split in ("valid", "test"):
        songs = [song for song in corpus.split(split) if len(song.roll) >= SEED_STEPS]
        rows.append({"split": split, "model": "data"} | sample_statistics(*pieces(corpus, split)))
        chosen = np.random.default_rng(0).integers(len(songs), size=10 if quick else SAMPLES)
        seeds = np.stack([songs[i].roll[:SEED_STEPS] for i in chosen])
        for name, model in (("vae", plain), ("cl-vae, key inferred", classifying)):
            statistics = sample_statistics(model.generate(seeds, STEPS))
            rows.append({"split": split, "model": name} | statistics)
        for certainty in CERTAINTIES:
            for k, key in enumerate(corpus.keys):
                rolls = classifying.generate(seeds, STEPS, k, certainty=certainty)
                statistics = sample_statistics(rolls, [key] * len(rolls))
                row = {"split": split, "model": "cl-vae", "key": key, "certainty": certainty}
                rows.append(row | statistics)
    return rows


def in_key_rows(folder, seeds=SEEDS, quick=False):
    """Measure the paper's claim: Classifying models stay in key better than their plain twins.

    Both continue the same first 16 steps of songs for 64 steps; the Classifying model is told the
    song's key (with some certainty) or infers it. The difference is between samples of the same
    song, and its confidence interval is over the songs, from means over samples and seeds.

    Parameters
    ----------
    folder : path
        Of the runs of the experiment "twins".

    Returns
    -------
    list of dict
        split, model, certainty (None: key inferred), the statistics of each seed's samples
        (``samples``) and of its plain twin's (``plain``), and ``difference`` and ``interval`` (95
        per cent) of the pitch-in-scale rate; the data's own statistics as model "data".
    """
    rows = []
    twins = EXPERIMENTS["twins"]
    for split in ("valid", "test"):
        corpus = load_corpus(twins[0]["corpus"])
        rows.append({"split": split, "model": "data"} | sample_statistics(*pieces(corpus, split)))
        for i in range(0, len(twins), 2):
            runs = [
                [_trained(folder / f"twins-{i + j}-{s}", twins[i + j], s)[0] for s in seeds]
                for j in (0, 1)
            ]
            plain = [_continued(run.model, corpus, split, quick) for run in runs[0]]
            for certainty in (None, *CERTAINTIES):
                told = {"key": None} if certainty is None else {"certainty": certainty}
                told = [_continued(run.model, corpus, split, quick, **told) for run in runs[1]]
                difference = np.mean(
                    [b[1] - a[1] for a, b in zip(plain, told, strict=True)], axis=0
                )
                difference = difference[~np.isnan(difference)]
                interval = bootstrap([difference], np.mean, rng=0).confidence_interval
                rows.append(
                    {
                        "split": split,
                        "model": twins[i + 1]["model"],
                        "prior": twins[i + 1]["options"].get("prior", "standard"),
                        "certainty": certainty,
                        "samples": [statistics for statistics, _ in told],
                        "plain": [statistics for statistics, _ in plain],
                        "difference": float(difference.mean()),
                        "interval": [float(interval.low), float(interval.high)],
                    }
                )
    return rows


def _continued(model, corpus, split, quick, **told):
    """Statistics of 500 continuations, and their mean pitch-in-scale rate by song."""
    rolls, keys, songs = continuations(model, corpus, split, 10 if quick else SAMPLES, **told)
    rates = [pitch_in_scale_rate(roll, key) for roll, key in zip(rolls, keys, strict=True)]
    by_song = [np.nanmean(np.array(rates)[songs == song]) for song in np.unique(songs)]
    return sample_statistics(rolls, keys), np.array(by_song)


def summary(experiment, split="test"):
    """Means and spreads over the seeds of an experiment's stored results.

    Parameters
    ----------
    experiment : str
    split : {"valid", "test"}

    Returns
    -------
    list of dict
        For each row: model, corpus, options, training, seeds, and (mean, standard deviation) of
        bound, reconstruction, kl_z, kl_w and key_accuracy (from one step; None without classes).
    """
    path = data_folder() / "results" / f"{experiment}.json"
    grouped = {}
    for row in json.loads(path.read_text())["rows"]:
        if row["split"] == split:
            settings = {name: row[name] for name in ("model", "corpus", "options", "training")}
            grouped.setdefault(json.dumps(settings), []).append(row)
    result = []
    for settings, rows in grouped.items():
        row = json.loads(settings) | {"seeds": [row["seed"] for row in rows]}
        for name in ("bound", "reconstruction", "kl_z", "kl_w"):
            row[name] = _spread([row[name] for row in rows])
        accuracy = [row["key_accuracy"].get("1") for row in rows]
        result.append(row | {"key_accuracy": None if None in accuracy else _spread(accuracy)})
    return result


def _spread(values):
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def _trained(folder, row, seed):
    """The run of a row, trained to its end."""
    config = TrainingConfig(**row["training"], seed=seed)
    corpus = load_corpus(row["corpus"])
    options, training = row["options"] | {"seed": seed}, dataclasses.asdict(config)
    run = Run.plan(folder, row["model"], corpus, training, overwrite=True, **options)
    resume = (folder / STATE).exists()
    if resume and load_settings(folder) != run.settings:
        raise ValueError(f"{folder}: holds a run with other settings; delete it to train anew")
    if not resume:
        run.start()
    fit(run.model, corpus, config, folder, resume=resume, progress=False)
    return run, corpus


def _publish(run, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name in (SETTINGS, WEIGHTS):
        write_atomically(folder / name, (run.folder / name).read_bytes())


def _write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    command = f"cvae reproduce --only {path.stem}"
    result = {"command": command, "version": cvae.__version__, "rows": rows}
    write_atomically(path, (json.dumps(result, indent=1) + "\n").encode())
    return path
