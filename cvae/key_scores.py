"""How well keys are told: by window, by song, with what confidence, and where they change."""

import itertools
import time
from dataclasses import replace

import mir_eval.key
import numpy as np
import tensorflow as tf

from cvae.calibration import Answers, fit_sharpness, reliability, sharpened
from cvae.evaluation import CHUNK, WINDOW_LENGTHS
from cvae.examples import SONG, songs_of
from cvae.keyfinder import find_key
from cvae.models.base import means, windows_about
from cvae.models.smoothing import smooth
from cvae.music import load_corpus
from cvae.music.keys import (
    PROFILES,
    fifths_apart,
    modulation_probabilities,
    parse_key,
    profile_scores,
)
from cvae.music.local_keys import analysed_chorales
from cvae.music.pianoroll import windows
from cvae.paths import cache_folder

__all__ = [
    "accuracy_interval",
    "answers",
    "calibration_row",
    "file_row",
    "local_key_rows",
    "profile_answers",
    "song_rows",
    "weighted_score",
    "window_rows",
]

RESAMPLES = 2000


def answers(model, corpus, split, length):
    """Class probabilities of windows by a classifying model.

    Parameters
    ----------
    model : LatentModel
    corpus : Corpus
        With the keys of the model.
    split : {"train", "valid", "test"}
    length : int or "song"
        Steps in a window, one from each step of each song, or whole songs.

    Returns
    -------
    Answers
    """

    def posterior(rolls):
        parts = [rolls[i : i + CHUNK] for i in range(0, len(rolls), CHUNK)]
        return np.concatenate([means(model.infer_w(tf.cast(part, tf.float32))) for part in parts])

    return _answers(posterior, corpus, split, length)


def profile_answers(corpus, split, length, profile):
    """The same by a key profile, one of `cvae.music.keys.PROFILES`: its correlations."""
    return _answers(
        lambda rolls: profile_scores(rolls, profile, corpus.keys), corpus, split, length
    )


def _answers(score, corpus, split, length):
    songs = songs_of(corpus, split)
    if length == SONG:
        scores = np.concatenate([score(song.roll[None]) for song in songs])
        key = np.array([corpus.keys.index(song.key) for song in songs])
        return Answers(scores, key, np.arange(len(songs)))
    cut = windows(songs, corpus.keys, length=length)
    return Answers(score(cut.x), cut.key, cut.song)


def accuracy_interval(right, song, seed=0):
    """95 % confidence interval of a mean over windows: bootstrap of songs, as theirs hang together.

    Parameters
    ----------
    right : array (N,)
        Whether each window was told right; or their mean over models, or a difference of two.
    song : int array (N,)
    seed : int

    Returns
    -------
    list of two floats
    """
    songs = np.unique(song, return_inverse=True)[1]
    total, size = np.bincount(songs, right), np.bincount(songs)
    drawn = np.random.default_rng(seed).integers(len(size), size=(RESAMPLES, len(size)))
    resampled = total[drawn].sum(axis=1) / size[drawn].sum(axis=1)
    return [float(end) for end in np.percentile(resampled, [2.5, 97.5])]


def weighted_score(truth, guesses):
    """Mean MIREX score of guessed keys, by `mir_eval`.

    Parameters
    ----------
    truth, guesses : sequences of key names
        A guess scores 1 for the key, 0.5 for that a fifth above, 0.3 for the relative, 0.2 for the
        parallel key (the other mode on the same tonic), else 0.

    Returns
    -------
    float
    """
    pairs = zip(map(_in_mir_eval, truth), map(_in_mir_eval, guesses), strict=True)
    return float(np.mean([mir_eval.key.weighted_score(*pair) for pair in pairs]))


def _in_mir_eval(name):
    return parse_key(name).name.replace("-", "b")


