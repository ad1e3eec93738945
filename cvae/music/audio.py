"""Piano rolls as sound: rendered, brought to one loudness, compressed, played in a page.

Every clip is brought to the same loudness, so that two can be compared by ear. Loudness here is the
mean power of the parts that sound, in decibels below full scale (dBFS), gated as in ITU-R
BS.1770-5 but without that standard's weighting of frequencies. Sound is mono, in -1 to 1.
"""

import base64
import html
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pretty_midi
import soundfile

from cvae.music.midi import roll_to_midi
from cvae.music.soundfont import RELEASE_SECONDS, general_midi
from cvae.paths import write_atomically

__all__ = ["Player", "encode_mp3", "loudness", "player", "render", "write"]

SAMPLE_RATE = 22050
"""Hz. Instruments of the SoundFont have little above half of it, and clips stay small."""

TARGET_LOUDNESS = -23.0
"""dBFS; four voices on the piano then peak near -8 dBFS, and few sounds must be rounded off."""

MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)

_FORMATS = {
    # Variable bit rate; 0.6 is past the middle of the encoder's scale from large to small.
    ".mp3": {"format": "MP3", "bitrate_mode": "VARIABLE", "compression_level": 0.6},
    ".ogg": {"format": "OGG", "subtype": "VORBIS"},
    ".wav": {"format": "WAV", "subtype": "PCM_16"},
}
_KNEE, _CEILING = 0.5, 0.7  # peaks above the knee are rounded off; none reaches the ceiling


