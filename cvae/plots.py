"""Figures: piano rolls, training, keys, the simplex, latent space.

Every function takes the axes to draw on, or makes a figure as wide as the book's page, and returns
the axes; none shows or saves. Keys stand in the order of fifths, so that those that share most of
their notes are neighbours. The colours are those of Okabe and Ito, which are told apart with any
kind of colour vision; nothing is told by colour alone.

References
----------
Okabe and Ito, Color Universal Design, 2008 (https://jfly.uni-koeln.de/color/).
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from cvae.music.keys import CIRCLE_OF_FIFTHS, Key, parse_key, scale_mask
from cvae.music.midi import held_notes
from cvae.music.pianoroll import check_roll

__all__ = [
    "COLOURS",
    "in_order_of_fifths",
    "key_label",
    "plot_circle_of_fifths",
    "plot_confusion",
    "plot_graph",
    "plot_history",
    "plot_key_posterior",
    "plot_latents",
    "plot_roll",
    "plot_simplex",
]

COLOURS = {
    "blue": "#0072B2",
    "vermilion": "#D55E00",
    "green": "#009E73",
    "orange": "#E69F00",
    "purple": "#CC79A7",
    "sky blue": "#56B4E9",
    "black": "#000000",
    "yellow": "#F0E442",
}
"""The colours of Okabe and Ito, by their names."""

CYCLE = [name for name in COLOURS if name != "yellow"]  # pale on white
MARKERS = "osD^vP*X"
WIDTH = 7.0  # inches: the width of the book's text
SHADES = "Blues"  # for amounts: light is little
BLACK_KEYS = (1, 3, 6, 8, 10)
NOTE_NAMES = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")
QUANTITIES = {
    "bound": "bound on −log p(x) (nats per step)",
    "reconstruction": "reconstruction (nats per step)",
    "kl_z": "KL of z (nats per step)",
    "kl_w": "KL of w (nats per step)",
    "key_accuracy": "key accuracy (share of examples)",
}


STEP_NAMES = {0.25: "sixteenth note", 0.5: "eighth note", 1.0: "quarter note", 2.0: "half note"}


def _step_label(step):
    length = STEP_NAMES.get(step, f"{step:g} quarter notes")
    return f"step ({length})"


def plot_roll(
    roll: np.ndarray,
    key: str | None = None,
    ax: Axes | None = None,
    title: str | None = None,
    step: float = 1.0,
) -> Axes:
    """Piano roll: a bar for each note, steps running of a pitch joined.

    Parameters
    ----------
    roll : array, shape (T, 88)
        Only the range that is used is drawn; rows of black keys are shaded.
    key : str, optional
        A key: notes outside its scale are then drawn in another colour, and hatched.
    ax : Axes, optional
    title : str, optional
    step : float
        In quarter notes, for the label of the axis.

    Returns
    -------
    Axes
        The bars are its containers: notes in the scale (or all), then those outside it.

    Raises
    ------
    ValueError
        If `roll` is no roll, or `key` no key.
    """
    roll = check_roll(roll)
    pitch, start, end = np.array(held_notes(roll), dtype=int).reshape(-1, 3).T
    ax = _axes(ax, 3.2)
    groups = [(np.ones(len(pitch), dtype=bool), {"facecolor": COLOURS["blue"]})]
    if key is not None:
        inside = scale_mask(key)[pitch % 12]
        name = key_label(key, full=True)
        style = {"facecolor": COLOURS["vermilion"], "hatch": "//////"}
        groups = [
            (inside, {"facecolor": COLOURS["blue"], "label": f"in {name}"}),
            (~inside, style | {"label": "outside"}),
        ]
    for which, style in groups:
        length = end[which] - start[which]
        ax.barh(pitch[which], length, 0.9, start[which], edgecolor="black", linewidth=0.5, **style)
    low, high = (pitch.min(), pitch.max()) if pitch.size else (60, 60)
    for shaded in range(low - 1, high + 2):
        if shaded % 12 in BLACK_KEYS:
            ax.axhspan(shaded - 0.5, shaded + 0.5, color="0.94", linewidth=0, zorder=0)
    ax.set(xlim=(0, max(len(roll), 1)), ylim=(low - 1.5, high + 1.5))
    ax.set_xlabel(_step_label(step))
    labelled = _labelled_pitches(low, high)
    ax.set_yticks(labelled, [f"{NOTE_NAMES[p % 12]}{p // 12 - 1}" for p in labelled])
    ax.set_ylabel("pitch")
    ax.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 4, 8, 10], integer=True))
    ax.grid(axis="x", color="0.85")
    ax.set_axisbelow(True)
    ax.set_title(title or "", loc="left", size="medium")
    if key is not None:  # above the notes, where it covers none
        # Made by hand: bars that are not there have no colour.
        handles = [Patch(edgecolor="black", linewidth=0.5, **style) for _, style in groups]
        place = {"loc": "lower right", "bbox_to_anchor": (1, 1), "ncols": 2}
        ax.legend(handles=handles, frameon=False, borderpad=0.2, **place)
    return ax


def plot_history(
    history: Mapping[str, Sequence[float]],
    ax: Axes | None = None,
    quantity: str = "bound",
    annealing: int = 0,
) -> Axes:
    """Plot a quantity by epoch, on train and valid where the history has it.

    Parameters
    ----------
    history : dict of lists
        As `cvae.training.fit` returns: "epoch", "train_bound", "valid_bound", ...
    ax : Axes, optional
    quantity : str
        What is plotted: "bound", "reconstruction", "kl_z", "kl_w" or "key_accuracy". The epoch of
        the best validation bound, whose weights are kept, is marked.
    annealing : int
        Epochs until the weights of both KL terms are 1: the best is sought after them (where
        nothing comes after them, the last epoch is kept).

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the quantity is unknown, or not in the history.
    """
    found = [split for split in ("train", "valid") if f"{split}_{quantity}" in history]
    if quantity not in QUANTITIES or not found:
        raise ValueError(f"quantity: no {quantity!r} in the history; it has {', '.join(history)}")
    ax = _axes(ax, 3.2)
    epoch = np.asarray(history["epoch"])
    styles = {"train": (COLOURS["orange"], "--"), "valid": (COLOURS["blue"], "-")}
    for split in found:
        colour, line = styles[split]
        ax.plot(epoch, history[f"{split}_{quantity}"], line, color=colour, label=split)
    if len(epoch) and "valid_bound" in history:
        after = history["valid_bound"][annealing:]
        best = annealing + int(np.argmin(after)) if len(after) else len(epoch) - 1
        ax.axvline(epoch[best], color="0.5", linestyle=":", label=f"kept: epoch {epoch[best]}")
    ax.set(xlabel="epoch", ylabel=QUANTITIES[quantity])
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(frameon=False)
    return ax


def plot_confusion(matrix: np.ndarray, keys: Sequence[str], ax: Axes | None = None) -> Axes:
    """Which keys are taken for which, in percent of the true key's.

    Parameters
    ----------
    matrix : array, shape (K, K)
        Counts; row = true key, column = inferred key.
    keys : sequence of K key names
        Of the rows and columns; drawn in the order of fifths. (Other names as they stand.)
    ax : Axes, optional

    Returns
    -------
    Axes
        Its image holds the percentages; a key that never occurs has an empty row.

    Raises
    ------
    ValueError
        If the matrix is not one row and one column for each key.
    """
    matrix = np.asarray(matrix, dtype=float)
    if matrix.shape != (len(keys), len(keys)):
        raise ValueError(f"matrix: shape {matrix.shape} is not ({len(keys)}, {len(keys)})")
    order, labels = _in_order(keys)
    total = matrix.sum(axis=1, keepdims=True)
    percent = 100 * np.divide(matrix, total, where=total > 0, out=np.zeros_like(matrix))
    percent = percent[np.ix_(order, order)]
    ax = _axes(ax, 0.8 * WIDTH)
    image = ax.imshow(percent, cmap=SHADES, vmin=0, vmax=100)
    for row, column in np.argwhere(percent >= 0.5):
        value = percent[row, column]
        ink = "white" if value > 60 else "black"
        size = "medium" if len(keys) <= 12 else "x-small"
        ax.text(column, row, f"{value:.0f}", color=ink, size=size, ha="center", va="center")
    ax.set_xticks(range(len(keys)), labels, rotation=0 if len(keys) <= 12 else 90)
    ax.set_yticks(range(len(keys)), labels)
    ax.set(xlabel="inferred key", ylabel="true key")
    ax.figure.colorbar(image, ax=ax, label="% of the row", shrink=0.8)
    return ax


def plot_circle_of_fifths(
    values: Mapping[str, float] | Sequence[float],
    keys: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Bars around the circle of fifths, C at the top: an amount for each key.

    Parameters
    ----------
    values : dict of key name -> float, or array, shape (K,)
        At least 0.
    keys : sequence of K key names, optional
        Needed where `values` is an array.
    ax : polar Axes, optional

    Returns
    -------
    Axes
        A minor key stands beside its relative major, hatched.

    Raises
    ------
    ValueError
        If there are not as many keys as values, one of them is no key, a value is below 0, or `ax`
        is not polar.
    """
    if isinstance(values, Mapping):
        keys, values = list(values), list(values.values())
    if keys is None or len(keys) != len(values):
        raise ValueError(f"keys: {len(values)} values need as many key names")
    values = np.asarray(values, dtype=float)
    if not (values >= 0).all():
        raise ValueError("values: a circle shows amounts of at least 0")
    if ax is None:
        _, ax = plt.subplots(
            figsize=(0.65 * WIDTH, 0.65 * WIDTH), layout="constrained", subplot_kw={"polar": True}
        )
    elif ax.name != "polar":
        raise ValueError("ax: a circle needs polar axes, plt.subplots(subplot_kw={'polar': True})")
    parsed = [parse_key(key) for key in keys]
    place = np.array([CIRCLE_OF_FIFTHS.index(key.relative_major.name) for key in parsed])
    is_minor = np.array([key.mode == "minor" for key in parsed])
    slot = 2 * np.pi / 12
    width = slot * (0.4 if is_minor.any() else 0.8)
    shift = width / 2 if is_minor.any() else 0.0
    for which, mode, colour, hatch in (
        (~is_minor, "major", COLOURS["blue"], ""),
        (is_minor, "minor", COLOURS["orange"], "//////"),
    ):
        if which.any():
            centre = place[which] * slot + (shift if mode == "minor" else -shift)
            ax.bar(centre, values[which], width, color=colour, hatch=hatch, ec="black", label=mode)
    names = [key_label(name) for name in CIRCLE_OF_FIFTHS]
    if is_minor.any():
        tonics = [parse_key(name).transpose(9).tonic for name in CIRCLE_OF_FIFTHS]
        minors = [key_label(Key(tonic, "minor").name) for tonic in tonics]
        names = [f"{major}\n{minor}" for major, minor in zip(names, minors, strict=True)]
        ax.legend(loc="lower left", bbox_to_anchor=(0.95, 0.95), frameon=False)
    ax.set_theta_zero_location("N")
    ax.set_theta_direction(-1)
    ax.set_xticks(np.arange(12) * slot, names)
    ax.yaxis.set_major_locator(MaxNLocator(3))
    ax.set_rlabel_position(15)  # between C and G
    ax.grid(color="0.6", alpha=0.5)
    for label in ax.get_yticklabels():  # they may lie on a bar
        label.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1})
    return ax


