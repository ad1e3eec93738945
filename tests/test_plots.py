import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from cvae import plots
from cvae.music.keys import MAJOR_MINOR, RELATIVE_MAJORS


def labels(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def bars(container):
    """(pitch, start, end) of the bars of a piano roll."""
    return {
        (round(b.get_y() + b.get_height() / 2), b.get_x(), b.get_x() + b.get_width())
        for b in container
    }


def c_e_g_then_c_minor():
    roll = np.zeros((6, 88), dtype=bool)
    roll[:, 60 - 21] = roll[:4, 64 - 21] = roll[4:, 63 - 21] = roll[[1, 3], 67 - 21] = True
    return roll


def test_roll_has_a_bar_for_each_held_note():
    ax = plots.plot_roll(c_e_g_then_c_minor(), title="A title")
    (notes,) = ax.containers
    assert bars(notes) == {(60, 0, 6), (64, 0, 4), (63, 4, 6), (67, 1, 2), (67, 3, 4)}
    assert ax.get_xlim() == (0, 6)
    assert ax.get_ylim() == (58.5, 68.5)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step (quarter note)", "pitch")
    assert ax.get_title(loc="left") == "A title"
    assert ax.get_legend() is None


def test_notes_outside_the_key_differ_in_colour_and_hatch():
    ax = plots.plot_roll(c_e_g_then_c_minor(), key="C minor")
    inside, outside = ax.containers
    assert bars(outside) == {(64, 0, 4)}
    assert bars(inside) == {(60, 0, 6), (63, 4, 6), (67, 1, 2), (67, 3, 4)}
    assert inside[0].get_facecolor() != outside[0].get_facecolor()
    assert inside[0].get_hatch() is None
    assert outside[0].get_hatch()
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == ["in C minor", "outside"]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (60, 64, ["B3", "C4", "C♯4", "D4", "E♭4", "E4", "F4"]),
        (45, 76, ["C3", "E3", "G3", "C4", "E4", "G4", "C5", "E5"]),
        (21, 108, ["C1", "C2", "C3", "C4", "C5", "C6", "C7", "C8"]),
    ],
)
def test_note_names_stand_at_their_pitches(low, high, expected):
    roll = np.zeros((2, 88), dtype=bool)
    roll[:, [low - 21, high - 21]] = True
    ax = plots.plot_roll(roll)
    assert labels(ax.yaxis) == expected
    at = dict(zip(labels(ax.yaxis), ax.get_yticks(), strict=True))
    assert at["C4"] == 60


@pytest.mark.parametrize("key", [None, "E- major"])
@pytest.mark.parametrize("steps", [0, 1, 9])
def test_a_silent_roll_has_no_bars(steps, key):
    ax = plots.plot_roll(np.zeros((steps, 88), dtype=bool), key)
    assert sum(len(container) for container in ax.containers) == 0
    ax.figure.canvas.draw()


HISTORY = {
    "epoch": [1, 2, 3, 4],
    "train_bound": [14.0, 12.0, 11.0, 10.5],
    "valid_bound": [14.5, 12.5, 12.0, 12.1],
    "valid_key_accuracy": [0.1, 0.3, 0.4, 0.5],
}


def test_history_of_the_bound_marks_the_weights_kept():
    ax = plots.plot_history(HISTORY)
    lines = {line.get_label(): line for line in ax.get_lines()}
    assert set(lines) == {"train", "valid", "kept: epoch 3"}
    assert lines["train"].get_ydata().tolist() == HISTORY["train_bound"]
    assert lines["valid"].get_xydata().tolist() == [[1, 14.5], [2, 12.5], [3, 12.0], [4, 12.1]]
    assert lines["train"].get_linestyle() != lines["valid"].get_linestyle()
    assert "nats per step" in ax.get_ylabel()


