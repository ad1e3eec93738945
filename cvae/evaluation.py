"""Scores of a trained model: bounds, key accuracy, statistics of samples.

Every bound is an upper bound on the negative log-likelihood in nats a step, with every KL term in
it, and never weighted: lower is better.
"""

import numpy as np
import tensorflow as tf

from cvae.examples import SONG, chunks, examples, gather, songs_of
from cvae.mixture import TranspositionMixture
from cvae.models.checks import check_seed, check_sizes
from cvae.music import statistics
from cvae.music.keys import PROFILES, are_keys, profile_scores
from cvae.music.pianoroll import PITCHES, windows
from cvae.progress import progress_bar

__all__ = [
    "continuations",
    "evaluate",
    "importance_weighted_score",
    "key_accuracy",
    "key_confusion",
    "pieces",
    "profile_accuracy",
    "sample_statistics",
    "score",
]

CHUNK = 4096  # steps, or windows, that are scored at once
SIDE_BY_SIDE = 10  # draws of an example that are walked through together
WINDOW_LENGTHS = (1, 4, 8, 16, 32)
ORIGINAL_WINDOW = 16
SEED_STEPS, STEPS = 16, 64


def check_match(model, corpus):
    """Raise ValueError if model and corpus differ in the number of pitches or of keys."""
    if model.pitches != PITCHES:
        raise ValueError(f"pitches: the model has {model.pitches}, the corpus {PITCHES}")
    if model.classes not in (0, len(corpus.keys)):
        raise ValueError(
            f"corpus: {corpus.name!r} has {len(corpus.keys)} keys, the model {model.classes}"
        )


def score(model, data, seed, draws=1, samples=1):
    """Bound and key accuracy.

    Parameters
    ----------
    model : LatentModel
    data : Examples
    seed : int
    draws : int
        The bound is a mean over so many posterior samples of each example.
    samples : int
        With more than 1 the bound is tighter, as in `LatentModel.elbo`.

    Returns
    -------
    dict
        bound (of one sample, the sum of the three that follow), reconstruction, kl_z, kl_w: nats a
        step; key_accuracy: share of the examples whose most probable class is the true one (NaN
        for a model without classes).
    """
    # Together, as the time is that of the steps, which follow one another, not of the examples.
    columns = ("start", "length", "key", "song")
    data = data._replace(**{name: np.tile(getattr(data, name), draws) for name in columns})
    parts, most = [], min(draws, SIDE_BY_SIDE) * CHUNK
    for i, (index, count, longest) in enumerate(chunks(data.length, most)):
        chunk_seed = np.array([seed, i], np.int32)
        parts.append(_terms(model, data, index, longest, chunk_seed, samples)[:, :count])
    terms = np.concatenate(parts, axis=1)
    log_likelihood, kl_z, kl_w, gain = terms[:4].sum(axis=1, dtype=float) / data.length.sum()
    result = {
        "bound": kl_z + kl_w - log_likelihood - gain,
        "reconstruction": -log_likelihood,
        "kl_z": kl_z,
        "kl_w": kl_w,
        "key_accuracy": terms[4].mean(dtype=float),
    }
    return {name: float(value) for name, value in result.items()}


# Without XLA: a few passes do not pay for its compilation. Nor is there a loop for AutoGraph.
@tf.function(autograph=False)
def _terms(model, data, index, longest, seed, samples):
    batch = gather(data, index, longest, model.sequential)
    x, x_prev = tf.cast(batch.x, tf.float32), tf.cast(batch.x_prev, tf.float32)
    elbo = model.elbo(x, x_prev, batch.key, seed, batch.mask, samples=samples)
    gain = elbo.bound - (elbo.log_likelihood - elbo.kl_z - elbo.kl_w)
    right = tf.fill(tf.shape(batch.key), np.nan)
    if model.classes:
        guess = tf.argmax(model.posterior_w(x, batch.mask).mode(), axis=-1, output_type=tf.int32)
        right = tf.cast(guess == batch.key, tf.float32)
    return tf.stack([elbo.log_likelihood, elbo.kl_z, elbo.kl_w, gain, right])