def plot_simplex(
    samples: np.ndarray,
    labels: Sequence[str] = ("1", "2", "3"),
    ax: Axes | None = None,
    density: bool = False,
) -> Axes:
    """Points of the 2-simplex in a triangle; the nearer to a corner, the larger that share.

    Parameters
    ----------
    samples : array, shape (N, 3)
        At least 0, rows that add up to 1.
    labels : sequence of 3 str
        Of the corners: lower left, lower right, top.
    ax : Axes, optional
    density : bool
        Shade hexagons by how many samples they hold, instead of drawing points.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If the samples are not (N, 3), or a row is no point of the simplex.
    """
    samples = np.asarray(samples, dtype=float)
    if samples.ndim != 2 or samples.shape[1] != 3:
        raise ValueError(f"samples: shape {samples.shape} is not (N, 3)")
    if samples.size and not (np.allclose(samples.sum(1), 1, atol=1e-4) and samples.min() >= -1e-6):
        raise ValueError("samples: rows must be at least 0 and add up to 1")
    ax = _axes(ax, 0.5 * WIDTH, width=0.55 * WIDTH)
    corners = np.array([[0, 0], [1, 0], [0.5, np.sqrt(3) / 2]])
    x, y = (samples @ corners).T
    if density:
        extent = (0, 1, 0, np.sqrt(3) / 2)
        ax.hexbin(x, y, gridsize=(30, 17), cmap=SHADES, mincnt=1, extent=extent, linewidths=0.1)
    else:
        ax.scatter(x, y, s=6, color=COLOURS["blue"], alpha=0.4, linewidths=0)
    ax.plot(*corners[[0, 1, 2, 0]].T, color="black", linewidth=1)
    for corner, label, side in zip(corners, labels, ("top", "top", "bottom"), strict=True):
        gap = 0.03 if side == "bottom" else -0.03
        ax.text(corner[0], corner[1] + gap, label, ha="center", va=side)
    ax.set(xlim=(-0.06, 1.06), ylim=(-0.12, 0.98), aspect="equal")
    ax.set_axis_off()
    return ax