@pytest.mark.parametrize(("annealing", "kept"), [(0, 1), (4, 6), (8, 8)])
def test_history_marks_the_best_epoch_after_annealing(annealing, kept):
    bounds = [1.0, 2.0, 3.0, 4.0, 9.0, 8.0, 8.5, 8.5]
    history = {"epoch": list(range(1, 9)), "valid_bound": bounds}
    ax = plots.plot_history(history, annealing=annealing)
    assert [line.get_label() for line in ax.get_lines()] == ["valid", f"kept: epoch {kept}"]


def test_history_of_another_quantity():
    ax = plots.plot_history(HISTORY, quantity="key_accuracy")
    assert [line.get_label() for line in ax.get_lines()] == ["valid", "kept: epoch 3"]
    with pytest.raises(ValueError, match="quantity: no 'kl_z' in the history; it has epoch, tr"):
        plots.plot_history(HISTORY, quantity="kl_z")


def test_confusion_is_in_the_order_of_fifths_in_percent():
    keys = ["C major", "D major", "E- major", "G major"]
    matrix = [[8, 0, 1, 1], [0, 5, 0, 5], [3, 0, 1, 0], [0, 0, 0, 0]]
    ax = plots.plot_confusion(matrix, keys)
    assert labels(ax.xaxis) == labels(ax.yaxis) == ["E♭", "C", "G", "D"]
    (image,) = ax.get_images()
    np.testing.assert_allclose(
        image.get_array(), [[25, 75, 0, 0], [10, 80, 10, 0], [0, 0, 0, 0], [0, 0, 50, 50]]
    )
    written = {text.get_position(): text.get_text() for text in ax.texts}
    assert written == {
        (0, 0): "25", (1, 0): "75", (0, 1): "10", (1, 1): "80", (2, 1): "10",
        (2, 3): "50", (3, 3): "50",
    }  # fmt: skip
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("inferred key", "true key")


def test_confusion_of_all_keys_has_each_minor_after_its_relative_major():
    ax = plots.plot_confusion(np.eye(24), MAJOR_MINOR)
    expected = "D♭ B♭m A♭ Fm E♭ Cm B♭ Gm F Dm C Am G Em D Bm A F♯m E C♯m B G♯m F♯ E♭m"
    assert labels(ax.xaxis) == expected.split()
    with pytest.raises(ValueError, match=r"matrix: shape \(2, 3\) is not \(2, 2\)"):
        plots.plot_confusion(np.ones((2, 3)), ["C major", "G major"])


def test_classes_that_are_no_keys_stay_as_they_stand():
    names = ["Ravel", "A", "Bach"]  # nor is A then the key
    ax = plots.plot_confusion(np.eye(3), names)
    assert labels(ax.xaxis) == labels(ax.yaxis) == plots.in_order_of_fifths(names) == names
    probs = np.array([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]])
    assert labels(plots.plot_key_posterior(probs, names).yaxis) == names


def test_keys_in_order_of_fifths():
    keys = ("A minor", "D major", "E- major", "C major", "B- major")
    expected = ["E- major", "B- major", "C major", "A minor", "D major"]
    assert plots.in_order_of_fifths(keys) == expected
    assert plots.in_order_of_fifths({"G major": 1, "F major": 2}) == ["F major", "G major"]


def test_circle_of_fifths_runs_clockwise_from_c_at_the_top():
    values = {"G major": 0.25, "C major": 0.5, "F major": 0.125}
    ax = plots.plot_circle_of_fifths(values)
    assert labels(ax.xaxis) == ["C", "G", "D", "A", "E", "B", "F♯", "D♭", "A♭", "E♭", "B♭", "F"]
    assert ax.get_theta_direction() == -1
    assert ax.get_theta_offset() == pytest.approx(np.pi / 2)
    (container,) = ax.containers
    found = {
        round(np.degrees(bar.get_x() + bar.get_width() / 2)): bar.get_height() for bar in container
    }
    assert found == {30: 0.25, 0: 0.5, 330: 0.125}


