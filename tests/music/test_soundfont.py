from pathlib import Path

import numpy as np
import pretty_midi
import pytest

from cvae.music.soundfont import RELEASE_SECONDS, SoundFont, general_midi

RATE = 22050


def strongest(sound, seconds=1.0):
    """Frequency in Hz of the highest peak of the spectrum."""
    part = sound[: int(seconds * RATE)]
    spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), 1 << 19))
    return np.fft.rfftfreq(1 << 19, 1 / RATE)[spectrum.argmax()]


def power(sound, start, seconds=0.1):
    part = sound[int(start * RATE) : int((start + seconds) * RATE)]
    return 10 * np.log10(np.mean(part**2) + 1e-20)


@pytest.mark.parametrize("pitch", range(21, 109, 3))
def test_every_piano_key_sounds_its_pitch(pitch):
    frequency = 440 * 2 ** ((pitch - 69) / 12)
    sound = general_midi().note(pitch, 1.0, 80, 0, RATE)
    harmonic = strongest(sound) / frequency
    assert round(harmonic) in range(1, 8)
    assert harmonic == pytest.approx(round(harmonic), rel=0.01)  # 17 cents


@pytest.mark.parametrize("program", [2, 4, 11, 24, 32, 40, 42, 48, 52, 60, 73, 79])
@pytest.mark.parametrize("pitch", [57, 69, 81])
def test_other_instruments_are_in_tune(program, pitch):
    sound = general_midi().note(pitch, 2.0, 80, program, RATE)
    harmonic = strongest(sound[RATE // 2 :]) / (440 * 2 ** ((pitch - 69) / 12))
    assert round(harmonic) in range(1, 5)
    assert harmonic == pytest.approx(round(harmonic), rel=0.012)


def damaged(name, data):
    """The SoundFont with the bytes of a chunk replaced."""
    font = Path(pretty_midi.__file__).with_name("TimGM6mb.sf2").read_bytes()
    at = font.index(b"pdta")
    at = font.index(name, at) + 8
    return font[:at] + data + font[at + len(data) :]


def test_a_damaged_soundfont_is_refused_in_one_line(tmp_path):
    path = tmp_path / "a.sf2"
    with pytest.raises(ValueError, match=r"\A\S*a\.sf2: no such file\Z"):
        SoundFont(path)
    path.write_bytes(damaged(b"shdr", b"")[:-7])
    with pytest.raises(ValueError, match=r"\A\S*a\.sf2: not a SoundFont[^\n]*\Z"):
        SoundFont(path)
    path.write_bytes(damaged(b"ibag", b"\xff" * 4000))  # zones that point beyond the end
    with pytest.raises(ValueError, match=r"\A\S*a\.sf2: a damaged SoundFont[^\n]*\Z"):
        SoundFont(path)


def test_all_instruments_play_all_keys():
    font = general_midi()
    for program in range(128):
        for pitch in (21, 60, 108):
            sound = font.note(pitch, 0.05, 80, program, 8000)
            assert np.isfinite(sound).all(), (program, pitch)
        assert font.note(60, 0.05, 80, program, 8000).any(), program


def test_length_and_release():
    sound = general_midi().note(69, 1.5, 80, 19, RATE)
    assert len(sound) == round((1.5 + RELEASE_SECONDS) * RATE)
    assert power(sound, 1.3) == pytest.approx(power(sound, 0.7), abs=1)  # an organ holds its notes
    assert power(sound, 1.9) < power(sound, 1.3) - 40
    assert power(sound, 2.4) < -90


def test_a_piano_note_decays_while_it_is_held():
    sound = general_midi().note(60, 3.0, 80, 0, RATE)
    levels = [power(sound, time) for time in (0.1, 1.0, 2.0, 2.8)]
    assert np.all(np.diff(levels) < -3)


def test_amplitude_goes_with_the_square_of_the_velocity():
    soft, loud = (general_midi().note(60, 0.2, v, 0, RATE) for v in (50, 100))
    np.testing.assert_allclose(4 * soft, loud)


def test_the_rate_does_not_change_the_sound():
    low = general_midi().note(60, 0.5, 80, 0, RATE)
    high = general_midi().note(60, 0.5, 80, 0, 2 * RATE)[::2]
    assert np.corrcoef(low, high)[0, 1] > 0.999


def test_the_low_pass_filter_dulls_the_piano():
    font = general_midi()
    (zone,) = [z for z in font.zones(0) if z[43] & 255 <= 60 <= z[43] >> 8]
    time = np.arange(RATE) / RATE
    dull = font._play(zone, 60, time, RATE)
    bright = font._play(zone | {8: 13500}, 60, time, RATE)
    ratio = np.abs(np.fft.rfft(dull)) / np.abs(np.fft.rfft(bright))
    cutoff = 8.176 * 2 ** ((zone[8] + zone[11]) / 1200)
    assert np.median(ratio[100 : int(cutoff / 4)]) == pytest.approx(1, abs=0.1)
    at_twice = ratio[int(2 * cutoff) - 50 : int(2 * cutoff) + 50]
    assert 20 * np.log10(np.median(at_twice)) == pytest.approx(-12, abs=2)  # 12 dB an octave


def test_what_is_no_soundfont_is_refused(tmp_path):
    path = tmp_path / "a.sf2"
    path.write_bytes(b"RIFF\x04\x00\x00\x00WAVE")
    with pytest.raises(ValueError, match="a.sf2: not a SoundFont"):
        SoundFont(path)


def test_an_unknown_instrument_is_refused():
    with pytest.raises(ValueError, match="no instrument 128"):
        general_midi().note(60, 1.0, 80, 128, RATE)
