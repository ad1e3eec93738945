"""Shared by the tests of the models."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def shaken():
    """Give a model large random weights, so that nothing is near 0 or near uniform by accident."""

    def shake(model, seed=0, scale=0.4):
        rng = np.random.default_rng(seed)
        for variable in model.trainable_variables:
            variable.assign(rng.normal(0, scale, variable.shape))
        return model

    return shake