def plot_key_posterior(
    probs: np.ndarray,
    keys: Sequence[str],
    ax: Axes | None = None,
    truth: Sequence[str] | None = None,
    step: float = 1.0,
) -> Axes:
    """Probability of each key in each step; a dot marks the likeliest.

    Parameters
    ----------
    probs : array, shape (T, K)
        Probabilities, 0 to 1.
    keys : sequence of K key names
        Of the columns; drawn in the order of fifths from the bottom. (Other names as they stand.)
    ax : Axes, optional
    truth : sequence of T key names, optional
        Drawn as a line.
    step : float
        Length of a step in quarter notes, for the label.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If `probs` has not one column for each key, or a key of `truth` is none of them.
    """
    probs = np.asarray(probs, dtype=float)
    if probs.ndim != 2 or probs.shape[1] != len(keys):
        raise ValueError(f"probs: shape {probs.shape} is not (steps, {len(keys)})")
    order, labels = _in_order(keys)
    ax = _axes(ax, 1.0 + 0.2 * len(keys))
    steps = len(probs)
    image = ax.imshow(
        probs[:, order].T, cmap=SHADES, vmin=0, vmax=1, aspect="auto", origin="lower",
        extent=(0, steps, -0.5, len(keys) - 0.5), interpolation="nearest",
    )  # fmt: skip
    likeliest = probs[:, order].argmax(axis=1)
    ax.plot(
        np.arange(steps) + 0.5, likeliest, "o", markersize=4, color=COLOURS["orange"],
        markeredgecolor="black", markeredgewidth=0.5, label="likeliest",
    )  # fmt: skip
    if truth is not None:
        rows = [[keys[i] for i in order].index(key) for key in truth]
        ax.stairs(rows, np.arange(steps + 1), baseline=None, color="black", lw=2, label="truth")
    ax.set_yticks(range(len(keys)), labels)
    ax.set(xlabel=_step_label(step), ylabel="key")
    ax.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 4, 8, 10], integer=True))
    ax.figure.colorbar(image, ax=ax, label="probability")
    return ax