def importance_weighted_score(model, data, seed, samples, progress=False):
    """Importance-weighted bound, see `LatentModel.importance_weighted_bound`.

    Parameters
    ----------
    model : LatentModel or TranspositionMixture
    data : Examples
    seed, samples : int
    progress : bool, optional
        Show a bar; None: to people only.

    Returns
    -------
    float, float or None
        The bound, nats a step over all songs, and its standard error from song to song (which
        includes that of the drawn samples); None for a single song.
    """
    terms = np.empty(len(data.key))
    bar = progress_bar(chunks(data.length, CHUNK), progress, desc="weighted bound", leave=False)
    for i, (index, count, longest) in enumerate(bar):
        chunk_seed = np.array([seed, i], np.int32)
        bounds = _importance_weighted(model, data, index, longest, chunk_seed, samples)
        terms[index[:count]] = bounds[:count]
    songs = np.unique(data.song, return_inverse=True)[1]
    nats, steps = -np.bincount(songs, terms), np.bincount(songs, data.length)
    bound = nats.sum() / steps.sum()
    residual, count = nats - bound * steps, len(steps)
    if count == 1:
        return float(bound), None
    variance = residual @ residual / (count - 1)
    return float(bound), float(np.sqrt(count * variance) / steps.sum())


@tf.function
def _importance_weighted(model, data, index, longest, seed, samples):
    batch = gather(data, index, longest, model.sequential)
    x, x_prev = tf.cast(batch.x, tf.float32), tf.cast(batch.x_prev, tf.float32)
    return model.importance_weighted_bound(x, x_prev, seed, samples, batch.mask)


def evaluate(
    model,
    corpus,
    split="test",
    seed=0,
    draws=10,
    iw_samples=64,
    samples=500,
    mixture=False,
    progress=None,
):
    """All scores of a model on a split.

    Parameters
    ----------
    model : LatentModel
    corpus : Corpus
    split : {"train", "valid", "test"}
    seed : int
    draws : int
        The bound is a mean over so many posterior samples of each step, or song.
    iw_samples : int
        S of the importance-weighted bound.
    samples : int
        Continuations whose statistics are taken, see `continuations`.
    mixture : bool
        Also take the importance-weighted bound of a `TranspositionMixture`: twelve times the work.
    progress : bool, optional
        Show bars (by default: to people only).

    Returns
    -------
    dict
        corpus, split, seed; bound, reconstruction, kl_z, kl_w (nats a step, mean over all steps
        of all songs; a model of sequences reads whole songs, with one w for each); window_bound
        (of a model of sequences: the bound on the windows of 16 steps that the original cuts,
        each with a w of its own and an empty memory, one posterior sample each, as a step is in up
        to 16 of them; else None); iw_bound, iw_samples, iw_bound_se
        (see `importance_weighted_score`); mixture_bound, mixture_bound_se (of the mixture, else
        None); key_accuracy (object: number of steps in the window ->
        accuracy, with "song" for whole songs; empty for a model without classes); key_profiles
        (object: profile -> the same; empty where the classes are no keys); samples and data
        (objects: statistics of continuations and of the split itself in windows as long, see
        `sample_statistics`); songs, steps.

    Raises
    ------
    ValueError
        If the split is empty, an argument out of its range, pitches or classes of model and
        corpus differ, or the classes do not go with `mixture`.
    """
    check_seed(seed)
    check_sizes(draws=draws, iw_samples=iw_samples, samples=samples)
    check_match(model, corpus)
    in_all_keys = TranspositionMixture(model, corpus.keys) if mixture else None
    data = examples(corpus, split, SONG if model.sequential else 1)
    iw_bound, iw_bound_se = importance_weighted_score(model, data, seed, iw_samples, progress)
    mixture_bound = mixture_bound_se = None
    if mixture:
        mixture_bound, mixture_bound_se = importance_weighted_score(
            in_all_keys, data, seed, iw_samples, progress
        )
    bound, window_bound = score(model, data, seed, draws), None
    if model.sequential:
        cut = examples(corpus, split, ORIGINAL_WINDOW)
        window_bound = score(model, cut, seed)["bound"]
    training = [song.roll for song in corpus.train]
    real, keys = pieces(corpus, split)
    rolls, asked, _ = continuations(model, corpus, split, samples, seed)
    profiles = PROFILES
    if not are_keys(corpus.keys):  # which alone have profiles and scales
        profiles, keys, asked = (), None, None
    return {
        "corpus": corpus.name,
        "split": split,
        "seed": seed,
        **{name: bound[name] for name in ("bound", "reconstruction", "kl_z", "kl_w")},
        "window_bound": window_bound,
        "iw_bound": iw_bound,
        "iw_samples": iw_samples,
        "iw_bound_se": iw_bound_se,
        "mixture_bound": mixture_bound,
        "mixture_bound_se": mixture_bound_se,
        "key_accuracy": key_accuracy(model, corpus, split) if model.classes else {},
        "key_profiles": {name: profile_accuracy(corpus, split, name) for name in profiles},
        "samples": sample_statistics(rolls, asked, training),
        "data": sample_statistics(real, keys, training),
        "songs": len(corpus.split(split)),
        "steps": int(data.length.sum()),
    }


