"""What weight normalisation, the original's default, would change: `python tests/weight_norm.py`.

The original trains with Adam on weight-normalised layers (Salimans & Kingma 2016). Its "data-based
initialisation" looks for layer attributes of Keras 1 and so never ran. Here the original's sizes
are trained on its data with and without weight normalisation, three seeds each; the figures, of
the validation split, go to data/results/weight-norm.json.
"""

import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from cvae.evaluation import evaluate
from cvae.experiments import ORIGINAL, SEEDS
from cvae.models import ClassifyingVAE
from cvae.music import load_corpus
from cvae.paths import data_folder
from cvae.training import TrainingConfig, fit

Dense = keras.layers.Dense


class WeightNormalisedDense(Dense):
    """A dense layer whose kernel is a direction times a length for each unit."""

    def build(self, shape):
        super().build(shape)
        direction = self.kernel.numpy()
        self.length = self.add_weight(shape=(self.units,), name="length")
        self.length.assign(np.linalg.norm(direction, axis=0))

    def call(self, inputs):
        norm = keras.ops.sqrt(keras.ops.sum(self.kernel**2, axis=0))
        outputs = inputs @ (self.kernel * (self.length / norm)) + self.bias
        return self.activation(outputs)


def main():
    corpus = load_corpus("jsb-original")
    rows = []
    for layer in (Dense, WeightNormalisedDense):
        keras.layers.Dense = layer
        for seed in SEEDS:
            model = ClassifyingVAE(classes=len(corpus.keys), seed=seed, **ORIGINAL)
            history = fit(model, corpus, TrainingConfig(seed=seed))
            row = {"layer": layer.__name__, "epochs": len(history["epoch"])}
            rows.append(row | evaluate(model, corpus, "valid", seed))
            print(row["layer"], seed, f"{rows[-1]['bound']:.3f} nats a step")
    path = data_folder() / "results" / "weight-norm.json"
    path.parent.mkdir(exist_ok=True)
    result = {"command": "python tests/weight_norm.py", "rows": rows}
    path.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
