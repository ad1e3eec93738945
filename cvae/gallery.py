"""The gallery: short samples of each model beside the music itself, made by commands.

``make samples`` runs the commands and writes into ``data/samples`` what the book's page shows: the
MIDI files that they make, their sound, and ``gallery.json`` with the statistics of each. A row is
the first sample of its command with the seed 0: none was chosen by ear.
"""

import base64
import contextlib
import json
import shlex
import sys
from dataclasses import dataclass, field
from typing import NamedTuple

from cvae.music import note_repetition, pitch_in_scale_rate, polyphony, scale_consistency
from cvae.music.audio import Player, render, write
from cvae.music.midi import read_midi
from cvae.paths import data_folder, write_atomically
from cvae.stored import read_json

__all__ = ["CORPORA", "ROWS", "Shown", "build", "gallery", "show"]

SAMPLE_RATE, DPI = 16000, 80
"""Hz, and dots per inch of a figure, so that a page with all of them stays small."""

BPM = 120


class _Corpus(NamedTuple):
    """Key of the song that is continued, steps of a sample, and a step in quarter notes."""

    key: str
    steps: int
    step: float


CORPORA = {"jsb": _Corpus("G major", 32, 1.0), "piano-midi": _Corpus("E- major", 64, 0.5)}
"""Of each corpus, the song that all its rows continue: the first that the seed 0 draws."""

ROWS = {
    "jsb-data": ("Bach himself", "corpus excerpt jsb"),
    "jsb-vae": ("VAE", "sample jsb-vae"),
    "jsb-cl-vae": ("Classifying VAE, key inferred", "sample jsb-cl-vae"),
    "jsb-cl-vae-given": ("Classifying VAE, key given", "sample jsb-cl-vae"),
    "jsb-vae-lstm-standard": ("VAE+LSTM, standard prior", "sample jsb-vae-lstm-standard"),
    "jsb-cl-vae-lstm-standard": (
        "Classifying VAE+LSTM, standard prior, key inferred",
        "sample jsb-cl-vae-lstm-standard",
    ),
    "jsb-vae-lstm": ("VAE+LSTM, LSTM prior", "sample jsb-vae-lstm"),
    "jsb-cl-vae-lstm": (
        "Classifying VAE+LSTM, LSTM prior, key inferred",
        "sample jsb-cl-vae-lstm",
    ),
    "jsb-cl-vae-lstm-given": (
        "Classifying VAE+LSTM, LSTM prior, key given",
        "sample jsb-cl-vae-lstm",
    ),
    "jsb-vae-lstm-made": ("VAE+LSTM, LSTM prior, MADE", "sample jsb-vae-lstm-made"),
    "jsb-cl-vae-lstm-made-given": (
        "Classifying VAE+LSTM, LSTM prior, MADE, key given",
        "sample jsb-cl-vae-lstm-made",
    ),
    "piano-midi-data": ("The piece itself", "corpus excerpt piano-midi"),
    "piano-midi-vae": ("VAE", "sample piano-midi-vae"),
    "piano-midi-cl-vae": ("Classifying VAE, key inferred", "sample piano-midi-cl-vae"),
    "piano-midi-cl-vae-given": ("Classifying VAE, key given", "sample piano-midi-cl-vae"),
    "piano-midi-vae-lstm": ("VAE+LSTM, LSTM prior", "sample piano-midi-vae-lstm"),
    "piano-midi-cl-vae-lstm": (
        "Classifying VAE+LSTM, LSTM prior, key inferred",
        "sample piano-midi-cl-vae-lstm",
    ),
    "piano-midi-cl-vae-lstm-given": (
        "Classifying VAE+LSTM, LSTM prior, key given",
        "sample piano-midi-cl-vae-lstm",
    ),
}
"""Name of each row: what it is, and the command that makes it, without its options."""


@dataclass(frozen=True)
class Shown:
    """A player with a link to the notes themselves."""

    player: Player
    file: str
    midi: bytes = field(repr=False)

    def _repr_html_(self) -> str:
        link = f"data:application/octet-stream;base64,{base64.b64encode(self.midi).decode()}"
        return f'{self.player._repr_html_()}<a download="{self.file}" href="{link}">{self.file}</a>'


def command(name: str) -> str:
    """The whole command that makes a row."""
    _, start = ROWS[name]
    corpus = CORPORA[_corpus(name)]
    verb, _, run = start.rpartition(" ")
    if verb == "sample":  # the row names the file, --run the model
        start = f"sample {name} --run {run}"
    key = f' --key "{corpus.key}"' if name.endswith("-given") else ""
    songs = f'-t {corpus.steps} --seed-key "{corpus.key}" --seed 0'
    return (
        f"cvae {start}{key} {songs} --bpm {BPM} --audio none --overwrite --sample-dir data/samples"
    )


def build() -> None:
    """Make all rows in `data/samples`; those that are there are replaced."""
    from cvae.cli import main  # not for those who only look at it

    folder = data_folder() / "samples"
    folder.mkdir(exist_ok=True)
    rows = {}
    for name, (title, start) in ROWS.items():
        with contextlib.chdir(data_folder().parent):
            status = main(shlex.split(command(name))[1:])
        if status:
            sys.exit(status)
        made = folder / f"{start.split()[-1] if 'excerpt' in start else name}_0.mid"
        midi = made.replace(folder / f"{name}.mid")
        corpus = CORPORA[_corpus(name)]
        roll = read_midi(midi, corpus.step)
        sound = render(roll, bpm=BPM, step=corpus.step, sample_rate=SAMPLE_RATE)
        write(midi.with_suffix(".mp3"), sound, SAMPLE_RATE)
        rows[name] = {
            "title": title,
            "command": command(name),
            "key": corpus.key,
            "step": corpus.step,
            "steps": len(roll),
            "seconds": round(len(sound) / SAMPLE_RATE, 1),
            "pitch_in_scale_rate": pitch_in_scale_rate(roll, corpus.key),
            "scale_consistency": scale_consistency(roll),
            "polyphony": polyphony(roll),
            "note_repetition": note_repetition(roll),
        }
    write_atomically(folder / "gallery.json", (json.dumps(rows, indent=1) + "\n").encode())


def gallery() -> dict[str, dict]:
    """What `build` has stored of each row."""
    return read_json(data_folder() / "samples" / "gallery.json")


def show(name: str):
    """Draw a row as a piano roll, its key's scale in another colour than the rest.

    Parameters
    ----------
    name : str
        One of `ROWS`.

    Returns
    -------
    Shown
        What a notebook shows as its player, and a link that saves the MIDI file.
    """
    from matplotlib import pyplot as plt

    from cvae.plots import plot_roll

    row, path = gallery()[name], data_folder() / "samples" / name
    with plt.rc_context({"figure.dpi": DPI}):
        plot_roll(read_midi(path.with_suffix(".mid"), row["step"]), row["key"], step=row["step"])
        plt.show()
    title = (
        f"{row['title']}: {row['polyphony']:.1f} notes a step, "
        f"{row['pitch_in_scale_rate']:.2f} in scale"
    )
    player = Player(title, row["seconds"], path.with_suffix(".mp3").read_bytes())
    return Shown(player, f"{name}.mid", path.with_suffix(".mid").read_bytes())


def _corpus(name: str) -> str:
    return next(corpus for corpus in CORPORA if name.startswith(corpus))


if __name__ == "__main__":
    build()