def plot_latents(
    z: np.ndarray, colour_by: Sequence, ax: Axes | None = None, label: str = ""
) -> Axes:
    """Points of a latent space of two dimensions.

    Parameters
    ----------
    z : array, shape (N, 2)
    colour_by : sequence of N str or float
        Names (key names are put in the order of fifths) are told apart by colour and marker,
        numbers by shade.
    ax : Axes, optional
    label : str
        What `colour_by` is.

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If `z` is not (N, 2), with N the length of `colour_by`.
    """
    z, colour_by = np.asarray(z), np.asarray(colour_by)
    if z.ndim != 2 or z.shape[1] != 2 or len(colour_by) != len(z):
        raise ValueError(f"z: shape {z.shape} is not ({len(colour_by)}, 2)")
    ax = _axes(ax, 0.7 * WIDTH)
    if colour_by.dtype.kind in "fiub":
        points = ax.scatter(*z.T, c=colour_by, cmap="cividis", s=10, linewidths=0)
        ax.figure.colorbar(points, ax=ax, label=label)
    else:
        for i, (name, shown) in enumerate(_names(colour_by).items()):
            colour = COLOURS[CYCLE[i % len(CYCLE)]]
            marker = MARKERS[i % len(MARKERS)]  # 7 colours and 8 markers: 56 looks
            group = z[colour_by == name]
            ax.scatter(*group.T, s=14, color=colour, marker=marker, alpha=0.7, lw=0, label=shown)
        side = {"loc": "center left", "bbox_to_anchor": (1, 0.5)}
        ax.legend(title=label, frameon=False, markerscale=1.6, **side)
    ax.set(xlabel="$z_1$", ylabel="$z_2$")
    return ax


