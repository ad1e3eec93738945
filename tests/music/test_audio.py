import base64
import io
from html.parser import HTMLParser

import numpy as np
import pretty_midi
import pytest
import soundfile
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cvae.music.audio import (
    SAMPLE_RATE,
    TARGET_LOUDNESS,
    encode_mp3,
    loudness,
    player,
    render,
    write,
)
from cvae.music.midi import roll_to_midi


def chord(*pitches, steps=4):
    roll = np.zeros((steps, 88), dtype=bool)
    roll[:, np.array(pitches) - 21] = True
    return roll


def four_parts(steps, seed=0):
    """A roll of four voices that move in every step: as hard to compress as a chorale gets."""
    rng = np.random.default_rng(seed)
    roll = np.zeros((steps, 88), dtype=bool)
    for lowest in (43, 53, 60, 67):
        roll[np.arange(steps), lowest - 21 + rng.integers(0, 8, steps)] = True
    return roll


def decode(mp3):
    return soundfile.read(io.BytesIO(mp3))


def frequencies(samples):
    """Hz and amplitude of the spectrum of a sound."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 1 << 19))
    return np.fft.rfftfreq(1 << 19, 1 / SAMPLE_RATE), spectrum


@pytest.mark.parametrize("program", [0, 24, 48, 52, 73])
def test_the_a_above_middle_c_sounds_at_440_hz(program):
    hertz, spectrum = frequencies(render(chord(69), bpm=120, program=program))
    assert hertz[spectrum.argmax()] == pytest.approx(440, rel=0.01)  # 17 cents


def test_a_chord_sounds_its_pitch_classes():
    hertz, spectrum = frequencies(render(chord(58, 62, 65, 69), bpm=120))
    near = np.round(69 + 12 * np.log2(np.maximum(hertz, 1) / 440))
    heights = [spectrum[(near % 12 == c) & (near > 40)].max() for c in range(12)]
    assert set(np.argsort(heights)[-4:]) == {58 % 12, 62 % 12, 65 % 12, 69 % 12}


@pytest.mark.parametrize(("bpm", "steps"), [(60, 1), (90, 7), (113, 24), (480, 5)])
@pytest.mark.parametrize("rate", [8000, 22050, 44100])
def test_duration_is_the_music_and_one_second(bpm, steps, rate):
    samples = render(chord(60, steps=steps), bpm=bpm, sample_rate=rate)
    assert samples.dtype == np.float32
    assert len(samples) == round((steps * 60 / bpm + 1) * rate)


def test_silence_at_the_end_of_a_roll_is_kept():
    roll = chord(60, steps=8)
    roll[2:] = False
    assert len(render(roll, bpm=60)) == 9 * SAMPLE_RATE


def test_notes_sound_when_the_roll_says():
    roll = chord(60, 72, steps=6)
    roll[[0, 1, 3, 4, 5]] = False
    samples = render(roll, bpm=60, program=19)
    power = np.square(samples).reshape(-1, SAMPLE_RATE).mean(axis=1)
    assert power[2] > 0.005
    assert power[:2].max() < 1e-8
    assert power[4:].max() < 1e-6


def test_a_note_struck_again_is_loud_again():
    held, struck = (render(chord(60), bpm=60, restrike=choice) for choice in (False, True))

    def fall(samples):
        first, last = (np.mean(samples[int(t * SAMPLE_RATE) :][:4000] ** 2) for t in (0.0, 3.0))
        return 10 * np.log10(first / last)

    assert fall(held) > 20
    assert abs(fall(struck)) < 1


@settings(max_examples=20, deadline=None)
@example(seed=0, density=0.5, steps=4, bpm=90, program=0)
@example(seed=0, density=0.001, steps=40, bpm=200, program=115)  # wood block: all attack
@given(
    seed=st.integers(0, 2**32 - 1),
    density=st.sampled_from([0.003, 0.02, 0.08]),
    steps=st.integers(1, 8),
    bpm=st.integers(60, 240),
    program=st.sampled_from([0, 1, 4, 6, 11, 19, 24, 48, 52, 56, 73]),
)
def test_loudness_is_the_target_and_nothing_clips(seed, density, steps, bpm, program):
    roll = np.random.default_rng(seed).random((steps, 88)) < density
    roll[0, 39] = True
    samples = render(roll, bpm=bpm, program=program)
    assert np.abs(samples).max() < 0.7
    assert loudness(samples) == pytest.approx(TARGET_LOUDNESS, abs=0.1)
    decoded, rate = decode(encode_mp3(samples))
    assert rate == SAMPLE_RATE
    assert len(decoded) == len(samples)
    assert np.abs(decoded).max() < 1
    assert loudness(decoded) == pytest.approx(TARGET_LOUDNESS, abs=0.5)


@pytest.mark.parametrize("program", [0, 9, 13, 115])
def test_lone_short_notes_do_not_clip_either(program):
    for pitch in (81, 87, 105):
        decoded, _ = decode(encode_mp3(render(chord(pitch, steps=1), bpm=120, program=program)))
        assert np.abs(decoded).max() < 1


@pytest.mark.parametrize("steps", [0, 1, 8])
def test_silence_stays_silence(steps):
    samples = render(np.zeros((steps, 88), dtype=bool), bpm=60)
    assert len(samples) == (steps + 1) * SAMPLE_RATE
    assert not samples.any()
    decoded, _ = decode(encode_mp3(samples))
    assert np.abs(decoded).max() < 1e-4


def test_midi_music_sounds_as_its_roll_and_drums_do_not():
    roll = four_parts(4)
    midi = roll_to_midi(roll, bpm=100, program=19)
    drums = pretty_midi.Instrument(0, is_drum=True)
    drums.notes.append(pretty_midi.Note(100, 40, 0, 0.5))
    midi.instruments.append(drums)
    np.testing.assert_array_equal(render(midi), render(roll, bpm=100, program=19))


def test_rendering_twice_gives_the_same_sound():
    np.testing.assert_array_equal(render(four_parts(4)), render(four_parts(4)))


def test_loudness_of_known_sounds():
    time = np.arange(5 * SAMPLE_RATE) / SAMPLE_RATE
    sine = np.sin(2 * np.pi * 440 * time)
    assert loudness(sine) == pytest.approx(-3.01, abs=0.01)
    assert loudness(0.1 * sine) == pytest.approx(-23.01, abs=0.01)
    assert loudness(sine[:1000]) == pytest.approx(-3.01, abs=0.1)
    with_silence = np.concatenate([sine, np.zeros(20 * SAMPLE_RATE)])
    assert loudness(with_silence) == pytest.approx(-3.01, abs=0.3)
    with_quiet_part = np.concatenate([sine, 0.01 * sine, 0.01 * sine])
    assert loudness(with_quiet_part) == pytest.approx(-3.01, abs=0.3)
    assert loudness(np.zeros(SAMPLE_RATE)) == loudness(np.zeros(0)) == -np.inf


@pytest.mark.parametrize("program", [0, 19, 48, 52])
def test_sixteen_seconds_of_four_parts_are_small(program):
    clip = player(four_parts(24), "Four parts", bpm=90, program=program)
    assert clip.seconds == 17.0
    assert len(clip.mp3) < 100_000
    assert len(clip._repr_html_()) < 130_000


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def test_player_is_an_accessible_figure():
    title = 'A "chord" in C & <nothing> else'
    clip = player(chord(60, 64, 67), title, bpm=120)
    page = Tags(clip._repr_html_())
    assert [tag for tag, _ in page.found] == ["figure", "figcaption", "audio"]
    assert page.text == title
    audio = page.found[-1][1]
    assert audio["aria-label"] == title
    assert "controls" in audio
    assert audio["preload"] == "metadata"
    kind, data = audio["src"].split(",")
    assert kind == "data:audio/mpeg;base64"
    decoded, rate = decode(base64.b64decode(data))
    assert len(decoded) / rate == pytest.approx(clip.seconds, abs=0.1)


def test_player_as_plain_text_is_the_same_each_time():
    first, second = (repr(player(chord(60), "C", bpm=120)) for _ in range(2))
    assert first == second == "Player(title='C', seconds=3.0)"


@pytest.mark.parametrize(("suffix", "exact"), [(".wav", True), (".ogg", False), (".MP3", False)])
def test_written_files_hold_the_sound(tmp_path, suffix, exact):
    samples = render(four_parts(4))
    write(tmp_path / f"a{suffix}", samples)
    back, rate = soundfile.read(tmp_path / f"a{suffix}")
    assert rate == SAMPLE_RATE
    assert back.shape == samples.shape
    if exact:
        np.testing.assert_allclose(back, samples, atol=1 / 32768)
    else:
        assert np.corrcoef(back, samples)[0, 1] > 0.99


@pytest.mark.parametrize("suffix", [".mp3", ".ogg"])
def test_ten_minutes_can_be_written(tmp_path, suffix):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 600 * 8000).astype(np.float32)
    write(tmp_path / f"long{suffix}", noise, 8000)
    assert soundfile.info(tmp_path / f"long{suffix}").frames == len(noise)


def test_files_and_sounds_that_cannot_be_written(tmp_path):
    samples = render(chord(60), bpm=240)
    with pytest.raises(ValueError, match=r"path: .*a.flac does not end in .mp3, .ogg, .wav"):
        write(tmp_path / "a.flac", samples)
    with pytest.raises(ValueError, match="sample_rate: MP3 has no 12345 Hz"):
        encode_mp3(samples, 12345)
    with pytest.raises(ValueError, match="samples: the largest is 1.5"):
        encode_mp3(np.array([0.0, -1.5]))
    with pytest.raises(ValueError, match="samples: the largest is nan"):
        write(tmp_path / "a.wav", np.array([0.0, np.nan]))
    with pytest.raises(ValueError, match=r"samples: shape \(0,\)"):
        encode_mp3(np.zeros(0))
    with pytest.raises(ValueError, match=r"samples: shape \(2, 5\)"):
        write(tmp_path / "a.wav", np.zeros((2, 5)))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        write(tmp_path / "no" / "a.wav", samples)


@pytest.mark.parametrize("rate", [0, 7999, 96000])
def test_sample_rates_out_of_range(rate):
    with pytest.raises(ValueError, match=f"sample_rate: {rate} is outside 8000 to 48000"):
        render(chord(60), sample_rate=rate)


def test_instruments_out_of_range():
    with pytest.raises(ValueError, match="program: 128"):
        render(chord(60), program=128)
