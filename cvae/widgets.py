"""Controls for a notebook: takes to choose from where no kernel is, and a room where one listens.

A door: what a control does is one call of `cvae.takes` or of a model. Widgets are those of
ipywidgets 7.7 (Colab's); what only 8 has is used if it is there.
"""

import base64
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import ipywidgets as widgets
import numpy as np

from cvae.models.distributions import between
from cvae.music.corpora import FILES
from cvae.music.keys import CIRCLE_OF_FIFTHS, are_keys, parse_key
from cvae.music.statistics import notes_in_common
from cvae.paths import cache_folder, data_folder, reason
from cvae.plots import key_label
from cvae.progress import is_live
from cvae.runs import find_run, load_run, load_settings
from cvae.takes import LEAD, Take, bars, play, table

__all__ = ["ListeningRoom", "linked_takes", "listening_room"]

CLOSED = "Here the room opens, in a notebook with a kernel: run the cells from the top to this one."
SUREST = 0.99
"""Certainty of the ends of a morph, at most: a corner of the simplex is infinitely far away."""

_FAMILIES = {"vae": "VAE", "cl-vae": "CL-VAE", "vae-lstm": "VAE+LSTM", "cl-vae-lstm": "CL-VAE+LSTM"}
_WIDE = {"description_width": "8em"}
_FULL = {"width": "100%", "max_width": "36em"}


def linked_takes(names: Sequence[str], takes: Mapping) -> widgets.VBox:
    """Buttons that choose among takes without a kernel: front end widgets joined to each other.

    Parameters
    ----------
    names : sequence of one or two str
        What the buttons choose, such as ``("model", "key")``.
    takes : dict of str -> str, or of str -> dict of str -> str
        HTML by choice, as `Take.html` makes it. With two names the first choice leads to the dict
        of the second, or to HTML alone where the second makes no difference.

    Returns
    -------
    widgets.VBox
        Where widgets have no `Stack`, all takes in a column, each under its name.

    Raises
    ------
    ValueError
        If there are no takes, or two dicts differ in their choices.
    """
    inner = [list(part) for part in takes.values() if isinstance(part, Mapping)]
    if not takes or len(names) != 1 + bool(inner) or any(part != inner[0] for part in inner):
        raise ValueError(f"takes: must have the same choices of {' and '.join(names)} throughout")
    if not hasattr(widgets, "Stack"):
        return _column(takes)
    choices = [list(takes), *inner[:1]]
    buttons = [
        widgets.ToggleButtons(
            options=options,
            description=name,
            style={"button_width": "auto", "description_width": "initial"},
        )
        for name, options in zip(names, choices, strict=True)
    ]
    pages = [
        _stack(list(part.values()), buttons[1]) if isinstance(part, Mapping) else widgets.HTML(part)
        for part in takes.values()
    ]
    return widgets.VBox([*buttons, _stack(pages, buttons[0])])


def _stack(pages, buttons):
    """Show the page of the button that is pressed."""
    pages = [widgets.HTML(page) if isinstance(page, str) else page for page in pages]
    stack = widgets.Stack(pages, selected_index=0)
    widgets.jslink((buttons, "index"), (stack, "selected_index"))
    return stack


def _column(takes):
    parts = []
    for name, part in takes.items():
        parts.append(widgets.HTML(f"<strong>{html.escape(name)}</strong>"))
        parts.append(_column(part) if isinstance(part, Mapping) else widgets.HTML(part))
    return widgets.VBox(parts)


class KeyCircle:
    """Twelve buttons in a circle of fifths, C at the top, and one in the middle: infer it."""

    def __init__(self):
        self.infer = _toggle("infer it", "the model infers the key from the piece", 7, 6, 4)
        self.infer.value = True
        self.buttons = {None: self.infer}
        for hour, key in enumerate(CIRCLE_OF_FIFTHS):
            up, right = np.cos(hour * np.pi / 6), np.sin(hour * np.pi / 6)
            place = round(6 - 6 * up) + 1, round(6 + 6 * right) + 1
            self.buttons[key] = _toggle(key_label(key), "", *place, 2)
        for button in self.buttons.values():
            button.observe(self._press, "value")
        self.note = widgets.Label()
        layout = {"grid_template_columns": "repeat(14, 1.6em)", "grid_auto_rows": "1.1em"}
        grid = widgets.GridBox(list(self.buttons.values()), layout=layout)
        self.widget = widgets.VBox([widgets.Label("Key, on the circle of fifths"), grid, self.note])

    @property
    def key(self):
        """Name of the key that is pressed; None: infer it."""
        return next((key for key, button in self.buttons.items() if button.value), None)

    def allow(self, keys):
        """Leave only the keys that a model knows; it knows none if it has no classes."""
        modes = {parse_key(key).mode for key in keys} if are_keys(keys) else {}
        for key, button in self.buttons.items():
            button.disabled = key not in keys if key else not keys
            if key:
                button.tooltip = key_label(key, full=True)
                if "minor" not in modes:  # the classes are relative majors
                    minor = parse_key(key).transpose(9)._replace(mode="minor").name
                    button.tooltip += f" or {key_label(minor, full=True)}"
        if self.buttons[self.key].disabled:
            self.infer.value = True
        self.note.value = "" if keys else "This model has no w: it cannot be asked for a key."
        if "minor" in modes:
            self.note.value = "The minor keys that this model knows too are in the list “w to”."

    def _press(self, change):
        if change["new"]:
            for button in self.buttons.values():
                if button is not change["owner"]:
                    button.value = False
        elif not any(button.value for button in self.buttons.values()):
            self.infer.value = True