def window_rows(corpus, models):
    """Accuracy and calibration of models of several seeds, beside the key profiles, by window.

    Parameters
    ----------
    corpus : Corpus
    models : list of LatentModel

    Returns
    -------
    list of dict
        corpus, split, length (steps, or "song"), accuracy (of each model), interval (95 %, of the
        mean accuracy, over songs), profiles (object: name -> accuracy), gain over the best of them
        and its interval; raw_error and calibration_error, the expected calibration error of each
        model as it is and sharpened; sharpness of each, fitted to windows as long of the validation
        split (whose own calibration_error is therefore flattered).
    """
    rows, sharpness, splits = [], {}, ("valid", "test")
    longest = min(max(len(song.roll) for song in corpus.split(split)) for split in splits)
    for split in splits:
        for length in (*(n for n in WINDOW_LENGTHS if n <= longest), SONG):
            given = [answers(model, corpus, split, length) for model in models]
            right, song = np.mean([each.right for each in given], axis=0), given[0].song
            by_profile = {
                name: profile_answers(corpus, split, length, name).right for name in PROFILES
            }
            profiles = {name: float(each.mean()) for name, each in by_profile.items()}
            gain = right - by_profile[max(profiles, key=profiles.get)]
            row = {"corpus": corpus.name, "split": split, "length": length}
            row |= {"accuracy": [float(each.right.mean()) for each in given]}
            row |= {"interval": accuracy_interval(right, song), "profiles": profiles}
            row |= {"gain": float(gain.mean()), "gain_interval": accuracy_interval(gain, song)}
            row |= {"raw_error": [reliability(each).error for each in given]}
            if split == "valid":
                sharpness[length] = [fit_sharpness(each) for each in given]
            sharp = [
                each._replace(scores=sharpened(each.scores, by))
                for each, by in zip(given, sharpness[length], strict=True)
            ]
            row |= {"calibration_error": [reliability(each).error for each in sharp]}
            rows.append(row | {"sharpness": sharpness[length]})
    return rows


def song_rows(run):
    """Accuracy and weighted score of the 24 keys of whole songs.

    Parameters
    ----------
    run : Run
        Whose model knows the 24 keys.

    Returns
    -------
    list of dict
        corpus, split, songs, method, accuracy, relative_major (the same where relative keys count
        as one), weighted_score. The method "music21" is its analysis of the notes: in ``jsb`` the
        labels themselves. In ``piano-midi`` the labels are key signatures; of the two keys that
        share one, the profile of Aarden and Essen has chosen, so of the mode it cannot be wrong.
    """
    rows, keys = [], run.settings["keys"]
    for name, reading in (("jsb", {}), ("piano-midi", {"step": 1.0})):
        corpus = replace(load_corpus(name, "major-minor", **reading), keys=tuple(keys))
        for split in ("valid", "test"):
            songs = corpus.split(split)
            guesses = {"classifier": _named(answers(run.model, corpus, split, SONG), keys)}
            for profile in PROFILES:
                guesses[profile] = _named(profile_answers(corpus, split, SONG, profile), keys)
            guesses["music21"] = [song.analysis or song.key for song in songs]
            truth = [song.key for song in songs]
            for method, names in guesses.items():
                row = {"corpus": name, "split": split, "songs": len(songs), "method": method}
                row |= {"accuracy": float(np.mean(np.array(names) == truth))}
                same = [fifths_apart(*pair) == 0 for pair in zip(names, truth, strict=True)]
                row |= {"relative_major": float(np.mean(same))}
                rows.append(row | {"weighted_score": weighted_score(truth, names)})
    return rows


def _named(given, keys):
    return [keys[i] for i in given.scores.argmax(axis=-1)]


def file_row(run_folder, files=30):
    """Accuracy and speed of `find_key` on files of Piano-midi that no model was trained on.

    Parameters
    ----------
    run_folder : path
        Of the model.
    files : int
        So many of the test split, spread over it; at least 2.

    Returns
    -------
    dict
        files, accuracy (of the 24 keys), weighted_score, seconds_a_file (mean, without the first,
        which also waits for what is compiled once).
    """
    songs = load_corpus("piano-midi", "major-minor", step=1.0).test
    songs = [songs[i] for i in np.linspace(0, len(songs) - 1, files).astype(int)]
    midis, found, seconds = cache_folder() / "piano-midi" / "midis", [], []
    for song in songs:
        start = time.perf_counter()
        found.append(find_key(midis / song.source, run_folder).key)
        seconds.append(time.perf_counter() - start)
    truth = [song.key for song in songs]
    return {
        "files": len(songs),
        "accuracy": float(np.mean(np.array(found) == truth)),
        "weighted_score": weighted_score(truth, found),
        "seconds_a_file": float(np.mean(seconds[1:])),
    }