def plot_graph(
    places: Mapping[str, tuple[float, float]],
    solid: Sequence[str],
    dashed: Sequence[str] = (),
    computed: Sequence[str] = (),
    ax: Axes | None = None,
) -> Axes:
    """Graphical model: what depends on what.

    Parameters
    ----------
    places : mapping of str -> (float, float)
        Where each variable stands, by its name in LaTeX. Those whose names begin with "x" are
        observed: their circles are grey.
    solid, dashed : sequence of str
        Arrows, "a b" for one from a to b: how notes come about; how what is hidden is inferred.
    computed : sequence of str
        Variables that are functions of others: squares.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        If an arrow leads from or to a variable that has no place.
    """
    across, up = np.ptp(list(places.values()), axis=0) + 1
    ax = _axes(ax, 0.9 * up, min(WIDTH, 1.4 * across))
    for arrow in (*solid, *dashed):
        start, end = arrow.split()
        if not {start, end} <= places.keys():
            raise ValueError(f"solid, dashed: {arrow!r} joins what has no place")
        style = {"arrowstyle": "-|>", "fc": "black", "shrinkA": 17, "shrinkB": 17}
        if arrow in dashed:
            style |= {"ls": "--", "connectionstyle": "arc3,rad=0.25"}
        ax.annotate("", places[end], places[start], arrowprops=style)
    for name, place in places.items():
        shade = "lightgrey" if name.startswith("x") else "white"
        marker = "s" if name in computed else "o"
        ax.scatter(*place, s=900, color=shade, ec="black", marker=marker, zorder=3)
        ax.text(*place, f"${name}$", ha="center", va="center", size=12, zorder=4)
    ax.margins(0.12)
    ax.axis("off")
    return ax


def key_label(key: str, full: bool = False) -> str:
    """How a key is written in a figure: "E♭" for major, "Cm" for minor; in full "E♭ major".

    Another name is written as it is.
    """
    try:
        tonic, mode = parse_key(key).name.split()
    except ValueError:
        return key
    tonic = tonic.replace("-", "♭").replace("#", "♯")
    return f"{tonic} {mode}" if full else tonic + ("m" if mode == "minor" else "")


def in_order_of_fifths(keys: Sequence[str]) -> list[str]:
    """Keys from five flats to six sharps, minor after its relative major; others as they stand."""
    keys = list(keys)
    return [keys[i] for i in _in_order(keys)[0]]


def _in_order(keys: Sequence[str], full: bool = False) -> tuple[list[int], list[str]]:
    """Indices in the order of fifths, with labels; unless all are keys, all as they stand."""

    def place(i: int) -> tuple[int, bool]:
        key = parse_key(keys[i])
        return (7 * key.relative_major.tonic + 5) % 12, key.mode == "minor"

    order = range(len(keys))
    try:
        order = sorted(order, key=place)
    except ValueError:
        return list(order), list(keys)
    return order, [key_label(keys[i], full) for i in order]


def _labelled_pitches(low: int, high: int) -> list[int]:
    """MIDI numbers that get a label: as many as can be read."""
    span = high - low
    classes = range(12) if span <= 14 else (0, 4, 7) if span <= 50 else (0,)
    return [pitch for pitch in range(low - 1, high + 2) if pitch % 12 in classes]


def _names(names: np.ndarray) -> dict[str, str]:
    """Different names and how to write them: keys in the order of fifths, others sorted."""
    different = sorted({str(name) for name in names})
    order, labels = _in_order(different, full=True)
    return dict(zip([different[i] for i in order], labels, strict=True))


def _axes(ax: Axes | None, height: float, width: float = WIDTH) -> Axes:
    """Axes as given, or those of a new figure of this size in inches."""
    if ax is not None:
        return ax
    return plt.subplots(figsize=(width, height), layout="constrained")[1]