def _toggle(label, tooltip, row, column, width):
    """Button at a place of a grid, two rows high."""
    area = f"{row} / {column} / span 2 / span {width}"
    layout = {"grid_area": area, "width": "auto", "height": "auto", "padding": "0"}
    return widgets.ToggleButton(description=label, tooltip=tooltip, layout=layout)


class ListeningRoom:
    """Choose a model, a piece and a key; hear, see and save what the model plays.

    Parameters
    ----------
    runs : sequence of str or path, optional
        As `cvae.runs.load_run` finds them; by default those that come with the project.
    folder : path
        Where MIDI files are saved.

    Attributes
    ----------
    widget : ipywidgets.VBox
        What a notebook shows. Errors appear in it, as one line.
    """

    def __init__(self, runs=None, folder="takes"):
        self.folder = folder
        runs = sorted((data_folder() / "models").glob("*")) if runs is None else runs
        self.runs = {Path(run).name: run for run in runs}
        self.settings, self.loaded = {}, {}
        self.listed, self.shown, self.before, self.working = None, None, None, False
        self.status = widgets.HTML()
        self.corpus = _dropdown("Corpus")
        self.model = _dropdown("Model")
        self.piece = _dropdown("Piece")
        self.circle = KeyCircle()
        self.temperature = _slider("Temperature", 0.1, 2.0, 1.0)
        self.steps = widgets.IntSlider(
            16, 4, 128, description="Length in steps", style=_WIDE, layout=_FULL
        )
        self.number = _number("Take number", 0)
        self.generate = self._button("Generate", self._generate)
        self.save = self._button("Save the MIDI file", self._save)
        self.result, self.saved = widgets.HTML(), widgets.HTML()
        self.ends = [_dropdown("w from"), _dropdown("w to")]
        self.w_share = _slider("w: how far", 0.0, 1.0, 0.5)
        self.z_number = _number("z towards take", 1)
        self.z_share = _slider("z: how far", 0.0, 1.0, 0.0)
        self.morph = self._button("Play this place", self._morph)
        self.redraw = self._button("Hold w, draw z again", self._redraw)
        self.turn = self._button("Hold z, change w", self._turn)
        self.compared = widgets.HTML()
        self.buttons = (self.generate, self.save, self.morph, self.redraw, self.turn)
        room = [self.corpus, self.model, self.piece, self.circle.widget, self.temperature]
        room += [self.steps, self.number, _row(self.generate, self.save), self.status]
        room += [self.saved, self.result, widgets.HTML("<strong>Two latents</strong>")]
        room += [*self.ends, self.w_share, self.z_number, self.z_share]
        room += [_row(self.morph, self.redraw, self.turn), self.compared]
        self.widget = widgets.VBox(room)
        self._work(self._open)
        self.corpus.observe(lambda _: self._work(self._list_models), "value")
        self.model.observe(lambda _: self._work(self._open_model), "value")

    def _button(self, text, work):
        button = widgets.Button(description=text, layout={"width": "auto"})
        button.on_click(lambda _: self._work(work, "generating ..."))
        return button

    def _work(self, work, begun="loading ..."):
        """Do what may take long or fail; say so meanwhile and afterwards, in the status."""
        if self.working:  # a list that is being filled changes what is chosen in it
            return
        self.working = True
        self._say(begun)
        for button in self.buttons:
            button.disabled = True
        try:
            self._say(work() or "")
        except Exception as error:  # a traceback would end in a log that no reader sees
            self._say(reason(error))
        finally:
            self.working = False
            for button in self.buttons:
                button.disabled = False
            self.save.disabled = self.shown is None
            if not self.ends[0].options:
                self.morph.disabled = self.redraw.disabled = self.turn.disabled = True

    def _say(self, text):
        self.status.value = f'<span role="status">{html.escape(text)}</span>'

    def _open(self):
        """Fill the corpora with those of all runs that can be read."""
        faults = []
        for name, run in self.runs.items():
            try:
                self.settings[name] = load_settings(find_run(run))
            except ValueError as error:
                faults.append(reason(error))
        _fill(self.corpus, dict.fromkeys(s["corpus"] for s in self.settings.values()))
        if self.settings:
            self._list_models()
        return "; ".join(faults)

    def _open_model(self):
        self._load()

    def _list_models(self):
        of_corpus = {n: s for n, s in self.settings.items() if s["corpus"] == self.corpus.value}
        _fill(self.model, [(_title(n, s), n) for n, s in of_corpus.items()])
        self._load()

    def _load(self):
        """The run that is chosen; its pieces and keys fill the lists."""
        name = self.model.value
        if name is None:
            raise ValueError("model: there is none that can be opened")
        if name not in self.loaded:
            _check_is_here(self.settings[name]["corpus"])
            run = load_run(self.runs[name])
            songs = [song for song in run.corpus().test if len(song.roll) > LEAD]
            if not songs:
                raise ValueError(f"piece: none of the test split has more than {LEAD} steps")
            self.loaded[name] = run, songs
        run, songs = self.loaded[name]
        if name == self.listed:
            return run, songs
        self.listed = name
        titles = [f"{song.title} ({song.source}, {key_label(song.key, True)})" for song in songs]
        if [title for title, _ in self.piece.options] != titles:
            _fill(self.piece, [(title, i) for i, title in enumerate(titles)])
        keys = run.settings["keys"] if run.model.classes else []
        self.circle.allow(keys)
        for end, default in zip(self.ends, (0, len(keys) // 2), strict=True):
            _fill(end, [(key_label(key, full=True), key) for key in keys], default)
        return run, songs

    def _generate(self):
        run, songs = self._load()
        song, key = songs[self.piece.value], self.circle.key
        wanted = key_label(key, full=True) if key else "its own way"
        title = f"{self.model.label}, {wanted}, take {self.number.value}"
        take = play(run, song, self.steps.value, title, key, **self._options())
        real = Take("the piece itself", song.roll[LEAD : LEAD + len(take.roll)], take.key)
        self.result.value = take.html() + table(take, real) + bars(take.inferred)
        self.shown = take
        return f"{title}: ready"

    def _options(self):
        return {"seed": self.number.value, "temperature": self.temperature.value}

    def _save(self):
        path = self.shown.save(self.folder)
        data = base64.b64encode(path.read_bytes()).decode()
        name = html.escape(path.name)
        self.saved.value = (
            f"saved as {html.escape(str(path))} "
            f'(<a download="{name}" href="data:audio/midi;base64,{data}">download it</a>)'
        )

    def _morph(self):
        (run, songs), ends = self._load(), [end.value for end in self.ends]
        sure = min(run.model.certainty, SUREST)
        start, end = (run.model.w_of(run.key_index(key), sure) for key in ends)
        w, towards = self.w_share.value, (self.z_number.value, self.z_share.value)
        title = f"w {w:.2f} of the way, z {towards[1]:.2f} of the way to take {towards[0]}"
        options = self._options() | {"w": between(start, end, w), "z_towards": towards}
        options |= {"scale": ends[round(w)]}  # of the end that is nearer
        take = play(run, songs[self.piece.value], self.steps.value, title, **options)
        self.compared.value = take.html()
        if self.before and len(self.before.roll) == len(take.roll):
            share = notes_in_common(self.before.roll, take.roll)
            self.compared.value += (
                f"<p>{share:.2f} of the notes in common with the take before:</p>"
                + self.before.html()
            )
        self.before = self.shown = take
        return f"{title}: ready"

    def _redraw(self):
        self.z_number.value += self.z_share.value == 1
        self.z_share.value = 1.0
        return self._morph()

    def _turn(self):
        self.w_share.value = 1.0 - round(self.w_share.value)
        return self._morph()


@dataclass(frozen=True)
class Notice:
    """A line of text that a notebook shows."""

    text: str

    def _repr_html_(self):
        return f"<p><em>{html.escape(self.text)}</em></p>"


def listening_room(**options):
    """The room where a kernel listens; else a line that says how to open it.

    Parameters
    ----------
    **options
        Of `ListeningRoom`.

    Returns
    -------
    ipywidgets.VBox or Notice
    """
    return ListeningRoom(**options).widget if is_live() else Notice(CLOSED)


def _title(name, settings):
    """Name of a model in the list: its family, and the prior of z where there is a choice."""
    title = _FAMILIES.get(settings["model"], settings["model"])
    prior = settings["options"].get("prior")
    return (
        f"{title}, {prior.replace('lstm', 'LSTM')} prior: {name}" if prior else f"{title}: {name}"
    )


def _check_is_here(corpus):
    """Raise ValueError if the files of a corpus have not been downloaded."""
    if corpus in FILES and not (cache_folder() / FILES[corpus]).exists():
        raise ValueError(
            f"{corpus}: is not here; the command `cvae corpus fetch {corpus}` brings it"
        )


def _fill(dropdown, options, index=0):
    """Give a list its options, and choose one if there are any."""
    dropdown.options = list(options)
    dropdown.index = index if dropdown.options else None


def _dropdown(text):
    return widgets.Dropdown(description=text, style=_WIDE, layout=_FULL)


def _slider(text, least, most, value):
    return widgets.FloatSlider(
        value, min=least, max=most, step=0.05, description=text, style=_WIDE, layout=_FULL
    )


def _number(text, value):
    return widgets.BoundedIntText(
        value, min=0, max=9999, description=text, style=_WIDE, layout=_FULL
    )


def _row(*parts):
    return widgets.HBox(parts, layout={"flex_flow": "row wrap"})
