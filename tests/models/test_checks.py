"""What each check lets pass, and the one line that names what it does not."""

import numpy as np
import pytest

from cvae.models.checks import check_choice, check_roll, check_seed, check_shares, check_sizes

NAN = float("nan")


@pytest.mark.parametrize("value", [1, 7, np.int64(3)])
def test_sizes_that_pass(value):
    check_sizes(first=1, second=value)


@pytest.mark.parametrize("value", [0, -1, 1.0, "1", None, NAN])
def test_a_bad_size_is_named(value):
    with pytest.raises(ValueError, match=rf"\Asecond: got {value!r}, [^\n]+\Z"):
        check_sizes(first=1, second=value)


@pytest.mark.parametrize("value", [0, 1, 2**31 - 1, np.int64(3)])
def test_seeds_that_pass(value):
    check_seed(value)


@pytest.mark.parametrize("value", [-1, 2**31, 0.5, "0", None])
def test_a_bad_seed_is_named(value):
    with pytest.raises(ValueError, match=rf"\Aseed: got {value!r}, [^\n]+\Z"):
        check_seed(value)


@pytest.mark.parametrize("value", [0, 0.0, 0.999, np.float32(0.5)])
def test_shares_that_pass(value):
    check_shares(first=0, second=value)


@pytest.mark.parametrize("value", [1, -0.1, NAN, "0.1", None])
def test_a_bad_share_is_named(value):
    with pytest.raises(ValueError, match=rf"\Asecond: got {value!r}, [^\n]+\Z"):
        check_shares(first=0, second=value)


def test_a_choice_is_one_of_those_allowed():
    check_choice("side", "left", ("left", "right"))
    for value in ("up", None, ""):
        with pytest.raises(ValueError, match=rf"\Aside: got {value!r}, [^\n]+left, right\Z"):
            check_choice("side", value, ("left", "right"))


def test_a_roll_becomes_float():
    roll = np.eye(3, dtype=bool)
    checked = check_roll(roll, "roll", 3, ndim=2).numpy()
    assert checked.dtype == np.float32
    np.testing.assert_array_equal(checked, roll)
    check_roll(roll[None], "roll", 3, ndim=3, steps=3)


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((3,), {"ndim": 2}),
        ((2, 3), {"ndim": 3}),
        ((1, 2, 3), {"ndim": 2}),
        ((2, 4), {"ndim": 2}),
        ((0, 3), {"ndim": 2}),
        ((1, 2, 3), {"ndim": 3, "steps": 3}),
        ((), {"ndim": 2}),
    ],
)
def test_a_bad_roll_is_named(shape, options):
    with pytest.raises(ValueError, match=r"\Apart: got shape \([^\n]+\Z"):
        check_roll(np.ones(shape, bool), "part", 3, **options)
