"""The networks against NumPy; their weights, their dropout and an LSTM's state."""

import sys

import keras
import numpy as np
import pytest

from cvae.models.networks import Memory, Perceptron, dense, seeds

INPUTS, HIDDEN, STEPS = 4, 5, 6


def perceptron(name="a", dropout=0.0, seed=0):
    return Perceptron(name, INPUTS, HIDDEN, 3, dropout, seed)


def memory(name="a", dropout=0.0, seed=0):
    return Memory(name, INPUTS, HIDDEN, dropout, seed)


def test_the_memory_can_be_compiled_where_there_is_a_gpu(monkeypatch):
    """Keras takes cuDNN's LSTM there if it may, which XLA refuses."""
    backend = sys.modules["keras.src.backend.tensorflow.rnn"]
    monkeypatch.setattr(backend, "_is_gpu_available", lambda: True)
    assert memory().lstm.supports_jit
    assert not keras.layers.LSTM(HIDDEN).supports_jit


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def shaken(layer):
    layer.set_weights([normal(*array.shape, seed=i) for i, array in enumerate(layer.get_weights())])
    return layer


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def read(layer, inputs, hidden, cell):
    """An LSTM in NumPy: all hidden states (B, T, H), and the last hidden and cell state."""
    kernel, recurrent, bias = (array.astype(float) for array in layer.lstm.get_weights())
    states = []
    for t in range(inputs.shape[1]):
        gates = np.split(inputs[:, t] @ kernel + hidden @ recurrent + bias, 4, axis=1)
        enter, keep, leave = (sigmoid(gates[i]) for i in (0, 1, 3))
        cell = keep * cell + enter * np.tanh(gates[2])
        hidden = leave * np.tanh(cell)
        states.append(hidden)
    return np.stack(states, axis=1), hidden, cell


@pytest.mark.parametrize("shape", [(2, INPUTS), (2, 3, INPUTS)])
def test_a_perceptron_is_two_dense_layers(shape):
    layer, inputs = shaken(perceptron(dropout=0.5)), normal(*shape, seed=9)
    first, first_bias, second, second_bias = layer.get_weights()
    expected = np.maximum(inputs @ first + first_bias, 0) @ second + second_bias
    np.testing.assert_allclose(layer(inputs), expected, rtol=1e-5, atol=1e-5)


def test_a_memory_is_an_lstm():
    layer, inputs = shaken(memory(dropout=0.5)), normal(2, STEPS, INPUTS, seed=9)
    hidden, cell = normal(2, HIDDEN, seed=7), normal(2, HIDDEN, seed=8)
    outputs, state = layer(inputs, [hidden, cell])
    expected, *end = read(layer, inputs, hidden, cell)
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)
    for got, wanted in zip(state, end, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


def test_a_memory_begins_empty():
    layer, inputs = shaken(memory()), normal(2, 1, INPUTS, seed=9)
    empty = layer.empty(2)
    outputs, _ = layer(inputs, empty)
    nothing = np.zeros((2, HIDDEN))
    np.testing.assert_allclose(outputs, read(layer, inputs, nothing, nothing)[0], atol=1e-5)


@pytest.mark.parametrize("cut", [1, 4])
def test_a_memory_goes_on_from_its_state(cut):
    layer, inputs = shaken(memory()), normal(2, STEPS, INPUTS, seed=9)
    whole, end = layer(inputs, layer.empty(2))
    first, state = layer(inputs[:, :cut], layer.empty(2))
    second, state = layer(inputs[:, cut:], state)
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), whole, atol=1e-6)
    for got, wanted in zip(state, end, strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-6)


def test_dropout_of_a_perceptron_scales_up_what_it_leaves():
    """Of hidden units: with one output for each, a share is 0 and the others are doubled."""
    layer = perceptron(dropout=0.5)
    layer.set_weights([np.ones((INPUTS, HIDDEN)), np.ones(HIDDEN), np.eye(HIDDEN, 3), np.zeros(3)])
    outputs = layer(np.zeros((1000, INPUTS), np.float32), training=True).numpy()
    np.testing.assert_array_equal(np.unique(outputs), [0, 2])
    assert np.mean(outputs) == pytest.approx(1, abs=0.1)


def test_dropout_of_a_memory_acts_in_training_only():
    layer, inputs = shaken(memory(dropout=0.5)), normal(300, STEPS, INPUTS, seed=9)
    outputs, _ = layer(inputs, layer.empty(300), training=True)
    assert np.mean(outputs.numpy() == 0) == pytest.approx(0.5, abs=0.05)
    plain, _ = layer(inputs, layer.empty(300), training=False)
    np.testing.assert_array_equal(plain, layer(inputs, layer.empty(300))[0])
    assert np.all(plain.numpy() != 0)


@pytest.mark.parametrize("make", [perceptron, memory])
def test_weights_are_there_at_once_and_decided_by_name_and_seed(make):
    layer, same, other_name, other_seed = make(), make(), make(name="b"), make(seed=1)
    assert len(layer.trainable_variables) == {perceptron: 4, memory: 3}[make]
    for arrays in zip(
        *(made.get_weights() for made in (layer, same, other_name, other_seed)), strict=True
    ):
        np.testing.assert_array_equal(arrays[0], arrays[1])
        if arrays[0].ndim == 2:
            assert not np.any(arrays[0] == arrays[2]) and not np.any(arrays[0] == arrays[3])


def test_a_layer_has_its_weights_if_its_inputs_are_known():
    assert not dense("a", 3, 0).weights
    first, same, other = (dense("a", 3, seed, inputs=2) for seed in (0, 0, 1))
    assert first.kernel.shape == (2, 3)
    np.testing.assert_array_equal(first.kernel, same.kernel)
    assert not np.any(first.kernel.numpy() == other.kernel.numpy())
    assert dense("a", 3, 0, activation="relu").activation is keras.activations.relu


def test_seeds_are_three_different_ones_for_each_name_and_seed():
    drawn = [seeds(seed, name) for seed in range(20) for name in ("encoder", "decoder")]
    assert drawn[0] == seeds(0, "encoder")
    assert np.shape(drawn) == (40, 3) and len(np.unique(drawn)) == 120
    assert 0 <= np.min(drawn) and np.max(drawn) < 2**31