def continuations(model, corpus, split, samples=500, seed=0, **options):
    """Rolls of 64 steps that go on from the first 16 steps of songs of a split, in their keys.

    Parameters
    ----------
    model : LatentModel
        With classes, it is told the key of each song.
    corpus : Corpus
    split : {"train", "valid", "test"}
    samples : int
        Songs are drawn with replacement: the same for all models.
    seed : int
    **options
        Of `LatentModel.generate`. With ``key=None`` the key is inferred.

    Returns
    -------
    bool array (S, 64, P), list of S str, int array (S,)
        The continuations; the key of the song of each, and its number in the split.
    """
    songs = songs_of(corpus, split)
    numbers, length = _songs_with(SEED_STEPS, songs)
    chosen = np.random.default_rng(seed).choice(numbers, size=samples)
    seed_roll = np.stack([songs[i].roll[:length] for i in chosen])
    names = [songs[i].key for i in chosen]
    if model.classes:
        options = {"key": np.array([corpus.keys.index(name) for name in names])} | options
    return model.generate(seed_roll, STEPS, seed=seed, **options), names, chosen


def pieces(corpus, split):
    """The songs of a split cut into pieces as long as continuations, 64 steps.

    Parameters
    ----------
    corpus : Corpus
    split : {"train", "valid", "test"}

    Returns
    -------
    bool array (N, 64, P), list of N str
        And the keys of their songs. A rest that is shorter is left out. Where no song has 64 steps,
        pieces are as long as the longest.

    Raises
    ------
    ValueError
        If the split is unknown or empty.
    """
    songs = songs_of(corpus, split)
    numbers, length = _songs_with(STEPS, songs)
    cut = windows([songs[i] for i in numbers], corpus.keys, length, stride=length)
    return cut.x, [corpus.keys[k] for k in cut.key]


def _songs_with(steps, songs):
    """Numbers of the songs of so many steps, or as many as the longest has; how many they are."""
    length = min(steps, max(len(song.roll) for song in songs))
    return [i for i, song in enumerate(songs) if len(song.roll) >= length], length


def key_accuracy(model, corpus, split, lengths=WINDOW_LENGTHS):
    """Share of windows whose most probable key is the song's, by length of the window.

    Windows start at every step of every song; those of whole songs are named "song". Lengths that
    no song reaches are left out.

    Parameters
    ----------
    model : LatentModel
    corpus : Corpus
        With the keys of the model.
    split : {"train", "valid", "test"}
    lengths : sequence of int
        In steps.

    Returns
    -------
    dict
        Number of steps, as a string, or "song" -> accuracy.

    Raises
    ------
    ValueError
        If the model has no classes, the split is unknown or empty, or a length below 1.
    """
    return _accuracy(lambda rolls: _guesses(model, rolls), corpus, split, lengths)