def test_circle_of_fifths_with_minor_keys():
    ax = plots.plot_circle_of_fifths(np.arange(24), MAJOR_MINOR)
    majors, minors = ax.containers
    assert len(majors) == len(minors) == 12
    assert labels(ax.xaxis)[0] == "C\nAm"
    a_minor = minors[MAJOR_MINOR[1::2].index("A minor")]
    assert 0 < a_minor.get_x() + a_minor.get_width() / 2 < np.radians(15)
    assert a_minor.get_height() == MAJOR_MINOR.index("A minor")
    assert minors[0].get_hatch() and not majors[0].get_hatch()


def test_circle_of_fifths_refuses_what_it_cannot_draw():
    with pytest.raises(ValueError, match="keys: 3 values need as many key names"):
        plots.plot_circle_of_fifths([1, 2, 3], ["C major"])
    with pytest.raises(ValueError, match="values: a circle shows amounts of at least 0"):
        plots.plot_circle_of_fifths({"C major": -1.0})
    with pytest.raises(ValueError, match="ax: a circle needs polar axes"):
        plots.plot_circle_of_fifths({"C major": 1.0}, ax=plt.subplots()[1])


def test_simplex_puts_corners_and_centre_where_they_belong():
    samples = np.vstack([np.eye(3), np.full((1, 3), 1 / 3)])
    ax = plots.plot_simplex(samples, ["C", "G", "D"])
    (points,) = ax.collections
    height = np.sqrt(3) / 2
    expected = [[0, 0], [1, 0], [0.5, height], [0.5, height / 3]]
    np.testing.assert_allclose(points.get_offsets(), expected, atol=1e-12)
    assert [text.get_text() for text in ax.texts] == ["C", "G", "D"]
    assert ax.get_aspect() == 1


def test_simplex_density_counts_every_sample():
    samples = np.random.default_rng(0).dirichlet([1, 2, 3], 500)
    ax = plots.plot_simplex(samples, density=True)
    assert ax.collections[0].get_array().sum() == 500


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.full((2, 4), 0.25), r"samples: shape \(2, 4\) is not \(N, 3\)"),
        ([[0.5, 0.5, 0.5]], "samples: rows must be at least 0 and add up to 1"),
        ([[1.5, -0.5, 0.0]], "samples: rows must be at least 0 and add up to 1"),
    ],
)
def test_simplex_refuses_what_is_not_on_it(samples, message):
    with pytest.raises(ValueError, match=message):
        plots.plot_simplex(samples)


def test_key_posterior_is_in_the_order_of_fifths():
    keys = ["C major", "D major", "G major"]
    probs = np.array([[0.7, 0.1, 0.2], [0.3, 0.6, 0.1]])
    ax = plots.plot_key_posterior(probs, keys)
    assert labels(ax.yaxis) == ["C", "G", "D"]
    (image,) = ax.get_images()
    np.testing.assert_allclose(image.get_array(), [[0.7, 0.3], [0.2, 0.1], [0.1, 0.6]])
    assert ax.get_lines()[0].get_xydata().tolist() == [[0.5, 0], [1.5, 2]]
    assert tuple(image.get_extent()) == (0, 2, -0.5, 2.5)
    with pytest.raises(ValueError, match=r"probs: shape \(2, 3\) is not \(steps, 2\)"):
        plots.plot_key_posterior(probs, keys[:2])


def test_the_truth_is_a_line_through_its_keys():
    probs, keys = np.full((3, 2), 0.5), ["G major", "C major"]
    ax = plots.plot_key_posterior(probs, keys, truth=["C major", "G major", "G major"])
    line = next(patch for patch in ax.patches if patch.get_label() == "truth")
    assert line.get_data().values.tolist() == [0, 1, 1]  # C below G
    with pytest.raises(ValueError):
        plots.plot_key_posterior(probs, keys, truth=["D major"] * 3)


