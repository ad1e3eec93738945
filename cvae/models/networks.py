"""The networks inside the models: Keras layers with weights that are there at once, and seeded."""

import zlib

import keras
import tensorflow as tf

__all__ = ["Memory", "Perceptron"]


class Perceptron(keras.layers.Layer):
    """One hidden ReLU layer with dropout: (..., inputs) -> (..., outputs).

    Parameters
    ----------
    name : str
    inputs, hidden, outputs : int
        Length of what it reads, units of the hidden layer, length of what it gives.
    dropout : float
        Share of the hidden units that are dropped in training.
    seed : int
        Of the first weights and of dropout; with `name`, so that no two layers start alike.
    """

    def __init__(self, name, inputs, hidden, outputs, dropout, seed):
        super().__init__(name=name)
        first, second, drop = seeds(seed, name)
        self.hidden = dense("hidden", hidden, first, activation="relu")
        self.dropout = keras.layers.Dropout(dropout, seed=drop, name="dropout")
        self.output_layer = dense("output", outputs, second)
        self.build((None, inputs))

    def build(self, shape):
        """Create the weights at once, so that they can be loaded before the first call."""
        self.hidden.build(shape)
        self.output_layer.build((None, self.hidden.units))
        self.built = True

    def call(self, inputs):
        """Map (..., inputs) to (..., outputs)."""
        return self.output_layer(self.dropout(self.hidden(inputs)))


class Memory(keras.layers.Layer):
    """One LSTM layer with dropout of what comes out.

    Its state, a list of two arrays (B, hidden), tells what it has read.

    Parameters
    ----------
    name : str
    inputs, hidden : int
        Length of what it reads at each step, units.
    dropout, seed
        As of a `Perceptron`.
    """

    def __init__(self, name, inputs, hidden, dropout, seed):
        super().__init__(name=name)
        first, second, drop = seeds(seed, name)
        self.dropout = keras.layers.Dropout(dropout, seed=drop, name="dropout")
        self.lstm = keras.layers.LSTM(
            hidden,
            return_sequences=True,
            return_state=True,
            kernel_initializer=keras.initializers.GlorotUniform(first),
            recurrent_initializer=keras.initializers.Orthogonal(seed=second),
            seed=drop,
            use_cudnn=False,  # cuDNN's LSTM cannot be compiled by XLA, as training and sampling are
            name="lstm",
        )
        self.build((None, None, inputs))

    def build(self, shape):
        """Create the weights at once."""
        self.lstm.build(shape)
        self.built = True

    def empty(self, batch):
        """State before anything is read."""
        return [tf.zeros((batch, self.lstm.units)) for _ in range(2)]

    def call(self, inputs, state):
        """Read (B, T, inputs); give (B, T, hidden) and the state after the last step."""
        hidden, *state = self.lstm(inputs, initial_state=state)
        return self.dropout(hidden), state


def dense(name, outputs, seed, activation=None, inputs=None):
    """A dense layer, with its weights if the number of its inputs is given."""
    initializer = keras.initializers.GlorotUniform(seed)
    layer = keras.layers.Dense(
        outputs, activation=activation, kernel_initializer=initializer, name=name
    )
    if inputs is not None:
        layer.build((None, inputs))
    return layer


def seeds(seed, name):
    """Three seeds of a layer's own: layers of the same shape must not start alike."""
    return [zlib.crc32(f"{seed} {name} {i}".encode()) % 2**31 for i in range(3)]
