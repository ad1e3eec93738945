"""Controls, without a browser: values are set and buttons clicked as a front end would."""

import base64
import html
import re

import ipywidgets as widgets
import numpy as np
import pytest

from cvae.music.corpora import FILES
from cvae.music.keys import CIRCLE_OF_FIFTHS
from cvae.music.midi import read_midi
from cvae.widgets import (
    CLOSED,
    KeyCircle,
    ListeningRoom,
    _check_is_here,
    linked_takes,
    listening_room,
)

RUNS = ("jsb-cl-vae", "jsb-vae")
TAKES = {"plain": "<p>a</p>", "with w": {"C": "<p>b</p>", "D": "<p>c</p>"}}


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    room = ListeningRoom(RUNS, tmp_path_factory.mktemp("takes"))
    room.steps.value = 5
    return room


@pytest.fixture
def room(opened, tmp_path):
    """One room for all: a model is slow to load and to compile."""
    opened.folder = tmp_path / "new" / "takes"
    opened.model.value = "jsb-cl-vae"
    opened.circle.infer.value = True
    return opened


def said(room):
    text = re.fullmatch('<span role="status">(.*)</span>', room.status.value).group(1)
    text = html.unescape(text)
    assert "\n" not in text and "Traceback" not in text
    return text


def all_widgets(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from all_widgets(child)


# Takes to choose from without a kernel


def test_buttons_and_stacks_are_linked_by_what_is_synced():
    links = []
    made = linked_takes(("model", "key"), TAKES)
    model, key, outer = made.children
    for widget in widgets.Widget.get_manager_state()["state"].values():
        if widget["model_name"] == "LinkModel":
            links.append((widget["state"]["source"], widget["state"]["target"]))
    plain, inner = outer.children
    joined = {
        (f"IPY_MODEL_{source.model_id}", f"IPY_MODEL_{target.model_id}")
        for source, target in ((model, outer), (key, inner))
    }
    found = {(source[0], target[0]): (source[1], target[1]) for source, target in links}
    assert {found[pair] for pair in joined} == {("index", "selected_index")}
    assert {"index"} <= set(model.keys) and {"selected_index"} <= set(outer.keys)
    assert (model.options, key.options) == (("plain", "with w"), ("C", "D"))
    assert (model.description, key.description) == ("model", "key")
    assert plain.value == "<p>a</p>"
    assert [child.value for child in inner.children] == ["<p>b</p>", "<p>c</p>"]
    assert (outer.selected_index, inner.selected_index) == (0, 0)


def test_one_row_of_buttons():
    buttons, stack = linked_takes(["w"], {"0": "a", "1": "b"}).children
    assert buttons.options == ("0", "1") and [page.value for page in stack.children] == ["a", "b"]


def test_without_stacks_the_takes_stand_in_a_column(monkeypatch):
    monkeypatch.delattr(widgets, "Stack")
    made = linked_takes(("model", "key"), TAKES)
    shown = [part.value for part in all_widgets(made) if isinstance(part, widgets.HTML)]
    assert [text for text in shown if "<p>" in text] == ["<p>a</p>", "<p>b</p>", "<p>c</p>"]
    assert [text for text in shown if "<strong>" in text] == [
        f"<strong>{name}</strong>" for name in ("plain", "with w", "C", "D")
    ]


@pytest.mark.parametrize(
    ("names", "takes"),
    [
        (["a"], {}),
        (["a"], TAKES),
        (["a", "b"], {"x": "<p>"}),
        (["a", "b"], {"x": {"1": "", "2": ""}, "y": {"2": "", "1": ""}}),
    ],
)
def test_takes_that_fit_no_buttons(names, takes):
    with pytest.raises(ValueError, match=r"\Atakes: [^\n]+\Z"):
        linked_takes(names, takes)


# The circle of fifths


def test_one_button_of_the_circle_is_pressed_at_a_time():
    circle = KeyCircle()
    circle.allow(CIRCLE_OF_FIFTHS)
    assert circle.key is None and circle.infer.value
    circle.buttons["D major"].value = True
    assert circle.key == "D major" and not circle.infer.value
    circle.buttons["E- major"].value = True
    assert circle.key == "E- major"
    assert sum(button.value for button in circle.buttons.values()) == 1
    circle.buttons["E- major"].value = False  # pressed again
    assert circle.key is None and circle.infer.value
    circle.infer.value = False
    assert circle.infer.value, "nothing else is pressed"


def test_the_buttons_stand_in_a_circle():
    places = {}
    for key, button in KeyCircle().buttons.items():
        row, column, height, width = re.findall(r"\d+", button.layout.grid_area)
        places[key] = int(row) + int(height) / 2, int(column) + int(width) / 2
    centre = np.array(places.pop(None))
    assert list(places) == list(CIRCLE_OF_FIFTHS)
    up, right = (np.array(list(places.values())) - centre).T * [[-1], [1]]
    np.testing.assert_allclose(np.hypot(up, right), 6, atol=1)
    angles = np.unwrap(np.arctan2(right, up))
    np.testing.assert_allclose(angles, np.arange(12) * np.pi / 6, atol=0.15)


def test_keys_that_a_model_lacks_cannot_be_pressed():
    circle = KeyCircle()
    circle.buttons["B major"].value = True
    circle.allow(["C major", "G major"])
    assert circle.key is None
    free = [key for key, button in circle.buttons.items() if not button.disabled]
    assert set(free) == {None, "C major", "G major"} and circle.note.value == ""
    assert circle.buttons["C major"].tooltip == "C major or A minor"
    circle.allow(["C major", "A minor"])
    assert circle.buttons["C major"].tooltip == "C major"
    assert "minor keys" in circle.note.value
    circle.allow(["Bach", "Ravel"])
    assert not circle.infer.disabled and circle.note.value == ""
    circle.allow([])
    assert all(button.disabled for button in circle.buttons.values())
    assert "no w" in circle.note.value


# The room


def test_each_control_has_a_name(room):
    unnamed = (widgets.Box, widgets.HTML, widgets.Label)
    controls = [w for w in all_widgets(room.widget) if not isinstance(w, unnamed)]
    assert len(controls) > 25
    assert [control for control in controls if not control.description] == []


def test_generate_shows_a_take_its_figures_and_the_key(room):
    room.circle.buttons["E- major"].value = True
    room.generate.click()
    assert said(room) == "CL-VAE: jsb-cl-vae, E♭ major, take 0: ready"
    shown = room.result.value
    assert shown.count("<audio") == 1 and shown.count("<img alt=") == 1
    assert "in E♭ major" in shown and "the piece itself" in shown
    for word in ("pitch-in-scale rate", "polyphony", "scale consistency", "A♭ major"):
        assert word in shown
    assert room.shown.roll.shape == (5, 88) and room.shown.key == "E- major"
    run, songs = room.loaded["jsb-cl-vae"]
    song = songs[room.piece.value]
    key = run.key_index("E- major")
    expected = run.model.generate(song.roll[None, :16], 5, key, seed=0)[0]
    np.testing.assert_array_equal(room.shown.roll, expected)


def test_the_take_and_the_temperature_count(room):
    rolls = []
    for number, temperature in ((0, 1.0), (1, 1.0), (0, 0.1), (0, 1.0)):
        room.number.value, room.temperature.value = number, temperature
        room.generate.click()
        rolls.append(room.shown.roll)
    assert np.array_equal(rolls[0], rolls[3])
    assert not np.array_equal(rolls[0], rolls[1]) and not np.array_equal(rolls[0], rolls[2])


def test_pieces_are_those_of_the_test_split_by_title(room):
    songs = [song for song in room.loaded["jsb-cl-vae"][0].corpus().test if len(song.roll) > 16]
    assert len(room.piece.options) == len(songs)
    assert (
        songs[2].title in room.piece.options[2][0] and songs[2].source in room.piece.options[2][0]
    )


@pytest.mark.parametrize("name", RUNS)
def test_another_model_is_opened_without_a_word(room, name):
    for other in (*(run for run in RUNS if run != name), name):
        room.model.value = other
        assert said(room) == ""


def test_a_plain_model_has_no_key(room):
    room.circle.buttons["D major"].value = True
    room.model.value = "jsb-vae"
    assert room.circle.key is None and "no w" in room.circle.note.value
    assert room.morph.disabled and room.redraw.disabled and room.turn.disabled
    room.piece.value = 3
    room.generate.click()
    assert said(room).endswith("ready") and room.shown.inferred == {}
    room.model.value = "jsb-cl-vae"
    assert not room.circle.buttons["D major"].disabled and not room.morph.disabled
    assert room.piece.value == 3, "the pieces are the same"


def test_buttons_are_off_and_say_so_while_it_generates(room, monkeypatch):
    seen = []

    def slow(*arguments, **options):
        seen.append((said(room), room.generate.disabled, room.morph.disabled))
        raise MemoryError("no room\nfor this")

    before = room.result.value
    monkeypatch.setattr("cvae.widgets.play", slow)
    room.generate.click()
    assert seen == [("generating ...", True, True)]
    assert said(room) == "no room for this"
    assert not room.generate.disabled and room.result.value == before


def test_save_numbers_files_and_links_to_them(room):
    room.generate.click()
    room.save.click()
    room.save.click()
    names = sorted(path.name for path in room.folder.iterdir())
    assert len(names) == 2 and names[0].endswith("-01.mid") and names[1].endswith("-02.mid")
    for name in names:
        np.testing.assert_array_equal(read_midi(room.folder / name), room.shown.roll)
    assert str(room.folder / names[1]) in room.saved.value
    link = re.search(r'download="(.*?)" href="data:audio/midi;base64,(.*?)"', room.saved.value)
    assert link.group(1) == names[1]
    assert base64.b64decode(link.group(2)) == (room.folder / names[1]).read_bytes()


def test_a_file_that_cannot_be_written_is_a_line(room, tmp_path):
    room.generate.click()
    room.folder = tmp_path / "file"
    room.folder.write_text("not a folder")
    room.save.click()
    assert said(room) == f"{room.folder}: is a file, not a folder"
    assert not room.save.disabled, "the take is still there"


def test_nothing_to_save_before_the_first_take():
    assert ListeningRoom(["jsb-vae"]).save.disabled


def test_a_model_that_is_missing_is_a_line():
    room = ListeningRoom(["jsb-vae", "lost"])
    assert "run: no 'lost'" in said(room)
    assert [name for _, name in room.model.options] == ["jsb-vae"]
    room = ListeningRoom(["lost"])
    room.generate.click()
    assert said(room) == "model: there is none that can be opened" and room.result.value == ""


def test_a_corpus_of_short_pieces_is_a_line(monkeypatch):
    monkeypatch.setattr("cvae.widgets.LEAD", 1000)
    assert (
        said(ListeningRoom(["jsb-vae"])) == "piece: none of the test split has more than 1000 steps"
    )


def test_a_corpus_that_is_missing_says_what_brings_it(monkeypatch, tmp_path):
    monkeypatch.setenv("CVAE_DATA_DIR", str(tmp_path))
    room = ListeningRoom(["jsb-vae", "piano-midi-vae"])
    assert room.corpus.options == ("jsb", "piano-midi") and said(room) == ""
    jsb = room.piece.options
    room.corpus.value = "piano-midi"
    assert "`cvae corpus fetch piano-midi`" in said(room)
    room.generate.click()
    assert "`cvae corpus fetch piano-midi`" in said(room) and room.result.value == ""
    room.corpus.value = "jsb"
    assert said(room) == "" and room.piece.options == jsb


@pytest.mark.parametrize("corpus", FILES)
def test_any_corpus_that_is_missing_is_fetched_by_its_own_name(corpus, monkeypatch, tmp_path):
    monkeypatch.setenv("CVAE_DATA_DIR", str(tmp_path))
    with pytest.raises(ValueError, match=re.escape(f"`cvae corpus fetch {corpus}`")):
        _check_is_here(corpus)


def test_the_room_is_closed_where_nobody_listens():
    notice = listening_room()
    assert notice.text == CLOSED and CLOSED in notice._repr_html_()


def test_the_room_is_open_where_a_kernel_listens(monkeypatch):
    monkeypatch.setattr("cvae.widgets.is_live", lambda: True)
    assert isinstance(listening_room(runs=["jsb-vae"]), widgets.VBox)


# Two latents


def test_a_morph_begins_at_one_key_and_ends_at_the_other(room):
    room.ends[0].value, room.ends[1].value = "C major", "E- major"
    run, songs = room.loaded["jsb-cl-vae"]
    seed = songs[room.piece.value].roll[None, :16]
    for share, key in ((0.0, "C major"), (1.0, "E- major")):
        room.w_share.value, room.z_share.value = share, 0.0
        room.morph.click()
        assert said(room).endswith("ready") and room.shown.key == key
        whole = run.model.generate(seed, 5, run.key_index(key), seed=room.number.value)[0]
        assert (whole != room.shown.roll).mean() < 0.01
    assert "notes in common" in room.compared.value


def test_hold_w_and_draw_z_again_then_hold_z_and_change_w(room):
    room.w_share.value, room.z_share.value, room.z_number.value = 0.0, 0.0, 1
    room.morph.click()
    drawn = [room.shown.roll]
    for number in (1, 2):
        room.redraw.click()
        assert (room.w_share.value, room.z_share.value, room.z_number.value) == (0, 1, number)
        drawn.append(room.shown.roll)
    assert len({roll.tobytes() for roll in drawn}) == 3
    room.turn.click()
    assert (room.w_share.value, room.z_share.value, room.z_number.value) == (1, 1, 2)
    assert not np.array_equal(room.shown.roll, drawn[2])