def test_latents_by_key_differ_in_colour_or_marker():
    z = np.arange(24).reshape(12, 2)
    ax = plots.plot_latents(z, RELATIVE_MAJORS, label="key")
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names[:3] == ["D♭ major", "A♭ major", "E♭ major"]
    assert ax.get_legend().get_title().get_text() == "key"
    np.testing.assert_array_equal(ax.collections[names.index("C major")].get_offsets(), z[:1])
    looks = {
        (tuple(group.get_facecolor()[0]), group.get_paths()[0].vertices.tobytes())
        for group in ax.collections
    }
    assert len(looks) == 12


def test_latents_by_other_names_and_by_number():
    z = np.random.default_rng(0).normal(size=(4, 2))
    ax = plots.plot_latents(z, ["two", "one", "two", "one"])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["one", "two"]
    ax = plots.plot_latents(z, [0.1, 0.2, 0.3, 0.4], label="polyphony")
    np.testing.assert_allclose(ax.collections[0].get_array(), [0.1, 0.2, 0.3, 0.4])
    with pytest.raises(ValueError, match=r"z: shape \(4, 2\) is not \(3, 2\)"):
        plots.plot_latents(z, ["a", "b", "c"])


def test_every_plot_draws_on_the_axes_given():
    keys = ["C major", "G major", "D major"]
    calls = [
        lambda ax: plots.plot_roll(c_e_g_then_c_minor(), ax=ax),
        lambda ax: plots.plot_history(HISTORY, ax),
        lambda ax: plots.plot_confusion(np.eye(3), keys, ax),
        lambda ax: plots.plot_simplex(np.eye(3), ax=ax),
        lambda ax: plots.plot_key_posterior(np.eye(3), keys, ax),
        lambda ax: plots.plot_latents(np.ones((3, 2)), keys, ax),
        lambda ax: plots.plot_graph({"x": (0, 0), "z": (0, 1)}, ["z x"], ax=ax),
    ]
    for call in calls:
        figure, ax = plt.subplots()
        assert call(ax) is ax
        assert plt.get_fignums() == [figure.number]
        plt.close(figure)
    _, ax = plt.subplots(subplot_kw={"polar": True})
    assert plots.plot_circle_of_fifths(np.ones(3), keys, ax) is ax


def test_new_figures_are_as_wide_as_the_page():
    for ax in (plots.plot_roll(c_e_g_then_c_minor()), plots.plot_history(HISTORY)):
        assert ax.figure.get_figwidth() == 7


def test_a_graph_has_each_variable_and_each_arrow():
    places = {"w": (0, 1), "z_1": (1, 1), "x_1": (1, 0), "h": (2, 0)}
    ax = plots.plot_graph(places, ["w x_1", "z_1 x_1"], ["x_1 z_1"], computed=["h"])
    shown = {text.get_text() for text in ax.texts if text.get_text()}
    assert shown == {"$w$", "$z_1$", "$x_1$", "$h$"}
    arrows = [text for text in ax.texts if getattr(text, "arrow_patch", None)]
    ends = [(tuple(a.xyann), tuple(a.xy), a.arrow_patch.get_linestyle()) for a in arrows]
    assert ends == [
        ((0, 1), (1, 0), "solid"),
        ((1, 1), (1, 0), "solid"),
        ((1, 0), (1, 1), "--"),
    ]
    grey = [np.ptp(points.get_facecolor()[0][:3]) == 0 for points in ax.collections]
    dark = [points.get_facecolor()[0][0] < 1 for points in ax.collections]
    assert all(grey) and dark == [False, False, True, False]
    sides = [len(points.get_paths()[0].vertices) for points in ax.collections]
    assert sides[3] < sides[0] == sides[1] == sides[2]
    with pytest.raises(ValueError, match="joins what has no place"):
        plots.plot_graph(places, ["w y"])


@pytest.mark.parametrize(
    ("key", "short", "full"),
    [
        ("E- major", "E♭", "E♭ major"),
        ("f#", "F♯m", "F♯ minor"),
        ("C minor", "Cm", "C minor"),
        ("Bach", "Bach", "Bach"),
    ],
)
def test_key_labels(key, short, full):
    assert plots.key_label(key) == short
    assert plots.key_label(key, full=True) == full
