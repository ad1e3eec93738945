"""Scores of models whose answers are known."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from cvae import evaluation
from cvae.evaluation import (
    continuations,
    evaluate,
    importance_weighted_score,
    key_accuracy,
    key_confusion,
    pieces,
    profile_accuracy,
    sample_statistics,
    score,
)
from cvae.examples import SONG, examples, frames, gather
from cvae.mixture import TranspositionMixture
from cvae.models import VAE, VAELSTM, ClassifyingVAE, ClassifyingVAELSTM
from cvae.music.corpora import Corpus, Song, load_corpus
from cvae.music.keys import PROFILES
from cvae.music.pianoroll import notes_to_roll, windows
from cvae.paths import cache_folder

TERMS = ("bound", "reconstruction", "kl_z", "kl_w")


def assign(network, *values):
    for variable, value in zip(network.trainable_variables, values, strict=True):
        variable.assign(np.broadcast_to(value, variable.shape))


@pytest.fixture(scope="module")
def blank():
    """A VAE whose coins and posterior ignore everything: pitch i sounds with odds exp(i / 20)."""
    model = VAE(latent_dim=2, hidden_dim=3)
    assign(model.encoder, 0, 0, 0, [1.0, 2.0, np.log(4.0), 0.0])
    assign(model.decoder, 0, 0, 0, np.arange(88) / 20)
    return model


@pytest.fixture(scope="module")
def linear():
    """A Classifying VAE whose evidence for each of three keys is a weighted sum of the notes."""
    model = ClassifyingVAE(classes=3, hidden_class_dim=3, coordinates="additive")
    weights = np.abs(np.random.default_rng(0).normal(size=(88, 3)))
    output = np.float32([[1, 0, 0, 0], [0, 1, 0, 0], [-1, -1, 0, 0]])  # log-ratios to the last key
    assign(model.classifier, weights, 0, output, 0)
    return model, lambda rolls: np.argmax(rolls.mean(axis=-2) @ weights, axis=-1)


@pytest.fixture
def briefly(eagerly, monkeypatch):
    """Eagerly, and with continuations of 8 steps in the place of 64: nearly all of the time."""
    monkeypatch.setattr(evaluation, "STEPS", 8)


EMPTY = Corpus("void", ("C major", "E major", "A- major"), (), (), ())


@pytest.mark.parametrize("scorer", [evaluate, key_accuracy, key_confusion])
@pytest.mark.parametrize("split", ["test", "dev", ""])
def test_an_empty_or_unknown_split_is_named(scorer, split, linear):
    with pytest.raises(ValueError, match=rf"\Asplit: [^\n]*{split}[^\n]*\Z"):
        scorer(linear[0], EMPTY, split)


# Bounds


def test_terms_of_a_blank_model_by_hand(blank, tiny_corpus, eagerly):
    data = frames(tiny_corpus, "valid")
    logits = np.arange(88) / 20
    log_likelihood = data.x @ logits - np.logaddexp(0, logits).sum()
    kl_z = 0.5 * (1 + 4 - 1 - np.log(4)) + 0.5 * 4
    result = score(blank, examples(tiny_corpus, "valid"), seed=0)
    assert result["reconstruction"] == pytest.approx(-log_likelihood.mean(), rel=1e-5)
    assert result["kl_z"] == pytest.approx(kl_z, rel=1e-5)
    assert result["kl_w"] == 0 and np.isnan(result["key_accuracy"])
    assert result["bound"] == pytest.approx(kl_z - log_likelihood.mean(), rel=1e-5)


def test_a_long_split_is_scored_in_parts(blank, linear, tiny_corpus, eagerly, monkeypatch):
    data = examples(tiny_corpus, "train")
    whole = [score(model, data, seed=0) for model in (blank, linear[0])]
    monkeypatch.setattr(evaluation, "CHUNK", 7)
    parts = [score(model, data, seed=0) for model in (blank, linear[0])]
    assert parts[0] == pytest.approx(whole[0], rel=1e-5, nan_ok=True)
    for name in ("kl_w", "key_accuracy"):  # what no sample enters
        assert parts[1][name] == pytest.approx(whole[1][name], rel=1e-5)
    assert parts[1]["bound"] == pytest.approx(whole[1]["bound"], rel=0.02)
    accuracy = key_accuracy(linear[0], tiny_corpus, "train")
    monkeypatch.undo()
    assert accuracy == key_accuracy(linear[0], tiny_corpus, "train")


def test_parts_of_a_split_draw_different_samples(linear, tiny_corpus, eagerly, monkeypatch):
    data = examples(tiny_corpus, "train")
    eight = data._replace(start=data.start[:8], length=data.length[:8], key=data.key[:8])
    twice = eight._replace(
        **{name: np.tile(getattr(eight, name), 2) for name in ("start", "length", "key")}
    )
    once = score(linear[0], eight, seed=0)
    monkeypatch.setattr(evaluation, "CHUNK", 8)
    assert score(linear[0], twice, seed=0)["bound"] != pytest.approx(once["bound"], rel=1e-6)


def test_the_seed_decides_the_score(linear, tiny_corpus, eagerly):
    data = examples(tiny_corpus, "valid")
    first, same, other = (score(linear[0], data, seed=seed) for seed in (0, 0, 1))
    assert first == same and first["bound"] != other["bound"]


def test_score_by_the_tighter_bound(shaken, tiny_corpus, eagerly):
    """Its gain over the ELBO is the model's own, and of the ELBO's parts nothing changes."""
    model, data = shaken(VAELSTM(prior="lstm", hidden_dim=4)), examples(tiny_corpus, "valid", SONG)
    elbo, tighter = (score(model, data, seed=2, samples=samples) for samples in (1, 8))
    assert elbo["bound"] == elbo["kl_z"] + elbo["kl_w"] + elbo["reconstruction"]
    parts = ("reconstruction", "kl_z", "kl_w")
    assert [elbo[name] for name in parts] == [tighter[name] for name in parts]
    count = len(data.key)
    batch = gather(data, np.arange(count), int(data.length.max()), sequential=True)
    x, x_prev = (tf.cast(array, tf.float32) for array in (batch.x, batch.x_prev))
    terms = model.elbo(x, x_prev, batch.key, np.int32([2, 0]), batch.mask, samples=8)
    expected = -np.sum(terms.bound) / data.length.sum()
    assert tighter["bound"] == pytest.approx(expected, rel=1e-5) and expected < elbo["bound"]


def test_models_are_not_mixed_up(trained, tiny_corpus):
    """Scores are compiled for each model, and of two alike each has its own weights."""
    data = examples(tiny_corpus, "valid")
    fresh = ClassifyingVAE(classes=3, **trained.options)
    before = score(fresh, data, seed=0)["bound"]
    assert before > 40 > score(trained.model, data, seed=0)["bound"]
    fresh.set_weights(trained.model.get_weights())  # and changed weights are noticed
    assert score(fresh, data, seed=0) == score(trained.model, data, seed=0)


# Evaluation


def test_evaluate_says_what_the_command_prints(trained, tiny_corpus):
    few = {"draws": 2, "iw_samples": 2, "samples": 3}
    result = evaluate(trained.model, tiny_corpus, **few)
    names = (
        "window_bound iw_bound iw_samples iw_bound_se mixture_bound mixture_bound_se "
        "key_accuracy key_profiles samples data songs steps"
    )
    assert list(result) == ["corpus", "split", "seed", *TERMS, *names.split()]
    assert (result["corpus"], result["split"], result["seed"]) == ("tiny", "test", 0)
    assert result["songs"] == 3 and result["steps"] == len(frames(tiny_corpus, "test").x)
    terms = result["reconstruction"] + result["kl_z"] + result["kl_w"]
    assert result["bound"] == pytest.approx(terms, rel=1e-6)
    assert list(result["key_accuracy"]) == ["1", "4", "8", "song"]  # no song has 16 steps
    assert result["key_accuracy"]["song"] == 1
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert evaluate(trained.model, tiny_corpus, **few) == result
    assert result["window_bound"] is None and result["iw_samples"] == 2
    assert result["iw_bound"] < result["bound"]
    assert list(result["key_profiles"]) == list(PROFILES)
    assert result["data"]["pitch_in_scale_rate"] == 1
    assert set(result["samples"]) == set(result["data"])


def test_classes_that_are_no_keys_have_neither_profiles_nor_scales(
    trained, tiny_corpus, composers, briefly
):
    few = {"draws": 1, "iw_samples": 1, "samples": 4}
    result = evaluate(trained.model, composers, **few)
    with_keys = evaluate(trained.model, tiny_corpus, **few)
    assert result["key_profiles"] == {} and with_keys["key_profiles"]
    for name in ("samples", "data"):
        assert with_keys[name].pop("pitch_in_scale_rate") > 0
        assert result[name] == with_keys[name]
    for name in ("bound", "key_accuracy", "iw_bound"):
        assert result[name] == with_keys[name]
    mixed = evaluate(trained.model, composers, mixture=True, **few)
    assert np.isfinite(mixed["mixture_bound"])  # a composer is the same in any key


def test_the_bound_is_a_mean_over_draws(tiny_corpus, monkeypatch):
    model, data = VAE(hidden_dim=4), examples(tiny_corpus, "test")
    one, many = ([score(model, data, s, n)["bound"] for s in range(12)] for n in (1, 20))
    assert np.std(many) < 0.5 * np.std(one)  # the root of 20 is 4.5
    assert np.mean(many) == pytest.approx(np.mean(one), abs=2 * np.std(one))
    assert all(type(value) is float for value in score(model, data, 0).values())
    # However many draws, so many steps are in memory at once.
    sizes = []
    monkeypatch.setattr(evaluation, "CHUNK", 7)
    monkeypatch.setattr(
        evaluation, "_terms", lambda *a: sizes.append(len(a[2])) or np.ones((5, 99))
    )
    score(model, data, 0, 1000)
    assert max(sizes) == 70 and len(sizes) > 100


@pytest.mark.parametrize("prior", ["standard", "lstm"])
def test_sequences_are_scored_on_whole_songs_and_on_windows(prior, tiny_corpus, briefly):
    """Songs longer than 16 steps, so that the two differ; each by the terms of its examples."""
    songs = [
        replace(song, roll=np.concatenate([song.roll] * 4)[: 20 + i])
        for i, song in enumerate(tiny_corpus.test)
    ]
    corpus = replace(tiny_corpus, test=tuple(songs))
    options = {"hidden_dim": 6, "hidden_class_dim": 6, "latent_dim": 3, "use_x_prev": True}
    model = ClassifyingVAELSTM(classes=3, prior=prior, **options)
    few = {"draws": 2, "iw_samples": 3, "samples": 3}
    result = evaluate(model, corpus, seed=5, **few)
    for name, length, draws in (("bound", "song", 2), ("window_bound", 16, 1)):
        data = examples(corpus, "test", length)
        assert result[name] == score(model, data, 5, draws)["bound"]
    whole = examples(corpus, "test", "song")
    assert result["iw_bound"] == importance_weighted_score(model, whole, 5, 3)[0]
    assert result["bound"] != pytest.approx(result["window_bound"], rel=1e-4)
    assert (result["songs"], result["steps"]) == (3, 20 + 21 + 22)
    rolls, asked, _ = continuations(model, corpus, "test", 3, 5)
    training = [song.roll for song in corpus.train]
    assert result["samples"] == sample_statistics(rolls, asked, training)


def test_continuations_infer_the_key_if_none_is_told(tiny_corpus, eagerly):
    model = ClassifyingVAE(classes=3, hidden_dim=8, use_x_prev=True)
    told, _, chosen = continuations(model, tiny_corpus, "test", 4)
    inferred, _, _ = continuations(model, tiny_corpus, "test", 4, key=None)
    longest = max(len(song.roll) for song in tiny_corpus.test)  # none has 16 steps
    seeds = np.stack([tiny_corpus.test[i].roll for i in chosen])
    assert seeds.shape[1] == longest
    np.testing.assert_array_equal(inferred, model.generate(seeds, 64))
    assert not np.array_equal(told, inferred)


def test_a_model_without_classes_has_no_key_accuracy(blank, tiny_corpus, briefly):
    result = evaluate(blank, tiny_corpus, "valid", draws=1, iw_samples=1, samples=1)
    assert result["key_accuracy"] == {} and result["kl_w"] == 0
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    for scorer in (key_accuracy, key_confusion):
        with pytest.raises(ValueError, match="no classes"):
            scorer(blank, tiny_corpus, "valid")


@pytest.mark.parametrize(
    ("model", "arguments", "named"),
    [
        (lambda: ClassifyingVAE(classes=4), {}, "corpus"),
        (lambda: VAE(pitches=12), {}, "pitches"),
        (VAE, {"draws": 0}, "draws"),
        (VAE, {"iw_samples": 0}, "iw_samples"),
        (VAE, {"samples": 1.5}, "samples"),
        (VAE, {"seed": -1}, "seed"),
        (VAE, {"seed": 2**31}, "seed"),
        (VAE, {"split": "dev"}, "split"),
    ],
)
def test_evaluate_names_what_is_wrong_in_one_line(model, arguments, named, tiny_corpus):
    with pytest.raises(ValueError, match=rf"\A{named}: [^\n]+\Z"):
        evaluate(model(), tiny_corpus, **arguments)


# Keys


@pytest.mark.parametrize("length", [1, 4, 6])
def test_confusion_counts_the_windows_of_each_key(linear, tiny_corpus, length):
    model, guess = linear
    confusion = key_confusion(model, tiny_corpus, "train", length=length)
    cut = windows(tiny_corpus.train, tiny_corpus.keys, length=length)
    assert confusion.shape == (3, 3) and confusion.dtype.kind == "i"
    np.testing.assert_array_equal(confusion.sum(axis=1), np.bincount(cut.key, minlength=3))
    expected = np.zeros((3, 3))
    for true, guessed in zip(cut.key, guess(cut.x), strict=True):
        expected[true, guessed] += 1
    np.testing.assert_array_equal(confusion, expected)
    assert np.count_nonzero(expected.sum(axis=0)) > 1  # the model does not always guess one key
    accuracy = key_accuracy(model, tiny_corpus, "train", lengths=[length])
    assert accuracy[str(length)] == pytest.approx(np.trace(confusion) / confusion.sum())


def test_key_accuracy_of_whole_songs(linear, tiny_corpus):
    model, guess = linear
    songs = tiny_corpus.train
    right = [tiny_corpus.keys[guess(song.roll)] == song.key for song in songs]
    assert 0 < np.mean(right) < 1
    accuracy = key_accuracy(model, tiny_corpus, "train", lengths=[2, 10, 11])
    longest = max(len(song.roll) for song in songs)
    assert list(accuracy) == ["2", "10", "song"] and longest == 10
    assert accuracy["song"] == np.mean(right)


def test_score_and_confusion_agree_on_single_steps(linear, tiny_corpus, eagerly):
    model, _ = linear
    confusion = key_confusion(model, tiny_corpus, "test")
    accuracy = score(model, examples(tiny_corpus, "test"), seed=0)["key_accuracy"]
    assert accuracy == pytest.approx(np.trace(confusion) / confusion.sum())


def test_the_key_of_a_step_is_told_from_the_step_when_predicting_next_too(
    tiny_corpus, linear, eagerly
):
    options = {"hidden_class_dim": 3, "coordinates": "additive", "predict_next": True}
    model = ClassifyingVAE(classes=3, **options)
    assign(model.classifier, *linear[0].classifier.get_weights())
    data = frames(tiny_corpus, "test")
    accuracy = score(model, examples(tiny_corpus, "test"), seed=0)["key_accuracy"]
    assert accuracy == pytest.approx(np.mean(linear[1](data.x[:, None]) == data.key))


# Statistics of samples


def test_sample_statistics_are_means_over_the_rolls():
    scale = notes_to_roll([[60], [62], [64], [65], [67], [69], [71]])  # C major
    held = notes_to_roll([[61, 66]] * 4)
    result = sample_statistics([scale, held], ["C major", "C major"], [held[:2]])
    assert (result["lowest_pitch"], result["highest_pitch"]) == (60.5, 68.5)
    assert result["step_change"] == 1
    assert result["copied_share"] == 0.25
    assert result["pitch_in_scale_rate"] == 0.5
    assert result["scale_consistency"] == 1
    assert result["polyphony"] == 1.5
    assert result["note_repetition"] == 0.5
    assert result["pitch_class_entropy"] == pytest.approx((np.log2(7) + 1) / 2)
    assert "pitch_in_scale_rate" not in sample_statistics([scale, held])


def test_silent_samples_are_left_out_and_leave_no_nan():
    silent, note = np.zeros((3, 88), bool), notes_to_roll([[60]] * 3)
    both = sample_statistics([silent, note], ["C major"] * 2)
    assert both["scale_consistency"] == both["pitch_in_scale_rate"] == 1
    assert both["polyphony"] == 0.5
    for rolls in ([silent], []):
        result = sample_statistics(rolls, ["C major"] * len(rolls))
        assert result["scale_consistency"] is None and result["pitch_in_scale_rate"] is None
        json.dumps(result, allow_nan=False)


def test_a_key_for_each_roll():
    with pytest.raises(ValueError):
        sample_statistics([np.ones((2, 88), bool)] * 2, ["C major"])


def test_songs_may_be_of_any_length(linear, briefly):
    """A single step, and songs of very different lengths."""
    songs = tuple(
        Song(notes_to_roll([[60, 64, 67]] * steps), "C major", "t", "s") for steps in (1, 40)
    )
    corpus = Corpus("odd", ("C major", "E major", "A- major"), songs, songs, songs)
    result = evaluate(linear[0], corpus, draws=1, iw_samples=1, samples=1)
    assert result["steps"] == 41
    assert list(result["key_accuracy"]) == ["1", "4", "8", "16", "32", "song"]


# Key profiles


PUBLISHED = {  # measured apart from this code, on the test split of the original's file
    "krumhansl-kessler": (0.375, 0.539, 0.604, 0.664, 0.746, 0.857),
    "aarden-essen": (0.401, 0.654, 0.744, 0.834, 0.942, 0.986),
    "temperley": (0.418, 0.667, 0.754, 0.823, 0.935, 1.000),
}
ORIGINAL = cache_folder() / "seed" / "JSB Chorales_all.pickle"


@pytest.mark.skipif(not ORIGINAL.is_file(), reason="needs `cvae corpus fetch jsb-original`")
@pytest.mark.parametrize("profile", PUBLISHED)
def test_profiles_reach_what_was_measured_before(profile):
    accuracy = profile_accuracy(load_corpus("jsb-original"), "test", profile)
    assert list(accuracy) == ["1", "4", "8", "16", "32", "song"]
    np.testing.assert_allclose(list(accuracy.values()), PUBLISHED[profile], atol=0.003)


def test_profiles_know_plain_cadences(tiny_corpus):
    for profile in PROFILES:
        assert profile_accuracy(tiny_corpus, "test", profile)["song"] == 1


# Importance-weighted bound


class Told:
    """Stands for a model whose bound on an example is minus its number of notes."""

    sequential, pitches, classes = True, 88, 0

    def importance_weighted_bound(self, x, x_prev, seed, samples, mask):
        return -tf.reduce_sum(mask[..., None] * x, axis=[1, 2])


def test_importance_weighted_score_is_by_step_and_its_error_by_song(tiny_corpus, eagerly):
    notes = np.array([song.roll.sum() for song in tiny_corpus.train], float)
    steps = np.array([len(song.roll) for song in tiny_corpus.train], float)
    for length in ("song", 3):
        data = examples(tiny_corpus, "train", length, 1 if length == "song" else length)
        bound, error = importance_weighted_score(Told(), data, 0, 1)
        assert bound == pytest.approx(notes.sum() / steps.sum())
        # The jackknife is another road to the error of a ratio.
        without = (notes.sum() - notes) / (steps.sum() - steps)
        jackknife = np.sqrt((len(notes) - 1) * np.mean((without - without.mean()) ** 2))
        assert error == pytest.approx(jackknife, rel=0.1, abs=1e-9)


def test_evaluate_takes_the_mixture_on_demand(tiny_corpus, briefly):
    model, few = VAE(hidden_dim=4), {"draws": 1, "iw_samples": 2, "samples": 1}
    assert evaluate(model, tiny_corpus, **few)["mixture_bound"] is None
    result = evaluate(model, tiny_corpus, mixture=True, **few)
    data = examples(tiny_corpus, "test")
    expected = importance_weighted_score(TranspositionMixture(model), data, 0, 2)
    assert (result["mixture_bound"], result["mixture_bound_se"]) == expected


def test_the_error_shows_what_differs_from_song_to_song(eagerly):
    rng = np.random.default_rng(0)
    rolls = [rng.random((int(rng.integers(4, 9)), 88)) < rng.uniform(0, 0.2) for _ in range(12)]
    songs = tuple(Song(roll, "C major", "t", "s") for roll in rolls)
    corpus = Corpus("odd", ("C major",), songs, songs, songs[:1])
    bound, error = importance_weighted_score(Told(), examples(corpus, "train", "song"), 0, 1)
    notes, steps = (np.array([f(r) for r in rolls], float) for f in (np.sum, len))
    draws = rng.integers(12, size=(4000, 12))
    bootstrap = np.std(notes[draws].sum(axis=1) / steps[draws].sum(axis=1))
    assert error == pytest.approx(bootstrap, rel=0.15)
    assert importance_weighted_score(Told(), examples(corpus, "test", "song"), 0, 1)[1] is None


# Continuations


def test_all_models_continue_the_same_songs_and_are_told_their_keys(tiny_corpus):
    asked = []

    class Listening:
        def __init__(self, classes):
            self.classes = classes

        def generate(self, seed_roll, steps, **options):
            asked.append((seed_roll, steps, options))
            return np.repeat(seed_roll[:, -1:], steps, axis=1)

    outcomes = [continuations(Listening(k), tiny_corpus, "train", 20, seed=3) for k in (0, 3)]
    (seeds, steps, plain), (same, _, told) = asked
    np.testing.assert_array_equal(seeds, same)
    assert steps == 64 and "key" not in plain and plain["seed"] == told["seed"] == 3
    _, names, songs = outcomes[1]
    assert [tiny_corpus.keys[k] for k in told["key"]] == names
    for roll, name, number in zip(seeds, names, songs, strict=True):
        assert name == tiny_corpus.train[number].key
        np.testing.assert_array_equal(roll, tiny_corpus.train[number].roll)


def test_pieces_are_cut_without_overlap():
    rng = np.random.default_rng(0)
    songs = tuple(
        Song(rng.random((steps, 88)) < 0.1, key, "t", "s")
        for steps, key in ((130, "C major"), (64, "G major"), (63, "G major"))
    )
    corpus = Corpus("three", ("C major", "G major"), songs, songs, songs)
    rolls, keys = pieces(corpus, "test")
    assert keys == ["C major", "C major", "G major"]
    np.testing.assert_array_equal(np.concatenate(rolls[:2]), songs[0].roll[:128])
    np.testing.assert_array_equal(rolls[2], songs[1].roll)
