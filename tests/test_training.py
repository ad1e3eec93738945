"""Training: what an epoch does by oracle, when training ends, and what is left of it."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.util.event_pb2 import Event

from cvae import training
from cvae.evaluation import score
from cvae.examples import Batch, examples, frames, gather, shuffled_batches
from cvae.models import VAE, VAELSTM, ClassifyingVAE, ClassifyingVAELSTM
from cvae.music.corpora import Corpus
from cvae.music.keys import MAJOR_MINOR
from cvae.runs import (
    LOCK,
    SETTINGS,
    STATE,
    WEIGHTS,
    Run,
    load_arrays,
    load_run,
    save_arrays,
    weights_of,
)
from cvae.training import Trainer, TrainingConfig, TrainingDiverged, fit, ramp

SIZES = {"hidden_dim": 16, "hidden_class_dim": 16}


def config(**settings):
    return TrainingConfig(**({"batch_size": 16} | settings))


def classifying_vae(**options):
    return ClassifyingVAE(classes=3, **(SIZES | options))


KINDS = {
    "vae-lstm": (VAELSTM, "standard"),
    "vae-lstm, LSTM prior": (VAELSTM, "lstm"),
    "cl-vae-lstm": (ClassifyingVAELSTM, "standard"),
    "cl-vae-lstm, LSTM prior": (ClassifyingVAELSTM, "lstm"),
}


def sequences(kind, **options):
    """A small model of sequences."""
    family, prior = KINDS[kind]
    if family is ClassifyingVAELSTM:
        options = {"classes": 3, "hidden_class_dim": 8} | options
    return family(**({"hidden_dim": 8, "prior": prior} | options))


MODES = {
    "windows": {"seq_length": 4, "batch_size": 20},
    "songs": {"seq_length": "song", "batch_size": 4},
    "carried": {"seq_length": 4, "carry_state": True, "batch_size": 4},
    "any length": {"seq_length": "song", "any_length": True, "batch_size": 20},
}


def same_weights(a, b):
    a, b = (weights if isinstance(weights, dict) else weights_of(weights) for weights in (a, b))
    assert a.keys() == b.keys()
    return all(np.array_equal(a[name], b[name]) for name in a)


# Settings


def test_the_defaults_are_the_originals():
    assert dataclasses.asdict(TrainingConfig()) == {
        "epochs": 200,
        "seq_length": None,
        "carry_state": False,
        "batch_size": 100,
        "learning_rate": 1e-3,
        "cosine_decay": False,
        "clip_norm": 0.0,
        "optimizer": "adam",
        "class_weight": 1.0,
        "bound_samples": 1,
        "kl_anneal": 0,
        "w_kl_anneal": 0,
        "patience": 5,
        "transpose": 0,
        "any_key": False,
        "any_length": False,
        "seed": 0,
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("epochs", 2.5),
        ("epochs", "3"),
        ("batch_size", 0),
        ("seq_length", 0),
        ("seq_length", 2.5),
        ("seq_length", "songs"),
        ("clip_norm", -1.0),
        ("clip_norm", float("nan")),
        ("clip_norm", "short"),
        ("learning_rate", 0),
        ("learning_rate", -1e-3),
        ("learning_rate", float("nan")),
        ("learning_rate", float("inf")),
        ("learning_rate", "fast"),
        ("optimizer", "adamant"),
        ("optimizer", ""),
        ("optimizer", None),
        ("class_weight", -1),
        ("class_weight", float("nan")),
        ("bound_samples", 0),
        ("kl_anneal", -1),
        ("kl_anneal", 201),
        ("w_kl_anneal", 1.5),
        ("w_kl_anneal", 201),
        ("patience", -1),
        ("transpose", -1),
        ("transpose", 12),
        ("seed", -1),
        ("seed", 2**31),
        ("carry_state", "false"),
        ("cosine_decay", 1),
        ("any_key", None),
        ("any_length", "yes"),
    ],
)
def test_a_bad_setting_is_named_in_one_line(name, value):
    with pytest.raises(ValueError, match=rf"\A{name}: [^\n]+\Z"):
        TrainingConfig(**{name: value})


def test_whole_songs_exclude_carried_state():
    with pytest.raises(ValueError, match=r"\Acarry_state: [^\n]+\Z"):
        TrainingConfig(seq_length="song", carry_state=True)


def test_any_length_excludes_carried_state():
    with pytest.raises(ValueError, match=r"\Aany_length: [^\n]+\Z"):
        TrainingConfig(any_length=True, carry_state=True)


def test_ramp_rises_in_a_line_to_one():
    assert [ramp(epoch, 4) for epoch in range(6)] == [0, 0.25, 0.5, 0.75, 1, 1]
    assert ramp(0, 0) == 1


def without(corpus, split):
    return Corpus(corpus.name, corpus.keys, **(dict(splits(corpus)) | {split: ()}))


def splits(corpus):
    return [(name, corpus.split(name)) for name in ("train", "valid", "test")]


@pytest.mark.parametrize("split", ["train", "valid"])
def test_an_empty_split_is_named(split, tiny_corpus):
    with pytest.raises(ValueError, match=rf"\Asplit: {split} [^\n]+ empty\Z"):
        fit(classifying_vae(), without(tiny_corpus, split), config())


def test_a_batch_larger_than_the_training_split(tiny_corpus):
    steps = sum(len(song.roll) for song in tiny_corpus.train)
    with pytest.raises(
        ValueError, match=rf"\Abatch_size: got {steps + 1}, [^\n]* {steps} [^\n]+\Z"
    ):
        fit(classifying_vae(), tiny_corpus, config(batch_size=steps + 1))
    Trainer(classifying_vae(), tiny_corpus, config(batch_size=steps))


@pytest.mark.parametrize("settings", [MODES["songs"], MODES["carried"]], ids=["songs", "carried"])
def test_a_batch_larger_than_the_number_of_songs(settings, tiny_corpus):
    model, songs = sequences("vae-lstm"), len(tiny_corpus.train)
    with pytest.raises(ValueError, match=rf"\Abatch_size: got 9, [^\n]* {songs} songs\Z"):
        Trainer(model, tiny_corpus, config(**settings | {"batch_size": songs + 1}))
    Trainer(model, tiny_corpus, config(**settings | {"batch_size": songs}))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"seq_length": 2}, "seq_length"),
        ({"seq_length": "song"}, "seq_length"),
        ({"carry_state": True}, "carry_state"),
        ({"any_length": True}, "any_length"),
    ],
)
def test_a_model_of_single_steps_takes_no_sequences(settings, named, tiny_corpus):
    with pytest.raises(ValueError, match=rf"\A{named}: got [^\n]+single steps\Z"):
        fit(VAE(), tiny_corpus, config(**settings))
    Trainer(VAE(), tiny_corpus, config(seq_length=1))


def test_any_key_needs_classes_of_all_keys_if_any(tiny_corpus):
    settings = config(any_key=True, transpose=1)
    with pytest.raises(ValueError, match=r"\Aany_key: [^\n]+all-keys\Z"):
        fit(classifying_vae(), tiny_corpus, settings)
    all_keys = dataclasses.replace(tiny_corpus, keys=MAJOR_MINOR)
    Trainer(ClassifyingVAE(classes=24, **SIZES), all_keys, settings)


def test_a_tighter_bound_needs_steps_that_are_independent(tiny_corpus):
    with pytest.raises(ValueError, match=r"\Abound_samples: [^\n]+\Z"):
        fit(sequences("vae-lstm"), tiny_corpus, config(bound_samples=2, batch_size=4))


def test_any_key_needs_transposition():
    with pytest.raises(ValueError, match=r"\Aany_key: [^\n]+\Z"):
        TrainingConfig(any_key=True)


@pytest.mark.parametrize(
    ("model", "named"),
    [(lambda: ClassifyingVAE(classes=4), "corpus"), (lambda: VAE(pitches=12), "pitches")],
)
def test_a_model_that_does_not_fit_the_corpus(model, named, tiny_corpus):
    with pytest.raises(ValueError, match=rf"\A{named}: [^\n]+\Z"):
        fit(model(), tiny_corpus, config())


# One epoch


@pytest.fixture
def orders(tiny_corpus):
    """Records what the compiled part of each epoch is called with, and calls it not."""

    def record(**settings):
        calls = []

        def train_batches(*arguments):
            calls.append(arguments)
            return np.ones(3)

        trainer = Trainer(VAE(), tiny_corpus, config(**settings))
        trainer._train_batches = train_batches
        for epoch in range(trainer.config.epochs):
            trainer.epoch = epoch
            trainer.train_epoch()
        return calls

    return record


def test_each_epoch_shuffles_the_data_anew(orders, tiny_corpus):
    steps = sum(len(song.roll) for song in tiny_corpus.train)
    first, second = (call[1] for call in orders(epochs=2))
    for order in (first, second):
        assert order.shape == (steps // 16, 16)
        assert len(set(order.ravel())) == order.size and set(order.ravel()) < set(range(steps))
    assert set(first.ravel()) != set(second.ravel())  # another remainder is left out
    again, _ = (call[1] for call in orders(epochs=2))
    np.testing.assert_array_equal(first, again)
    other, _ = (call[1] for call in orders(epochs=2, seed=1))
    assert not np.array_equal(first, other)


def test_both_kl_weights_are_annealed_each_by_its_own_length(orders):
    calls = orders(epochs=5, kl_anneal=4, w_kl_anneal=2)
    assert [float(call[-2]) for call in calls] == [0, 0.25, 0.5, 0.75, 1]
    assert [float(call[-1]) for call in calls] == [0, 0.5, 1, 1, 1]


@pytest.mark.parametrize("class_weight", [0.0, 1.0, 0.3])
def test_loss_is_the_weighted_bound(class_weight, tiny_corpus, eagerly):
    """One batch of the whole split, against the objective written out here."""
    data = frames(tiny_corpus, "train")
    size = len(data.x)
    settings = config(
        batch_size=size, class_weight=class_weight, kl_anneal=4, w_kl_anneal=10, epochs=10
    )
    trainer = Trainer(classifying_vae(), tiny_corpus, settings)
    trainer.epoch = 1
    order = np.random.default_rng([0, 1]).permutation(size)
    batch = (array[order] for array in data[:3])
    x, x_prev, key = (array.astype(kind) for array, kind in zip(batch, "ffi", strict=True))
    seed = tf.random.experimental.stateless_fold_in(np.int32([0, 1]), 0)
    elbo = trainer.model.elbo(x, x_prev, key, seed)
    objective = elbo.log_likelihood - 0.25 * elbo.kl_z - 0.1 * elbo.kl_w
    objective += class_weight * 2 * elbo.log_key
    bound, loss = trainer.train_epoch()
    assert float(bound) == pytest.approx(-np.mean(elbo.bound), rel=1e-5)
    assert float(loss) == pytest.approx(-np.mean(objective), rel=1e-5)


@pytest.mark.parametrize("samples", [1, 3])
def test_annealing_leads_from_the_likelihood_to_the_bound(samples, tiny_corpus, eagerly):
    """The loss half-way is half of either, whichever bound it is."""
    data = frames(tiny_corpus, "train")
    size = len(data.x)
    settings = config(batch_size=size, kl_anneal=2, bound_samples=samples, epochs=2)
    trainer = Trainer(VAE(hidden_dim=16), tiny_corpus, settings)
    trainer.epoch = 1
    order = np.random.default_rng([0, 1]).permutation(size)
    x, x_prev, key = (array[order] for array in data[:3])
    seed = tf.random.experimental.stateless_fold_in(np.int32([0, 1]), 0)
    elbo = trainer.model.elbo(x.astype("f"), x_prev.astype("f"), key, seed, samples=samples)
    _, loss = trainer.train_epoch()
    expected = -0.5 * np.mean(elbo.bound) - 0.5 * np.mean(elbo.log_likelihood)
    assert float(loss) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("length", [4, "song"])
def test_loss_of_sequences_is_a_mean_over_their_steps(length, tiny_corpus, eagerly):
    """One batch of the whole split. What rewards the key counts once for each example."""
    data = examples(tiny_corpus, "train", length)
    size = len(data.key)
    settings = config(seq_length=length, batch_size=size, class_weight=0.3)
    trainer = Trainer(sequences("cl-vae-lstm, LSTM prior"), tiny_corpus, settings)
    [(order, longest)] = shuffled_batches(data.length, size, np.random.default_rng([0, 0]))
    batch = gather(data, order[0], longest, sequential=True)
    seed = tf.random.experimental.stateless_fold_in(np.int32([0, 0]), 0)
    x, x_prev = (tf.cast(array, tf.float32) for array in (batch.x, batch.x_prev))
    elbo = trainer.model.elbo(x, x_prev, batch.key, seed, batch.mask)
    steps = data.length.sum()
    bound, loss = trainer.train_epoch()
    assert float(bound) == pytest.approx(-np.sum(elbo.bound) / steps, rel=1e-5)
    expected = -np.sum(elbo.bound) / steps - 0.3 * 2 * np.mean(elbo.log_key)
    assert float(loss) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("family", "options"), [(VAELSTM, {}), (ClassifyingVAELSTM, {"classes": 3})]
)
def test_the_tighter_bound_is_trained_as_one_program(family, options, tiny_corpus):
    losses = []
    for samples in (1, 8):
        settings = config(epochs=20, batch_size=8, learning_rate=0.01, bound_samples=samples)
        model = family(prior="lstm", hidden_dim=4, seed=1, **options)
        trainer = Trainer(model, tiny_corpus, settings)
        losses.append([trainer.train_epoch()[1] for _ in range(20)])
    assert losses[0][-1] < losses[0][0] and losses[1][-1] < losses[1][0]
    assert np.mean(losses[1]) < np.mean(losses[0])


def test_the_epoch_is_kept_by_the_bound_that_is_trained(tiny_corpus, eagerly):
    model = VAE(hidden_dim=4)
    history = fit(model, tiny_corpus, config(epochs=3, bound_samples=5, seed=1))
    valid = examples(tiny_corpus, "valid")
    kept = score(model, valid, seed=1, samples=5)["bound"]
    assert kept == min(history["valid_bound"]) != score(model, valid, seed=1)["bound"]


def test_class_weight_changes_nothing_in_a_model_without_classes(tiny_corpus, eagerly):
    models = [VAE(hidden_dim=4) for _ in range(2)]
    for model, class_weight in zip(models, (0.0, 5.0), strict=True):
        fit(model, tiny_corpus, config(epochs=1, class_weight=class_weight))
    assert same_weights(models[0].variables, models[1].variables)


@pytest.mark.parametrize(
    ("kind", "mode"),
    [  # other pairs are trained below
        ("vae-lstm", "windows"),
        ("vae-lstm", "carried"),
        ("vae-lstm, LSTM prior", "songs"),
        ("cl-vae-lstm", "carried"),
        ("cl-vae-lstm", "songs"),
        ("cl-vae-lstm, LSTM prior", "windows"),
    ],
)
def test_sequences_are_trained(kind, mode, tiny_corpus, eagerly):
    """An epoch moves all weights, and scores the validation split cut in the same way."""
    model, settings = sequences(kind), config(epochs=1, seed=3, **MODES[mode])
    before = [variable.numpy() for variable in model.trainable_variables]
    history = fit(model, tiny_corpus, settings)
    for variable, array in zip(model.trainable_variables, before, strict=True):
        assert np.all(np.isfinite(variable)) and not np.array_equal(variable, array), variable.path
    stride = 4 if mode == "carried" else 1
    valid = examples(tiny_corpus, "valid", settings.seq_length, stride)
    assert history["valid_bound"] == [score(model, valid, seed=3)["bound"]]
    assert 40 < history["train_bound"][0] < 70  # of 88 coins, nats a step


@pytest.fixture
def heard(tiny_corpus, monkeypatch):
    """What a model was trained on: the arguments and the result of each call."""

    def train(epochs=1, **settings):
        model, calls = sequences("vae-lstm, LSTM prior"), []
        plain = model.elbo

        def elbo(x, x_prev, key, seed, mask=None, state=None, samples=1):
            result = plain(x, x_prev, key, seed, mask, state, samples)
            calls.append((Batch(x, x_prev, key, mask), state, result, tuple(seed.numpy())))
            return result

        monkeypatch.setattr(model, "elbo", elbo)
        trainer = Trainer(model, tiny_corpus, config(**MODES["carried"] | settings))
        for trainer.epoch in range(epochs):
            trainer.train_epoch()
        return calls

    return train


def lanes_of(calls):
    """For each place of the batch, its windows: steps, step before the first, whether it begins."""
    for place in range(4):
        lane = []
        for batch, state, _, _ in calls:
            steps = int(np.sum(batch.mask[place]))
            begins = all(np.all(array[place] == 0) for array in tf.nest.flatten(state))
            lane.append((batch.x[place, :steps], batch.x_prev[place, 0], begins))
        yield lane


def test_state_is_carried_through_each_song(heard, tiny_corpus, eagerly):
    calls = heard()
    for (_, _, elbo, _), (_, state, _, _) in zip(calls, calls[1:], strict=False):
        for after, now in zip(*map(tf.nest.flatten, (elbo.state, state)), strict=True):
            kept = np.all(np.equal(after, now), axis=1)
            emptied = np.all(np.equal(now, 0), axis=1)
            assert np.all(kept | emptied)
    songs = {song.roll.tobytes() for song in tiny_corpus.train}
    for lane in lanes_of(calls):
        assert lane[0][2]
        begins = [i for i, (_, _, first) in enumerate(lane) if first]
        for start, stop in zip(begins, begins[1:], strict=False):  # the last may be cut short
            roll = np.concatenate([steps for steps, _, _ in lane[start:stop]]).astype(bool)
            assert roll.tobytes() in songs
        for (steps, _, _), (_, last, first) in zip(lane, lane[1:], strict=False):
            np.testing.assert_array_equal(last, 0 * last if first else steps[-1])


@pytest.mark.parametrize("mode", MODES)
def test_each_batch_draws_by_a_seed_of_its_own(mode, heard, eagerly):
    settings = {"carry_state": False} | MODES[mode] | {"batch_size": 4}
    seeds = [call[-1] for call in heard(epochs=2, **settings)]
    assert len(set(seeds)) == len(seeds) > 3


def test_a_song_is_moved_as_one_when_its_state_is_carried(heard, tiny_corpus, eagerly):
    """What the memory has read is in the key that goes on."""
    calls = heard(transpose=4)
    moved = 0
    for lane in lanes_of(calls):
        for (steps, _, _), (_, last, first) in zip(lane, lane[1:], strict=False):
            if not first:
                np.testing.assert_array_equal(last, steps[-1])
        moved += sum(
            not any(np.array_equal(steps, song.roll[: len(steps)]) for song in tiny_corpus.train)
            for steps, _, first in lane
            if first
        )
    assert moved


@pytest.mark.parametrize("kind", ["steps", "sequences"])
def test_a_gradient_is_clipped_to_a_norm_over_all_weights(kind, tiny_corpus, eagerly):
    """With plain gradient descent the weights move by the rate times the gradient."""
    settings = {"optimizer": "sgd", "learning_rate": 0.1, "batch_size": 50}
    if kind == "sequences":
        settings |= MODES["songs"] | {"batch_size": 8}
    moves = []
    for clip_norm in (0.0, 1e-3, 1e6):
        model = VAE(hidden_dim=8) if kind == "steps" else sequences("vae-lstm")
        before = [variable.numpy() for variable in model.trainable_variables]
        Trainer(model, tiny_corpus, config(clip_norm=clip_norm, **settings)).train_epoch()
        pairs = zip(model.trainable_variables, before, strict=True)
        moves.append(np.concatenate([np.ravel(v.numpy() - array) for v, array in pairs]))
    free, clipped, loose = map(np.linalg.norm, moves)
    assert free == pytest.approx(loose, rel=1e-5) and free > 1e-2
    assert clipped == pytest.approx(0.1 * 1e-3, rel=1e-2)
    cosine = moves[0] @ moves[1] / (free * clipped)
    assert cosine == pytest.approx(1, abs=1e-3)  # of all weights at once: it keeps its direction


def test_the_learning_rate_falls_in_half_a_cosine(tiny_corpus, eagerly):
    settings = {"optimizer": "sgd", "learning_rate": 0.1, "epochs": 4, "cosine_decay": True}
    trainer = Trainer(VAE(hidden_dim=8), tiny_corpus, config(**settings))
    rates = []
    for trainer.epoch in range(4):
        trainer.train_epoch()
        rates.append(float(trainer.optimizer.learning_rate))
    assert rates == pytest.approx([0.1, 0.085355, 0.05, 0.014645], rel=1e-4)


@pytest.mark.parametrize("mode", ["songs", "carried"])
def test_the_largest_seed_trains_too(mode, tiny_corpus, eagerly):
    history = fit(
        sequences("vae-lstm, LSTM prior"),
        tiny_corpus,
        config(epochs=1, seed=2**31 - 1, **MODES[mode]),
    )
    assert np.isfinite(history["valid_bound"][0])


# The end of training: scores by script, and an epoch that only counts


@pytest.fixture
def scripted(tiny_corpus, monkeypatch):
    """`fit` with given validation bounds; the weights after epoch n are n everywhere."""
    model = VAE(hidden_dim=2)

    def run(valid_bounds, losses=None, folder=None, **settings):
        valid_bounds = list(valid_bounds)
        losses = list(losses or [1.0] * len(valid_bounds))

        def train_epoch(trainer):
            for variable in model.trainable_variables:
                variable.assign(tf.fill(variable.shape, trainer.epoch + 1.0))
            return 1.0, losses[trainer.epoch]

        def scripted_score(model, data, seed, samples):
            epoch = int(model.trainable_variables[0].numpy().flat[0]) - 1
            names = ("bound", "reconstruction", "kl_z", "kl_w", "key_accuracy")
            return dict.fromkeys(names, valid_bounds[epoch])

        monkeypatch.setattr(Trainer, "train_epoch", train_epoch)
        monkeypatch.setattr(training, "score", scripted_score)
        settings = {"epochs": len(valid_bounds)} | settings
        return fit(model, tiny_corpus, config(**settings), folder)

    run.model = model
    run.kept = lambda: float(model.trainable_variables[0].numpy().flat[0])
    return run


def test_training_stops_after_so_many_epochs_without_a_better_bound(scripted):
    history = scripted([5, 4, 3, 3.5, 3, 3.2, 2, 1], patience=3)  # an equal bound is no better
    assert history["epoch"] == [1, 2, 3, 4, 5, 6]
    assert history["valid_bound"] == [5, 4, 3, 3.5, 3, 3.2]
    assert scripted.kept() == 3


def test_without_patience_it_never_stops(scripted):
    assert len(scripted([1, *range(2, 20)], patience=0)["epoch"]) == 19
    assert scripted.kept() == 1


def test_it_keeps_the_best_epoch_when_it_runs_to_the_end(scripted):
    scripted([5, 2, 4], patience=5)
    assert scripted.kept() == 2


@pytest.mark.parametrize("name", ["kl_anneal", "w_kl_anneal"])
def test_early_stopping_and_best_weights_wait_for_annealing(scripted, name):
    bounds = [1, 2, 3, 4, 9, 8, 8.5, 8.5, 0]
    history = scripted(bounds, patience=2, **{name: 4})
    assert len(history["epoch"]) == 8
    assert scripted.kept() == 6  # not the first, though its bound is lower


def test_a_training_that_ends_in_annealing_keeps_its_last_weights(scripted):
    scripted([1, 2, 3], kl_anneal=3, patience=1)
    assert scripted.kept() == 3


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["loss", "validation"])
def test_divergence_keeps_the_best_weights_in_model_and_folder(scripted, tmp_path, bad, where):
    bounds, losses = [3, 2, 2.5, 1], [1.0, 1.0, 1.0, 1.0]
    (losses if where == "loss" else bounds)[3] = bad
    with pytest.raises(TrainingDiverged, match=r"\Aepoch 4: [^\n]+\Z"):
        scripted(bounds, losses, tmp_path)
    assert scripted.kept() == 2
    arrays = load_arrays(tmp_path / WEIGHTS)
    assert all(np.all(array == 2) for array in arrays.values())
    state = load_arrays(tmp_path / STATE)
    assert state["history/epoch"].tolist() == [1, 2, 3]
    assert all(np.all(np.isfinite(array)) for array in state.values())


def test_want_of_memory_is_said_in_one_line(tiny_corpus, monkeypatch, eagerly):
    def exhausted(trainer):
        raise tf.errors.ResourceExhaustedError(None, None, "Out of memory\nof 11 TiB")

    monkeypatch.setattr(Trainer, "run_epoch", exhausted)
    with pytest.raises(MemoryError, match=r"\Anot enough memory [^\n]+bound_samples[^\n]+\Z"):
        fit(classifying_vae(), tiny_corpus, config(epochs=1))


def test_divergence_at_once_leaves_the_first_weights(tiny_corpus, tmp_path, eagerly):
    """A single batch in an epoch: its loss is still finite, the weights after it are useless."""
    model = classifying_vae()
    before = weights_of(model.variables)
    settings = config(batch_size=50, learning_rate=1e30)
    with pytest.raises(TrainingDiverged, match=r"\Aepoch 1: [^\n]+\Z"):
        fit(model, tiny_corpus, settings, tmp_path)
    assert same_weights(before, model.variables)
    assert not (tmp_path / WEIGHTS).exists()


def test_poisoned_weights_are_noticed(tiny_corpus, tmp_path, eagerly):
    model = classifying_vae()
    fit(model, tiny_corpus, config(epochs=1), tmp_path)
    good = weights_of(model.variables)
    trainer = Trainer(model, tiny_corpus, config(epochs=2), tmp_path)
    trainer.load_state()
    model.encoder.hidden.kernel.assign(model.encoder.hidden.kernel * np.nan)
    with pytest.raises(TrainingDiverged):
        trainer.run_epoch()
    assert same_weights(good, model.variables)
    assert same_weights(load_arrays(tmp_path / WEIGHTS), model.variables)


# Resuming


def test_resumed_training_ends_in_the_same_bits(trained, tiny_corpus, tmp_path):
    """Compiled, with all that has a state of its own: dropout, transposition, Adam, annealing."""
    assert trained.options["dropout"] and trained.config.transpose and trained.config.kl_anneal
    half = dataclasses.replace(trained.config, epochs=20)
    parts = Run.plan(tmp_path, "cl-vae", tiny_corpus, **trained.options).start()
    first = fit(parts.model, tiny_corpus, half, tmp_path)
    assert first["epoch"] == list(range(1, 21))
    for name, column in first.items():  # the same seed gave the same training
        assert column == trained.history[name][:20]
    resumed = Run.untrained(tmp_path)
    rest = fit(resumed.model, tiny_corpus, trained.config, tmp_path, resume=True)

    assert rest == trained.history
    assert same_weights(trained.model.variables, resumed.model.variables)
    for name in (WEIGHTS, STATE):
        assert same_weights(load_arrays(trained.folder / name), load_arrays(tmp_path / name))
    assert same_weights(load_run(tmp_path).model.variables, resumed.model.variables)


@pytest.mark.parametrize("mode", ["songs", "carried"])
def test_resumed_training_of_sequences_ends_in_the_same_bits(mode, tiny_corpus, tmp_path, eagerly):
    """With dropout, whose state is kept, and clipped gradients."""
    kind = {"songs": "cl-vae-lstm, LSTM prior", "carried": "cl-vae-lstm"}[mode]
    options = {"dropout": 0.2, "class_dropout": 0.2}
    settings = {"clip_norm": 1.0, "transpose": 4} | MODES[mode] | {"batch_size": 8}
    whole = sequences(kind, **options)
    history = fit(whole, tiny_corpus, config(epochs=2, **settings))
    parts = sequences(kind, **options)
    fit(parts, tiny_corpus, config(epochs=1, **settings), tmp_path)
    resumed = sequences(kind, **options)
    rest = fit(resumed, tiny_corpus, config(epochs=2, **settings), tmp_path, resume=True)
    assert rest == history
    assert same_weights(whole.variables, resumed.variables)
    assert not same_weights(weights_of(parts.variables), weights_of(resumed.variables))


def test_another_seed_gives_another_training(tiny_corpus, eagerly):
    models = [classifying_vae() for _ in range(2)]
    for seed, model in enumerate(models):
        fit(model, tiny_corpus, config(epochs=1, seed=seed))
    assert not same_weights(models[0].variables, models[1].variables)


@pytest.fixture(scope="module")
def finished(tiny_corpus, tmp_path_factory):
    """Folder of a short training, and its history."""
    run = Run.plan(tmp_path_factory.mktemp("runs") / "run", "cl-vae", tiny_corpus, **SIZES).start()
    tf.config.run_functions_eagerly(True)
    history = fit(run.model, tiny_corpus, config(epochs=2), run.folder)
    tf.config.run_functions_eagerly(False)
    return run.folder, history


def test_resuming_to_fewer_epochs_than_there_are_is_refused(finished, tiny_corpus):
    folder, _ = finished
    model = Run.untrained(folder).model
    with pytest.raises(ValueError, match=r"\Aepochs: got 1, [^\n]+ has 2 already\Z"):
        fit(model, tiny_corpus, config(epochs=1), folder, resume=True)


def test_resuming_what_is_finished_trains_no_more(finished, tiny_corpus):
    folder, history = finished
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    model = Run.untrained(folder).model
    assert fit(model, tiny_corpus, config(epochs=2), folder, resume=True) == history
    assert same_weights(model.variables, load_run(folder).model.variables)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert set(before) == {SETTINGS, WEIGHTS, STATE, LOCK}


def drop(prefix):
    return lambda state: {k: v for k, v in state.items() if not k.startswith(prefix)}


@pytest.mark.parametrize(
    "change",
    [
        drop("now/"),
        drop("best/"),
        drop("history/"),
        lambda state: {},
        lambda state: {k: v * np.nan if "best/" in k else v for k, v in state.items()},
    ],
)
def test_a_foreign_state_is_named_in_one_line(change, finished, tmp_path, tiny_corpus):
    folder, _ = finished
    save_arrays(tmp_path / STATE, change(load_arrays(folder / STATE)))
    with pytest.raises(ValueError, match=r"\A[^\n]*state\.npz: [^\n]+\Z"):
        fit(Run.untrained(folder).model, tiny_corpus, config(epochs=2), tmp_path, resume=True)


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_that_is_not_there(resume, tmp_path, tiny_corpus):
    nowhere = tmp_path / "nowhere"
    with pytest.raises(ValueError, match=r"\Afolder: .*nowhere is not there; [^\n]+\Z"):
        fit(classifying_vae(), tiny_corpus, config(), nowhere, resume)
    assert not nowhere.exists()


def test_without_a_state_resuming_starts_anew(finished, tmp_path, tiny_corpus, eagerly):
    model = Run.untrained(finished[0]).model
    history = fit(model, tiny_corpus, config(epochs=1), tmp_path, resume=True)
    assert history["epoch"] == [1]


def test_a_truncated_state_is_named(finished, tmp_path, tiny_corpus):
    folder, _ = finished
    model = Run.untrained(folder).model
    (tmp_path / STATE).write_bytes((folder / STATE).read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"\A[^\n]*state\.npz: [^\n]+\Z"):
        fit(model, tiny_corpus, config(epochs=2), tmp_path, resume=True)


def test_a_state_of_another_optimizer_is_refused(finished, tiny_corpus):
    folder, _ = finished
    with pytest.raises(ValueError, match=r"state\.npz: [^\n]+\Z"):
        fit(
            Run.untrained(folder).model,
            tiny_corpus,
            config(epochs=3, optimizer="sgd"),
            folder,
            resume=True,
        )


# A whole training, compiled


def test_a_tiny_corpus_is_learnt(trained):
    history = trained.history
    assert history["valid_bound"][0] > 40
    assert min(history["valid_bound"]) < 8
    assert history["valid_key_accuracy"][-1] == 1
    assert history["train_bound"][-1] < history["train_bound"][0] / 5


def test_sequences_are_learnt(tiny_corpus):
    """Compiled, with all that training can do, the state carried."""
    model = sequences("cl-vae-lstm, LSTM prior", hidden_dim=16, dropout=0.1, class_dropout=0.1)
    settings = {"seq_length": 5, "carry_state": True, "batch_size": 4, "clip_norm": 5.0}
    settings |= {"epochs": 40, "learning_rate": 0.03, "kl_anneal": 5, "transpose": 4, "patience": 0}
    history = fit(model, tiny_corpus, config(**settings))
    assert history["valid_bound"][0] > 25
    assert min(history["valid_bound"]) < 8
    assert history["valid_key_accuracy"][-1] == 1


def test_history_has_a_row_for_each_epoch(trained):
    history = trained.history
    assert list(history) == [
        "epoch",
        "train_bound",
        "valid_bound",
        "valid_reconstruction",
        "valid_kl_z",
        "valid_kl_w",
        "valid_key_accuracy",
    ]
    assert history["epoch"] == list(range(1, len(history["epoch"]) + 1))
    for column in history.values():
        assert len(column) == len(history["epoch"])
    rows = np.array([history[f"valid_{n}"] for n in ("reconstruction", "kl_z", "kl_w")])
    np.testing.assert_allclose(rows.sum(axis=0), history["valid_bound"])


def test_model_and_folder_hold_the_weights_of_the_best_bound(trained, tiny_corpus):
    loaded = load_run(trained.folder).model
    for model in (trained.model, loaded):
        bound = score(model, examples(tiny_corpus, "valid"), seed=0)["bound"]
        assert bound == min(trained.history["valid_bound"])


def test_tensorboard_logs_hold_the_history(trained):
    values = {}
    for path in trained.log_dir.iterdir():
        for record in tf.data.TFRecordDataset(str(path)):
            event = Event.FromString(record.numpy())
            for value in event.summary.value:
                number = float(tf.make_ndarray(value.tensor))
                values.setdefault(value.tag, {})[event.step] = number
    for name, column in trained.history.items():
        expected = dict(zip(trained.history["epoch"], column, strict=True))
        assert values[name] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_file_in_the_way_of_the_logs(name, scripted, tmp_path, tiny_corpus):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match=r"\Alog_dir: [^\n]+\Z"):
        fit(scripted.model, tiny_corpus, config(epochs=1), log_dir=tmp_path / name)


def test_a_given_key_is_obeyed(trained, tiny_corpus):
    """Notes of samples lie in the triads of the key that was asked for."""
    heard = [
        np.any([song.roll.any(0) for song in tiny_corpus.train if song.key == key], axis=0)
        for key in tiny_corpus.keys
    ]
    seeds = np.stack([tiny_corpus.test[0].roll[:2]] * 30)  # whatever the seed's own key
    asked = np.arange(30) % 3
    rolls = trained.model.generate(seeds, 8, asked, certainty=0.8)
    for k in range(3):
        notes = rolls[asked == k].sum(axis=(0, 1))
        shares = [notes[heard[other]].sum() / notes.sum() for other in range(3)]
        assert shares[k] > 0.6 and shares[k] > 2 * max(np.delete(shares, k))


def test_an_inferred_key_is_that_of_the_seed(trained, tiny_corpus):
    for song in tiny_corpus.test:
        whole, steps, *_ = trained.model.infer_key(song.roll)
        assert tiny_corpus.keys[np.argmax(whole)] == song.key and steps.shape == (len(song.roll), 3)


def test_progress_is_shown_on_demand_only(scripted, tiny_corpus, capfd):
    scripted([3, 2])
    assert capfd.readouterr().err == ""
    fit(scripted.model, tiny_corpus, config(epochs=2), progress=True)
    assert "valid 2.000 nats a step" in capfd.readouterr().err