def render(
    music: np.ndarray | pretty_midi.PrettyMIDI,
    bpm: float = 90,
    program: int = 0,
    restrike: bool = False,
    step: float = 1.0,
    sample_rate: int = SAMPLE_RATE,
) -> np.ndarray:
    """Sound of a roll, or of MIDI music, at `TARGET_LOUDNESS`.

    Parameters
    ----------
    music : array, shape (T, 88), or pretty_midi.PrettyMIDI
        MIDI music has its own tempo and instruments; its drums, pedals and bends are not played.
    bpm, program, restrike, step
        For a roll, as in `cvae.music.midi.roll_to_midi`.
    sample_rate : int
        In Hz, 8000 to 48000.

    Returns
    -------
    ndarray of float32, shape (n,)
        The music, then one second in which the last notes fade: n is
        ``(T * step * 60 / bpm + 1) * sample_rate``. No sample reaches 0.7, so that none clips once
        it is an MP3 either. Silence stays silence.

    Raises
    ------
    ValueError
        As `roll_to_midi`, or for a sample rate out of range.
    """
    if not 8000 <= sample_rate <= 48000:
        raise ValueError(f"sample_rate: {sample_rate} is outside 8000 to 48000 Hz")
    if not isinstance(music, pretty_midi.PrettyMIDI):
        music = roll_to_midi(music, bpm, program, restrike, step)
    size = round((music.get_end_time() + RELEASE_SECONDS) * sample_rate)
    # At twice the rate, so that what the shift of pitch folds back from above is cut off below.
    double = _mix(music, 2 * size, 2 * sample_rate)
    samples = np.fft.irfft(np.fft.rfft(double)[: size // 2 + 1], size) / 2
    fade = round(RELEASE_SECONDS * sample_rate)
    samples[size - fade :] *= np.linspace(1, 0, fade)
    return _at_target(samples, sample_rate).astype(np.float32)


def loudness(samples: np.ndarray, sample_rate: int = SAMPLE_RATE) -> float:
    """Loudness of a sound: mean power of the blocks of 0.4 s that are not quiet.

    Parameters
    ----------
    samples : array, shape (n,)
        In -1 to 1.
    sample_rate : int
        In Hz.

    Returns
    -------
    float
        In dBFS; a full-scale sine has -3, silence minus infinity. Blocks below -70 dBFS, and then
        those 10 dB or more below the mean of the rest, do not count.

    References
    ----------
    Recommendation ITU-R BS.1770-5, 2023, annex 1: the blocks and the two gates, equations 4 to 7.
    """
    samples = np.asarray(samples, dtype=np.float64)
    block = min(round(0.4 * sample_rate), len(samples))
    if block == 0:
        return -np.inf
    energy = np.concatenate([[0.0], np.cumsum(samples**2)])
    starts = np.arange(0, len(samples) - block + 1, max(block // 4, 1))
    power = (energy[starts + block] - energy[starts]) / block
    power = power[power > 10**-7.0]
    if power.size == 0:
        return -np.inf
    return float(10 * np.log10(power[power > power.mean() / 10].mean()))


def encode_mp3(samples: np.ndarray, sample_rate: int = SAMPLE_RATE) -> bytes:
    """Mono MP3 of variable bit rate, about 5 kB a second at 22,050 Hz.

    Parameters
    ----------
    samples : array, shape (n,)
        In -1 to 1.
    sample_rate : int
        One of `MP3_RATES`, in Hz.

    Returns
    -------
    bytes

    Raises
    ------
    ValueError
        For samples that are no sound in -1 to 1, or a rate that MP3 does not have.
    """
    _check(samples, sample_rate, ".mp3")
    file = io.BytesIO()
    _encode(file, samples, sample_rate, ".mp3")
    return file.getvalue()


def write(path: str | Path, samples: np.ndarray, sample_rate: int = SAMPLE_RATE) -> None:
    """Write a sound file; the name's ending says which kind: .mp3, .ogg or .wav (16 bits).

    Parameters
    ----------
    path : path
    samples : array, shape (n,)
        In -1 to 1.
    sample_rate : int
        In Hz.

    Raises
    ------
    ValueError
        For another ending, or as `encode_mp3`.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _FORMATS:
        raise ValueError(f"path: {path} does not end in {', '.join(_FORMATS)}")
    _check(samples, sample_rate, suffix)
    sound = io.BytesIO()  # written at once, since libsndfile does not bear a full disk
    _encode(sound, samples, sample_rate, suffix)
    write_atomically(path, sound.getvalue())


@dataclass(frozen=True)
class Player:
    """A sound that a notebook shows as an audio player, carried inside the page."""

    title: str
    seconds: float
    mp3: bytes = field(repr=False)

    def _repr_html_(self) -> str:
        title = html.escape(self.title)
        data = base64.b64encode(self.mp3).decode("ascii")
        return (
            f"<figure><figcaption>{title}</figcaption>"
            f'<audio controls preload="metadata" aria-label="{title}" style="width: 100%" '
            f'src="data:audio/mpeg;base64,{data}"></audio></figure>'
        )


def player(
    roll: np.ndarray,
    title: str,
    bpm: float = 90,
    program: int = 0,
    restrike: bool = False,
    step: float = 1.0,
) -> Player:
    """Audio player for a roll, with its title as caption.

    Parameters
    ----------
    roll : array, shape (T, 88)
    title : str
        Plain text.
    bpm, program, restrike, step
        As in `cvae.music.midi.roll_to_midi`.

    Returns
    -------
    Player
    """
    samples = render(roll, bpm, program, restrike, step)
    return Player(title, round(len(samples) / SAMPLE_RATE, 1), encode_mp3(samples))


def _mix(midi: pretty_midi.PrettyMIDI, size: int, sample_rate: int) -> np.ndarray:
    """All notes of all instruments but drums, added up, (size,)."""
    font = general_midi()
    mix = np.zeros(size)
    played: dict[tuple, np.ndarray] = {}  # the same note comes back many times in a piece
    for instrument in midi.instruments:
        if instrument.is_drum:
            continue
        for note in instrument.notes:
            seconds = round(note.end - note.start, 6)
            sound = (note.pitch, seconds, note.velocity, instrument.program)
            if sound not in played:
                played[sound] = font.note(*sound, sample_rate)
            start = round(note.start * sample_rate)
            part = mix[start : start + len(played[sound])]
            part += played[sound][: len(part)]
    return mix


def _at_target(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """Bring the sound to `TARGET_LOUDNESS`, peaks rounded off; leave silence as it is."""
    if not samples.any():
        return samples
    gain = 1.0 / np.abs(samples).max()
    for _ in range(8):  # rounding off takes some loudness, which the next round gives back
        limited = _round_off(gain * samples)
        gain *= 10 ** ((TARGET_LOUDNESS - loudness(limited, sample_rate)) / 20)
    return _round_off(gain * samples)


def _round_off(samples: np.ndarray) -> np.ndarray:
    """Leave samples up to the knee, bend larger ones towards the ceiling."""
    size = np.abs(samples)
    room = _CEILING - _KNEE
    bent = _KNEE + room * np.tanh((size - _KNEE) / room)
    return np.where(size > _KNEE, np.sign(samples) * bent, samples)


def _encode(file: BinaryIO, samples: np.ndarray, sample_rate: int, suffix: str) -> None:
    """Write the sound piece by piece: libsndfile crashes on minutes of Ogg Vorbis at once."""
    samples = np.asarray(samples)
    with soundfile.SoundFile(file, "w", sample_rate, channels=1, **_FORMATS[suffix]) as sink:
        for start in range(0, len(samples), 1 << 16):
            sink.write(samples[start : start + (1 << 16)])


def _check(samples: np.ndarray, sample_rate: int, suffix: str) -> None:
    """ValueError for what cannot be written as this kind of file."""
    samples = np.asarray(samples)
    if samples.ndim != 1 or samples.size == 0:
        raise ValueError(f"samples: shape {samples.shape} is not (n,) with n of at least 1")
    peak = np.abs(samples).max()
    if not peak <= 1:  # NaN too
        raise ValueError(f"samples: the largest is {peak:.3g}, outside -1 to 1")
    if suffix == ".mp3" and sample_rate not in MP3_RATES:
        raise ValueError(f"sample_rate: MP3 has no {sample_rate} Hz, but {MP3_RATES}")
