"""A line that moves over a figure: where it begins, and what the page is told. (The browser tests
let it move.)
"""

import io
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from cvae.follow import followed
from cvae.music.audio import Player

PLAYER = Player("a <song>", 2.0, b"not really sound")


@pytest.fixture
def ax():
    figure, ax = plt.subplots(figsize=(5, 2), layout="constrained")
    ax.set_facecolor("lime")
    return ax


def test_the_line_goes_from_the_one_end_of_the_axis_to_the_other(ax):
    shown = followed(ax, PLAYER, 1.5, "a green field")
    pixels = np.array(Image.open(io.BytesIO(shown.png)).convert("RGB"))
    green = np.flatnonzero((pixels == [0, 255, 0]).all(axis=-1).any(axis=0))
    ends = 100 * np.array([green[0], green[-1] + 1]) / pixels.shape[1]
    np.testing.assert_allclose([shown.left, shown.right], ends, atol=0.5)
    assert not plt.fignum_exists(ax.figure.number)


def test_the_page_has_picture_line_and_sound(ax):
    page = followed(ax, PLAYER, 1.5, 'a "green" field')._repr_html_()
    assert 'alt="a &quot;green&quot; field"' in page
    assert re.search(r'<audio ontimeupdate="[^"<>]*currentTime / 1.5[^"<>]*" controls', page)
    assert page.count("<div") == page.count("</div>") and "https:" not in page


@pytest.mark.parametrize(("seconds", "alt"), [(0, "a field"), (-1, "a field"), (1, " ")])
def test_refuses(ax, seconds, alt):
    named = "alt" if seconds > 0 else "seconds"
    with pytest.raises(ValueError, match=rf"\A{named}: [^\n]+\Z"):
        followed(ax, PLAYER, seconds, alt)