def profile_accuracy(corpus, split, profile, lengths=WINDOW_LENGTHS):
    """The same for a key profile.

    Parameters
    ----------
    corpus, split, lengths
        See `key_accuracy`.
    profile : str
        A name in `cvae.music.keys.PROFILES`.

    Returns
    -------
    dict
        See `key_accuracy`.

    Raises
    ------
    ValueError
        If the profile is unknown, the classes are no keys, the split is unknown or empty, or a
        length below 1.
    """

    def guess(rolls):
        return np.argmax(profile_scores(rolls, profile, corpus.keys), axis=-1)

    return _accuracy(guess, corpus, split, lengths)


def _accuracy(guess, corpus, split, lengths):
    songs = songs_of(corpus, split)
    accuracy = {}
    for length in lengths:
        if max(len(song.roll) for song in songs) >= length:
            cut = windows(songs, corpus.keys, length=length)
            accuracy[str(length)] = float(np.mean(guess(cut.x) == cut.key))
    guesses = [guess(song.roll[None])[0] for song in songs]
    truth = [corpus.keys.index(song.key) for song in songs]
    return accuracy | {"song": float(np.mean(np.equal(guesses, truth)))}


def key_confusion(model, corpus, split, length=1):
    """How often each key is taken for each other on windows of `length` steps.

    Parameters
    ----------
    model, corpus, split
        See `key_accuracy`.
    length : int

    Returns
    -------
    int array (K, K)
        Rows: the song's key; columns: the most probable key.

    Raises
    ------
    ValueError
        See `key_accuracy`.
    """
    cut = windows(songs_of(corpus, split), corpus.keys, length=length)
    confusion = np.zeros((len(corpus.keys), len(corpus.keys)), int)
    np.add.at(confusion, (cut.key, _guesses(model, cut.x)), 1)
    return confusion


def _guesses(model, rolls):
    """Most probable class of each roll (N, T, P): int (N,)."""
    if not model.classes:
        raise ValueError(f"model: {model.name!r} has no classes")
    parts = [rolls[i : i + CHUNK] for i in range(0, len(rolls), CHUNK)]
    modes = [model.infer_w(tf.cast(part, tf.float32)).mode() for part in parts]
    return np.concatenate([np.argmax(mode, axis=-1) for mode in modes])


def sample_statistics(rolls, keys=None, training=None):
    """Musical statistics of rolls, under the field's names: means over the rolls.

    Parameters
    ----------
    rolls : sequence of bool arrays (T, 88)
    keys : sequence of str, optional
        The key that was asked for, for each roll: adds pitch_in_scale_rate.
    training : sequence of bool arrays (T, 88), optional
        Songs that may have been copied: adds copied_share.

    Returns
    -------
    dict
        scale_consistency, polyphony, lowest_pitch, highest_pitch, note_repetition,
        pitch_class_entropy, semitone_clash_rate, step_change, pitch_in_scale_rate and copied_share:
        see `cvae.music.statistics`. Rolls without notes are left out; None where none is left.
    """
    names = (
        "scale_consistency polyphony note_repetition pitch_class_entropy semitone_clash_rate "
        "step_change"
    )
    result = {n: _mean([getattr(statistics, n)(roll) for roll in rolls]) for n in names.split()}
    for end, name in enumerate(("lowest_pitch", "highest_pitch")):
        result[name] = _mean([statistics.pitch_range(roll)[end] for roll in rolls])
    if keys is not None:
        rates = [statistics.pitch_in_scale_rate(*pair) for pair in zip(rolls, keys, strict=True)]
        result["pitch_in_scale_rate"] = _mean(rates)
    if training is not None:
        result["copied_share"] = _mean(statistics.copied_share(rolls, training))
    return result


def _mean(values):
    """Mean without the NaN; None, which JSON can say, when nothing is left."""
    values = np.array(values)
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else None
