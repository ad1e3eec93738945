"""The page book/files.md: its limits are the code's, its messages what bad files get."""

import json
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from fuzz import Attack

from cvae import reproduce, runs, stored
from cvae.models import checks
from cvae.music import corpora, downloads, load_corpus, midi, musicxml, pickles, score, soundfont
from cvae.paths import cache_folder, data_folder
from cvae.replicas import strategy
from cvae.runs import SETTINGS, WEIGHTS, Run, load_run
from cvae.training import Trainer, TrainingConfig

PAGE = (Path(__file__).parents[1] / "book" / "files.md").read_text(encoding="utf-8")
ROWS = [line.split(" | ") for line in PAGE.splitlines() if line.startswith("| ")][1:]
MESSAGES = [re.fullmatch(r"`(.*)`.*", row[-1].removesuffix(" |")) for row in ROWS]
MESSAGES = [found.group(1) for found in MESSAGES if found]
MODEL = data_folder() / "models" / "jsb-cl-vae"


def bad_weights(folder, monkeypatch):
    arrays = stored.read_arrays(MODEL / WEIGHTS)
    next(iter(arrays.values())).flat[0] = np.nan
    runs.save_arrays(folder / WEIGHTS, arrays)
    (folder / SETTINGS).write_bytes((MODEL / SETTINGS).read_bytes())
    load_run(folder)


def bad_settings(folder, monkeypatch):
    settings = stored.read_json(MODEL / SETTINGS)
    settings["options"]["hidden_dim"] = 10**9
    (folder / SETTINGS).write_text(json.dumps(settings))
    load_run(folder)


def bad_state(folder, monkeypatch, corpus):
    run = Run.plan(folder, "vae", corpus, hidden_dim=4).start()
    trainer = Trainer(run.model, corpus, TrainingConfig(batch_size=4), folder)
    columns = ("epoch", "train_bound", "valid_bound")
    trainer.history = {name: [1.0] * (1 + (name == "epoch")) for name in columns}
    trainer.save_state()
    trainer.load_state()


def bad_scores(folder, monkeypatch):
    monkeypatch.setattr(reproduce, "_trained", lambda *_: (None, None))
    (folder / reproduce.SCORES).write_text('[{"bound": 9.5}]')
    reproduce._scored(folder, {}, 0, {"test": {"iw_samples": 1, "mixture": False}})


def bad_results(folder, monkeypatch):
    monkeypatch.setattr(reproduce, "data_folder", lambda: folder)
    (folder / "results").mkdir()
    (folder / "results" / "twins.json").write_text('{"command": "cvae"}')
    reproduce.results("twins")


def bad_corpus(folder, monkeypatch):
    monkeypatch.setattr(corpora, "data_folder", lambda: folder)
    (folder / "corpora").mkdir()
    (folder / "corpora" / "jsb.json").write_text('{"songs": [], "songs": []}')
    load_corpus("jsb")


def bad_pickle(folder, monkeypatch):
    (folder / "song.pickle").write_bytes(pickle.dumps({"train": Attack(eval, "1")}))
    load_corpus(folder / "song.pickle")


def bad_midi(folder, monkeypatch):
    midi.write_midi(np.eye(4, 88, k=40, dtype=bool), folder / "song.mid")
    (folder / "song.mid").write_bytes((folder / "song.mid").read_bytes()[:-6])
    midi.read_midi(folder / "song.mid")


def bad_musicxml(folder, monkeypatch):
    text = "<!DOCTYPE a [<!ENTITY a 'ha'><!ENTITY b '&a;&a;'>]><score-partwise>&b;</score-partwise>"
    (folder / "song.musicxml").write_text(text)
    musicxml.read_musicxml(folder / "song.musicxml")


def bad_download(folder, monkeypatch):
    (folder / "data" / "corpora").mkdir(parents=True)
    (folder / "data" / "corpora" / "downloads.txt").write_text(f'"box/song.mid" {"0" * 64}\n')
    monkeypatch.setattr(downloads, "data_folder", lambda: folder / "data")
    monkeypatch.setattr(downloads, "SOURCES", {"box": ""})
    monkeypatch.setenv("CVAE_DATA_DIR", str(folder))
    (folder / "box").mkdir()
    (folder / "box" / "song.mid").write_bytes(b"mine")
    downloads.download("box", "box")


def bad_soundfont(folder, monkeypatch):
    font = Path(soundfont.pretty_midi.__file__).with_name("TimGM6mb.sf2").read_bytes()
    (folder / "piano.sf2").write_bytes(font.replace(b"smpl", b"SMPL", 1))
    soundfont.SoundFont(folder / "piano.sf2")


def bad_cluster(folder, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", '{"cluster": ' + "[" * 100_000)
    strategy("workers")


def bad_home(folder, monkeypatch):
    monkeypatch.setenv("CVAE_DATA_DIR", "~nobody-here/x")
    cache_folder()


CASES = [
    *(bad_weights, bad_settings, bad_state, bad_scores, bad_results, bad_corpus, bad_pickle),
    *(bad_midi, bad_musicxml, bad_download, bad_soundfont, bad_cluster, bad_home),
]


@pytest.mark.parametrize("number", range(len(CASES)), ids=[case.__name__ for case in CASES])
def test_a_bad_file_gets_the_message_of_its_row(number, tmp_path, monkeypatch, tiny_corpus):
    case = CASES[number]
    more = {"corpus": tiny_corpus} if case is bad_state else {}
    with pytest.raises(ValueError) as caught:
        case(tmp_path, monkeypatch, **more)
    message = re.sub(
        rf"{re.escape(str(tmp_path))}\S*/(box/)?|/\S+/(?=song\.mid)", "", str(caught.value)
    )
    assert message.startswith(MESSAGES[number])
    if case is not bad_cluster:  # its message goes on with what was given
        assert message == MESSAGES[number]
    assert "\n" not in message and len(message) < 400


def test_each_message_has_its_case():
    assert len(MESSAGES) == len(CASES)


def test_limits_are_those_of_the_code():
    mib, gib = 2**20, 2**30
    limits = {
        f"{stored.MAX_ARRAY_BYTES // gib} GiB, unpacked": WEIGHTS,
        f"layers of at most {checks.MAX_WIDTH} units": SETTINGS,
        f"at most {pickles.MAX_BYTES // mib} MiB, {pickles.MAX_ITEMS:,} items, "
        f"lists {pickles.MAX_DEPTH} deep": "a pickle",
        f"at most {score.MAX_BYTES // mib} MiB, {midi.MAX_TICKS:,} ticks, "
        f"{score.MAX_STEPS:,} steps": "MIDI",
        f"at most {score.MAX_BYTES // mib} MiB, unpacked": "MusicXML",
        f"at most {musicxml.MAX_SECONDS} s and, on Linux, "
        f"{musicxml.MAX_MEMORY // gib} GiB": "MusicXML",
        f"at most {soundfont.MAX_BYTES // gib} GiB": "a SoundFont",
    }
    for words, file in limits.items():
        (row,) = [row for row in ROWS if file in row[0]]
        assert words in row[2]
    assert f"*Strict JSON* has at most {stored.MAX_JSON_BYTES // mib} MiB" in PAGE