def calibration_row(run):
    """How sure the model of a run is of whole songs, and how sure it should be.

    Returns
    -------
    dict
        sharpness, fitted to the validation split; raw_error and calibration_error, the expected
        calibration error of the test split without it and with it.
    """
    corpus = run.corpus()
    valid, test = (answers(run.model, corpus, split, SONG) for split in ("valid", "test"))
    sharpness = fit_sharpness(valid)
    sharp = test._replace(scores=sharpened(test.scores, sharpness))
    errors = {"raw_error": reliability(test).error, "calibration_error": reliability(sharp).error}
    return {"sharpness": sharpness} | errors


WINDOWS = (1, 3, 5, 7, 9, 13, 17, 25)
STAYS = (0.8, 0.9, 0.95, 0.98)
# How much an answer counts as evidence: a power of probabilities, a factor of correlations.
WEIGHTS = {"classifier": (1, 2, 4)} | dict.fromkeys(PROFILES, (4, 8, 16))


def local_key_rows(model, keys, chorales=None):
    """Share of quarter notes whose key is that of the human analyses.

    The methods are the classifier and the profiles, on windows about each quarter note, and each
    of them with a hidden Markov model on top. They have settings: the window, and with the model
    also how readily it stays and what an answer weighs. Those for a chorale are the ones that agree
    best in all others.

    Parameters
    ----------
    model : LatentModel
        Knows the 24 keys, in steps of a quarter note.
    keys : sequence of str
        Its classes.
    chorales : sequence of AnalysedChorale, optional
        By default all.

    Returns
    -------
    list of dict
        method, setting (the one that is best in all chorales), chorales, quarter_notes; agreement,
        share of them; interval (95 %, over chorales); relative_major, the same where relative keys
        count as one; by_chorale (object: its source -> share).
    """
    chorales = analysed_chorales() if chorales is None else chorales
    guesses = {f"{name}{more}": {} for more in ("", " + HMM") for name in WEIGHTS}
    moves = {stay: modulation_probabilities(keys, stay) for stay in STAYS}
    for window, (name, weights) in itertools.product(WINDOWS, WEIGHTS.items()):
        scores = [_scores_about(chorale.roll, window, name, model, keys) for chorale in chorales]
        guesses[name][window,] = [each.argmax(axis=-1) for each in scores]
        for weight in weights:
            evidence = [sharpened(each, weight) for each in scores]
            for stay, move in moves.items():
                guesses[f"{name} + HMM"][window, stay, weight] = [
                    smooth(each, move, window=min(window, len(each))).path for each in evidence
                ]
    return [_agreement(name, by, keys, chorales) for name, by in guesses.items()]


def _scores_about(roll, window, method, model, keys):
    """Of each step by the window about it: probabilities, or exponentials of correlations."""
    if method == "classifier":
        return model.infer_key(roll, window).steps
    return np.exp(profile_scores(roll[windows_about(len(roll), window)], method, keys))


def _agreement(method, guesses, keys, chorales):
    settings = list(guesses)
    relative = np.array([parse_key(key).relative_major.tonic for key in keys])
    song = np.repeat(np.arange(len(chorales)), [len(chorale.keys) for chorale in chorales])
    truth = np.array([keys.index(key) for chorale in chorales for key in chorale.keys])
    guess = np.array([np.concatenate(guesses[setting]) for setting in settings])
    right = guess == truth  # (settings, quarter notes)
    by_chorale = np.array([right[:, song == i].sum(axis=1) for i in range(len(chorales))])
    others = by_chorale.sum(axis=0) - by_chorale  # (chorales, settings)
    chosen = others.argmax(axis=1)[song], np.arange(len(song))
    right, scale = right[chosen], relative[guess[chosen]] == relative[truth]
    shares = {each.source: float(right[song == i].mean()) for i, each in enumerate(chorales)}
    return {
        "method": method,
        "setting": settings[int(by_chorale.sum(axis=0).argmax())],
        "chorales": len(chorales),
        "quarter_notes": len(song),
        "agreement": float(right.mean()),
        "interval": accuracy_interval(right, song),
        "relative_major": float(scale.mean()),
        "by_chorale": shares,
    }
