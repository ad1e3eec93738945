"""A take: some steps that a model plays, with their picture, their sound and their figures."""

import base64
import html
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isnan
from pathlib import Path

import numpy as np

from cvae.evaluation import SEED_STEPS
from cvae.models.checks import check_sizes
from cvae.music.audio import Player, encode_mp3, render
from cvae.music.midi import roll_to_midi
from cvae.music.statistics import (
    note_repetition,
    pitch_in_scale_rate,
    polyphony,
    scale_consistency,
)

__all__ = ["LEAD", "Take", "bars", "play", "table"]

LEAD = SEED_STEPS
"""Steps of a piece that a model hears before it plays, as in `cvae.evaluation.continuations`."""

SAMPLE_RATE = 12000  # a piano has little above half of it, and a page carries many takes
BPM = 132  # sixteen quarter notes and their echo are eight seconds
COLOURS = 32  # of a picture: enough for its few, and for the edges of letters
DOTS_PER_INCH = 130


@dataclass(frozen=True, eq=False)
class Take:
    """A roll to be seen and heard.

    Attributes
    ----------
    title : str
    roll : ndarray of bool, shape (T, 88)
    key : str
        The key in whose scale notes are counted, and coloured.
    step : float
        Of the roll, in quarter notes.
    inferred : dict of str -> float
        Probability of each key of the model that played, as its classifier hears the roll; empty
        for a model without classes.
    """

    title: str
    roll: np.ndarray = field(repr=False)
    key: str
    step: float = 1.0
    inferred: Mapping[str, float] = field(default_factory=dict, repr=False)

    @property
    def figures(self) -> dict[str, float]:
        """Statistics of the roll: see `cvae.music.statistics`."""
        return {
            "pitch-in-scale rate": pitch_in_scale_rate(self.roll, self.key),
            "scale consistency": scale_consistency(self.roll),
            "polyphony": polyphony(self.roll),
            "note repetition": note_repetition(self.roll),
        }

    @property
    def heard(self) -> tuple[str, float] | None:
        """The likeliest key and its probability; None for a model without classes."""
        return max(self.inferred.items(), key=lambda item: item[1]) if self.inferred else None

    def picture(self) -> bytes:
        """PNG of the roll, its notes coloured by whether they are in the scale of the key."""
        from matplotlib import rc_context
        from matplotlib.figure import Figure
        from PIL import Image

        from cvae.plots import plot_roll

        large, small = io.BytesIO(), io.BytesIO()
        # Not by pyplot, whose figures a notebook shows by itself. Bars are small: thin hatching.
        figure = Figure(figsize=(7, 2.4), dpi=DOTS_PER_INCH, layout="constrained")
        with rc_context({"hatch.linewidth": 0.4}):
            plot_roll(self.roll, self.key, figure.subplots(), step=self.step)
            figure.savefig(large, format="png")
        picture = Image.open(large).convert("RGB")
        picture.quantize(COLOURS, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
        return small.getvalue()

    def sound(self) -> Player:
        """Player of the roll, of about 3.5 kB a second."""
        samples = render(self.roll, bpm=BPM, step=self.step, sample_rate=SAMPLE_RATE)
        seconds = round(len(samples) / SAMPLE_RATE, 1)
        return Player(self.title, seconds, encode_mp3(samples, SAMPLE_RATE))

    def midi(self) -> bytes:
        """The roll as a MIDI file."""
        file = io.BytesIO()
        roll_to_midi(self.roll, bpm=BPM, step=self.step).write(file)
        return file.getvalue()

    def html(self, listen_for: str = "") -> str:
        """Picture, sound and figures as they stand in a page.

        Parameters
        ----------
        listen_for : str
            Plain text, set beside the player.

        Returns
        -------
        str
            HTML that loads nothing from elsewhere.
        """
        from cvae.plots import key_label

        key, notes = key_label(self.key, full=True), int(self.roll.sum())
        rate = self.figures["pitch-in-scale rate"]
        alt = f"Piano roll of {len(self.roll)} steps with {notes} notes"
        picture = base64.b64encode(self.picture()).decode()
        lines = ["no notes"]
        if notes:
            alt += f", {rate:.0%} of them in {key}"
            lines = [f"{rate:.2f} of the notes are in {key}"]
            lines += [f"{self.figures['polyphony']:.1f} notes a step"]
        if self.heard:
            name, probability = self.heard
            lines.append(f"the classifier hears {key_label(name, full=True)} ({probability:.2f})")
        return (
            f"{self.sound()._repr_html_()}"
            f"<p>{html.escape(listen_for)} {'; '.join(lines)}.</p>"
            f'<img alt="{alt}" src="data:image/png;base64,{picture}" style="max-width: 100%">'
        )

    def save(self, folder: str | Path) -> Path:
        """Write the MIDI file into a folder under the next free number; no file is replaced.

        Returns
        -------
        Path

        Raises
        ------
        ValueError
            If it cannot be written.
        """
        folder, midi = Path(folder).expanduser(), self.midi()
        stem = "".join(c if c.isalnum() else "-" for c in self.title.replace("+", " "))
        stem = "-".join(filter(None, stem.split("-")))
        number = 1
        while True:
            path = folder / f"{stem}-{number:02d}.mid"
            try:
                folder.mkdir(parents=True, exist_ok=True)
                with path.open("xb") as file:
                    file.write(midi)
                return path
            except FileExistsError:
                if not folder.is_dir():
                    raise ValueError(f"{folder}: is a file, not a folder") from None
                number += 1
            except OSError as error:
                raise ValueError(f"{path}: cannot be written: {error.strerror}") from None


def play(
    run,
    song,
    steps: int,
    title: str,
    key: str | None = None,
    scale: str | None = None,
    **options,
) -> Take:
    """Let a model go on after the first `LEAD` steps of a song.

    Parameters
    ----------
    run : cvae.runs.Run
    song : Song
    steps : int
    title : str
        Of the take.
    key : str, optional
        The key that is asked for; by default the model infers it.
    scale : str, optional
        The key in whose scale notes are counted: by default the one that is asked for, else the
        song's.
    **options
        Of `LatentModel.generate`, such as ``seed``, ``temperature``, ``w``.

    Returns
    -------
    Take

    Raises
    ------
    ValueError
        If the song has fewer than `LEAD` steps, or an option is out of its range.
    """
    check_sizes(steps=steps)
    if len(song.roll) < LEAD:
        raise ValueError(f"song: {song.title} has {len(song.roll)} steps, fewer than {LEAD}")
    asked = None if key is None else run.key_index(key)
    roll = run.model.generate(song.roll[None, :LEAD], steps, asked, **options)[0]
    inferred = {}
    if run.model.classes:
        chances = run.model.infer_key(roll).whole
        inferred = {name: float(p) for name, p in zip(run.settings["keys"], chances, strict=True)}
    return Take(title, roll, scale or key or song.key, run.reading.step, inferred)


def table(*takes: Take) -> str:
    """Figures of takes side by side, as HTML."""
    head = "".join(f"<th scope=col>{html.escape(take.title)}</th>" for take in takes)
    figures = [take.figures for take in takes]
    rows = [
        f"<tr><th scope=row>{name}</th>"
        + "".join(f"<td>{'-' if isnan(of[name]) else f'{of[name]:.2f}'}</td>" for of in figures)
        + "</tr>"
        for name in figures[0]
    ]
    return f"<table><tr><td></td>{head}</tr>{''.join(rows)}</table>"


def bars(inferred: Mapping[str, float]) -> str:
    """Probability of each key, in the order of fifths, as HTML: a number and a bar."""
    from cvae.plots import in_order_of_fifths, key_label

    if not inferred:
        return ""
    rows = [
        f"<tr><th scope=row>{key_label(key, full=True)}</th><td>{inferred[key]:.2f}</td>"
        f'<td style="min-width: 12em"><div style="background: #0072B2; height: 0.8em; '
        f'width: {inferred[key]:.0%}"></div></td></tr>'
        for key in in_order_of_fifths(inferred)
    ]
    return f"<p>Key, as the classifier hears the take:</p><table>{''.join(rows)}</table>"
