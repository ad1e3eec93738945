"""Calibration, of forecasters whose honesty is known."""

import numpy as np
import pytest

from cvae.calibration import Answers, fit_sharpness, reliability, sharpened


@pytest.fixture(scope="module")
def forecast():
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(4), 20_000)
    return Answers(probs, np.array([rng.choice(4, p=row) for row in probs]), np.arange(20_000))


def test_an_honest_forecaster_is_calibrated(forecast):
    honest = reliability(forecast)
    assert honest.error < 0.015
    assert honest.count.sum() == 20_000 and honest.count[:2].sum() == 0
    filled = honest.count > 300
    np.testing.assert_allclose(honest.accuracy[filled], honest.confidence[filled], atol=0.05)


def test_a_boaster_is_not(forecast):
    boast = np.eye(4)[forecast.scores.argmax(axis=1)]
    boaster = reliability(forecast._replace(scores=boast))
    assert boaster.error == pytest.approx(1 - np.mean(forecast.right))


def test_sharpened_probabilities():
    np.testing.assert_allclose(sharpened([0.2, 0.8], 1), [0.2, 0.8])
    np.testing.assert_allclose(sharpened([[0.2, 0.8]], 2), [[1 / 17, 16 / 17]])
    np.testing.assert_allclose(sharpened([0.0, 1.0], 0.5), [0, 1], atol=1e-15)


@pytest.mark.parametrize("sharpness", [0, -1, float("inf"), float("nan")])
def test_a_bad_sharpness_is_named(sharpness):
    with pytest.raises(ValueError, match=r"\Asharpness: [^\n]+\Z"):
        sharpened([0.5, 0.5], sharpness)


@pytest.mark.parametrize("power", [0.4, 1.0, 3.0])
def test_fitting_undoes_a_power(power, forecast):
    blunt = forecast._replace(scores=sharpened(forecast.scores, 1 / power))
    assert fit_sharpness(blunt) == pytest.approx(power, rel=0.05)
