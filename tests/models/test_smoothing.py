import itertools

import numpy as np
import pytest

from cvae.models.smoothing import smooth

CLASSES, STEPS = 3, 6


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(CLASSES), STEPS)
    transition = rng.dirichlet(2 * np.ones(CLASSES), CLASSES)
    return probs, transition, rng.dirichlet(np.ones(CLASSES))


@pytest.mark.parametrize("window", [1, 3])
def test_all_sequences_counted_one_by_one(window, case):
    probs, transition, prior = case
    paths = list(itertools.product(range(CLASSES), repeat=STEPS))
    evidence = (probs / prior) ** (1 / window)
    weight = [
        prior[path[0]]
        * np.prod([transition[pair] for pair in itertools.pairwise(path)])
        * np.prod(evidence[np.arange(STEPS), path])
        for path in paths
    ]
    expected = np.zeros((STEPS, CLASSES))
    for path, share in zip(paths, weight / np.sum(weight), strict=True):
        expected[np.arange(STEPS), path] += share
    smoothed = smooth(probs, transition, prior, window)
    np.testing.assert_allclose(smoothed.marginals, expected, atol=1e-6)
    assert tuple(smoothed.path) == paths[np.argmax(weight)]


def test_classes_that_never_change_have_the_product_of_all_evidence(case):
    probs, _, prior = case
    smoothed = smooth(probs, np.eye(CLASSES), prior)
    product = prior * np.prod(probs / prior, axis=0)
    np.testing.assert_allclose(smoothed.marginals, [product / product.sum()] * STEPS, atol=1e-6)
    assert set(smoothed.path) == {product.argmax()}


def test_a_memoryless_chain_leaves_the_classifier_as_it_was(case):
    probs, _, prior = case
    smoothed = smooth(probs, np.tile(prior, (CLASSES, 1)), prior)
    np.testing.assert_allclose(smoothed.marginals, probs, atol=1e-6)


def test_certain_evidence_of_length_one(case):
    smoothed = smooth([[0.0, 1.0, 0.0]], case[1])
    np.testing.assert_allclose(smoothed.marginals, [[0, 1, 0]], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("probs", {"probs": np.ones((2, 3))}),
        ("probs", {"probs": np.empty((0, 3))}),
        ("probs", {"probs": [0.5, 0.5]}),
        ("transition", {"transition": np.eye(2)}),
        ("transition", {"transition": -np.eye(3)}),
        ("prior", {"prior": [0.5, 0.5]}),
        ("prior", {"prior": [0.5, 0.2, 0.1]}),
        ("window", {"window": 0}),
    ],
)
def test_refuses(name, change, case):
    probs, transition, prior = case
    given = {"probs": probs, "transition": transition, "prior": prior} | change
    with pytest.raises(ValueError, match=rf"\A{name}: [^\n]+\Z"):
        smooth(**given)
