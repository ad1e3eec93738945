"""Takes: what is seen, heard and saved is the roll."""

import io
import re
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from PIL import Image

from cvae.music.midi import read_midi
from cvae.music.statistics import pitch_in_scale_rate, polyphony
from cvae.runs import Run
from cvae.takes import LEAD, Take, bars, play, table


@pytest.fixture(scope="module")
def take():
    rng = np.random.default_rng(0)
    roll = np.pad(rng.random((16, 40)) < 0.1, [(0, 0), (24, 24)])
    return Take('VAE+LSTM <1>, "E♭"', roll, "E- major", 1.0, {"C major": 0.2, "E- major": 0.8})


def test_figures_are_those_of_the_roll(take):
    assert take.figures["pitch-in-scale rate"] == pitch_in_scale_rate(take.roll, "E- major")
    assert take.figures["polyphony"] == polyphony(take.roll)
    assert take.heard == ("E- major", 0.8)
    assert Take("t", take.roll, "C major").heard is None


def test_the_picture_is_small_and_shows_both_colours(take):
    png = take.picture()
    assert len(png) < 15_000 and png == take.picture()
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).reshape(-1, 3).astype(int)
    shares = {
        name: (np.abs(pixels - colour).max(axis=1) < 12).mean()
        for name, colour in {"blue": (0, 114, 178), "vermilion": (213, 94, 0)}.items()
    }
    assert min(shares.values()) > 0.004


def test_a_picture_is_no_figure_that_a_notebook_would_show(take):
    from matplotlib import pyplot as plt

    take.picture()
    assert plt.get_fignums() == []


def test_the_sound_is_short_and_mono(take):
    player = take.sound()
    sound = soundfile.info(io.BytesIO(player.mp3))
    assert (sound.channels, sound.samplerate) == (1, 12000)
    assert player.seconds == 8.3 and len(player.mp3) < 40_000


def test_html_tells_what_is_to_be_heard(take):
    page = take.html("Listen for <the bass>.")
    (alt,) = re.findall(r'<img alt="([^"]*)"', page)
    assert alt.startswith("Piano roll of 16 steps") and "E♭ major" in alt
    assert re.findall(r'<audio controls [^>]*aria-label="([^"]*)"', page) == [
        "VAE+LSTM &lt;1&gt;, &quot;E♭&quot;"
    ]
    assert "Listen for &lt;the bass&gt;." in page
    assert "the classifier hears E♭ major (0.80)" in page
    assert not re.search(r"https?:", page)
    assert "classifier" not in Take("t", take.roll, "C major").html()


def test_saved_files_read_back_and_are_never_replaced(take, tmp_path):
    paths = [take.save(tmp_path / "a" / "b") for _ in range(3)]
    assert [path.name for path in paths] == [f"VAE-LSTM-1-E-0{n}.mid" for n in (1, 2, 3)]
    for path in paths:
        np.testing.assert_array_equal(read_midi(path), take.roll)


def test_a_folder_that_is_a_file_or_closed(take, tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.touch()
    for folder in (file, file / "below"):
        with pytest.raises(ValueError, match=r"\A[^\n]*file[^\n]*\Z"):
            take.save(folder)
    monkeypatch.setattr("pathlib.Path.open", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(ValueError, match=r"\A[^\n]*cannot be written: full\Z"):
        take.save(tmp_path)


@pytest.fixture(scope="module")
def run(tiny_corpus, tmp_path_factory):
    return Run.plan(tmp_path_factory.mktemp("run"), "cl-vae", tiny_corpus, hidden_dim=4)


def test_play_goes_on_after_the_lead(run, tiny_corpus, eagerly):
    roll = np.tile(tiny_corpus.test[0].roll, (4, 1))
    song = SimpleNamespace(roll=roll, key="C major", title="a song")
    take = play(run, song, 3, "a take", "E major", seed=2)
    expected = run.model.generate(roll[None, :LEAD], 3, 1, seed=2)[0]
    np.testing.assert_array_equal(take.roll, expected)
    assert (take.title, take.key, take.step) == ("a take", "E major", 1.0)
    assert list(take.inferred) == list(tiny_corpus.keys)
    assert sum(take.inferred.values()) == pytest.approx(1, abs=1e-5)
    assert play(run, song, 3, "a take").key == "C major"
    assert play(run, song, 3, "a take", "E major", "A- major").key == "A- major"


def test_figures_and_probabilities_as_tables(take):
    page = table(take, Take("the other", take.roll, "C major"))
    assert "&lt;1&gt;" in page and "the other" in page
    assert f"<td>{take.figures['polyphony']:.2f}</td>" * 2 in page
    page = bars(take.inferred)
    assert page.index("E♭ major") < page.index("C major") and "0.80" in page
    assert bars({}) == ""


def test_a_silent_take_has_a_picture_and_a_sound_but_no_figures():
    silent = Take("a rest", np.zeros((4, 88), bool), "C major")
    assert "nan" not in silent.html() + table(silent)
    assert "no notes" in silent.html()
    assert silent.sound().seconds > 0


@pytest.mark.parametrize(
    ("song", "steps", "options", "named"),
    [
        (LEAD - 1, 3, {}, "song"),
        (LEAD, 0, {}, "steps"),
        (LEAD, 3, {"key": "D major"}, "key"),
        (LEAD, 3, {"temperature": 0}, "temperature"),
    ],
)
def test_play_names_a_bad_argument(run, song, steps, options, named):
    song = SimpleNamespace(roll=np.zeros((song, 88), bool), key="C major", title="a song")
    with pytest.raises(ValueError, match=rf"\A{named}: [^\n]+\Z"):
        play(run, song, steps, "a take", **options)
