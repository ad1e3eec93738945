import struct

import mido
import numpy as np
import pretty_midi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cvae.music.midi import (
    END_OF_ROLL,
    held_notes,
    read_midi,
    read_midi_score,
    roll_to_midi,
    write_midi,
)


@st.composite
def rolls(draw):
    """Any roll of up to 24 steps: sparse, dense, silent in part or whole, or without steps."""
    steps = draw(st.integers(0, 24))
    density = draw(st.sampled_from([0.0, 0.01, 0.1, 0.6, 1.0]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    roll = rng.random((steps, 88)) < density
    roll[:, draw(hnp.arrays(bool, 88))] = False
    first, last = sorted((draw(st.integers(0, steps)), draw(st.integers(0, steps))))
    roll[:first] = False
    roll[last:] = False
    return roll


settings_of_a_roll = {
    "bpm": st.one_of(st.integers(4, 1000), st.floats(4, 1000)),
    "program": st.integers(0, 127),
    "restrike": st.booleans(),
    "step": st.sampled_from([0.25, 0.5, 1.0, 1.5]),
}


def chord(*pitches, steps=4):
    roll = np.zeros((steps, 88), dtype=bool)
    roll[:, np.array(pitches) - 21] = True
    return roll


def midi_of(*notes, is_drum=False, resolution=220):
    """PrettyMIDI at 60 quarter notes a minute of (pitch, start, end), so seconds are steps."""
    midi = pretty_midi.PrettyMIDI(initial_tempo=60, resolution=resolution)
    instrument = pretty_midi.Instrument(0, is_drum)
    instrument.notes = [pretty_midi.Note(80, *note) for note in notes]
    midi.instruments.append(instrument)
    return midi


@settings(max_examples=150, deadline=None)
@given(roll=rolls(), **settings_of_a_roll)
def test_round_trip_is_exact(tmp_path_factory, roll, bpm, program, restrike, step):
    if not len(roll):
        return
    path = tmp_path_factory.mktemp("midi") / "roll.mid"
    write_midi(roll, path, bpm, program, restrike, step)
    back = read_midi(path, step)
    assert back.dtype == bool
    np.testing.assert_array_equal(back, roll)


@pytest.mark.parametrize("restrike", [False, True])
def test_round_trip_of_a_long_roll(tmp_path, restrike):
    roll = np.random.default_rng(1).random((2000, 88)) < 0.05
    roll[-3:] = False
    write_midi(roll, tmp_path / "long.mid", bpm=93.7, restrike=restrike)
    np.testing.assert_array_equal(read_midi(tmp_path / "long.mid"), roll)


def test_held_notes_are_the_runs_of_the_roll():
    roll = np.zeros((5, 88), dtype=bool)
    roll[[0, 1, 3], 39] = True
    roll[1:, 43] = True
    roll[1, 0] = True
    assert held_notes(roll) == [(60, 0, 2), (21, 1, 2), (64, 1, 5), (60, 3, 4)]


def test_held_or_struck_again():
    roll = chord(60, 64, steps=3)
    held = roll_to_midi(roll, bpm=60).instruments[0].notes
    assert [(n.pitch, n.start, n.end) for n in held] == [(60, 0, 3), (64, 0, 3)]
    struck = roll_to_midi(roll, bpm=60, restrike=True).instruments[0].notes
    assert sorted((n.pitch, n.start, n.end) for n in struck) == [
        (pitch, step, step + 1) for pitch in (60, 64) for step in range(3)
    ]


def test_tempo_and_instrument_are_in_the_file(tmp_path):
    write_midi(chord(60), tmp_path / "a.mid", bpm=72, program=19)
    midi = pretty_midi.PrettyMIDI(str(tmp_path / "a.mid"))
    assert midi.get_tempo_changes()[1] == pytest.approx([72], rel=1e-5)
    assert [i.program for i in midi.instruments] == [19]
    assert midi.get_end_time() == pytest.approx(4 * 60 / 72, rel=1e-5)


def test_only_a_roll_that_ends_in_silence_is_marked():
    roll = chord(60)
    assert roll_to_midi(roll).text_events == []
    roll[-2:] = False
    (mark,) = roll_to_midi(roll, bpm=60).text_events
    assert (mark.text, mark.time) == (END_OF_ROLL, 4)


def test_beats_are_followed_through_a_change_of_tempo(tmp_path):
    file = mido.MidiFile(ticks_per_beat=480)
    file.tracks.append(
        mido.MidiTrack(
            [
                mido.MetaMessage("set_tempo", tempo=500_000, time=0),
                mido.Message("note_on", note=60, velocity=64, time=0),
                mido.Message("note_off", note=60, time=480),
                mido.MetaMessage("set_tempo", tempo=1_234_567, time=0),
                mido.Message("note_on", note=62, velocity=64, time=0),
                mido.Message("note_off", note=62, time=2 * 480),
            ]
        )
    )
    file.save(tmp_path / "tempo.mid")
    expected = np.zeros((3, 88), dtype=bool)
    expected[0, 60 - 21] = expected[1:, 62 - 21] = True
    np.testing.assert_array_equal(read_midi(tmp_path / "tempo.mid"), expected)


@pytest.mark.parametrize(
    ("start", "end", "steps"),
    [
        (0.5, 1.5, [0, 1]),  # a step holds what sounds in a part of it
        (0.96, 2.04, [1]),  # played a little early and held a little long
        (0.9, 2.1, [0, 1, 2]),
        (1.25, 1.3, [1]),  # short notes are not lost
        (0.97, 0.99, [1]),
        (1.5, 1.5, [1]),  # nor notes without length
    ],
)
def test_steps_of_notes_off_the_grid(tmp_path, start, end, steps):
    at = round(480 * start)
    on = mido.Message("note_on", note=60, velocity=64, time=at)
    off = mido.Message("note_off", note=60, time=round(480 * end) - at)
    roll = read_midi(save(tmp_path, on, off, ticks_per_beat=480))
    assert np.flatnonzero(roll[:, 60 - 21]).tolist() == steps


def test_drums_are_left_out(tmp_path):
    midi = midi_of((60, 0, 1))
    midi.instruments.append(midi_of((35, 0, 8), is_drum=True).instruments[0])
    midi.write(str(tmp_path / "drums.mid"))
    np.testing.assert_array_equal(read_midi(tmp_path / "drums.mid"), chord(60, steps=1))


def test_the_pedal_is_ignored_or_holds_notes_until_it_rises(tmp_path):
    path = save(
        tmp_path,
        mido.Message("control_change", control=64, value=127),
        mido.Message("note_on", note=60, velocity=64),
        mido.Message("note_off", note=60, time=480),
        mido.Message("control_change", control=64, value=30, time=960),
        mido.Message("note_on", note=62, velocity=64),
        mido.Message("note_off", note=62, time=480),
        mido.Message("control_change", control=64, value=127),
        mido.Message("note_on", note=64, velocity=64, time=480),
        mido.Message("note_off", note=64, time=480),
    )
    without, held = read_midi(path), read_midi(path, pedal=True)
    assert [np.flatnonzero(without[:, n - 21]).tolist() for n in (60, 62, 64)] == [[0], [3], [5]]
    # The note of the third quarter ends as the pedal goes down again, and is held to the end.
    assert [np.flatnonzero(held[:, n - 21]).tolist() for n in (60, 62, 64)] == [
        [0, 1, 2],
        [3, 4, 5],
        [5],
    ]


def test_a_pedal_that_rises_after_the_last_note(tmp_path):
    path = save(
        tmp_path,
        mido.Message("control_change", control=64, value=127),
        *(
            mido.Message("note_on", note=60, velocity=64),
            mido.Message("note_off", note=60, time=480),
        ),
        *(
            mido.Message("note_on", note=62, velocity=64),
            mido.Message("note_off", note=62, time=480),
        ),
        mido.Message("control_change", control=64, value=0, time=6 * 480),
    )
    held = read_midi(path, pedal=True)
    assert held.shape == (8, 88)
    assert held[:, 60 - 21].all() and held[1:, 62 - 21].all()
    assert read_midi(path).shape == (2, 88)


def test_the_signature_that_holds_longest(tmp_path):
    path = save(
        tmp_path,
        mido.MetaMessage("key_signature", key="Cm"),
        mido.Message("note_on", note=60, velocity=64),
        mido.Message("note_off", note=60, time=480),
        mido.MetaMessage("key_signature", key="F#m"),
        mido.Message("note_on", note=61, velocity=64),
        mido.Message("note_off", note=61, time=960),
    )
    assert read_midi_score(path).signature == "A major"


def test_the_bar_of_the_time_signature_that_holds_longest(tmp_path):
    notes = [
        mido.Message("note_on", note=60, velocity=64),
        mido.Message("note_off", note=60, time=960),
    ]
    assert read_midi_score(save(tmp_path, *notes)).bar == 4.0
    six_eighths = mido.MetaMessage("time_signature", numerator=6, denominator=8)
    two_halves = mido.MetaMessage("time_signature", numerator=2, denominator=2, time=100)
    assert read_midi_score(save(tmp_path, two_halves, six_eighths, *notes)).bar == 3.0


@pytest.mark.parametrize("pitch", [0, 20, 109, 127])
def test_notes_off_the_piano_are_an_error(tmp_path, pitch):
    path = tmp_path / "high.mid"
    midi_of((60, 0, 1), (pitch, 1, 2)).write(str(path))
    message = f"high.mid: 1 of 2 notes outside 21 to 108, the first is {pitch}"
    with pytest.raises(ValueError, match=message):
        read_midi(path)


def contents_of_a_file(tmp_path):
    path = tmp_path / "good.mid"
    roll = chord(60, 64, 67, steps=2)
    roll[-1] = False
    write_midi(roll, path)
    return path.read_bytes()


def refuse(path, message):
    with pytest.raises(ValueError, match=message) as error:
        read_midi(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_every_truncation_of_a_file_is_refused(tmp_path):
    data = contents_of_a_file(tmp_path)
    path = tmp_path / "cut.mid"
    for size in range(1, len(data)):
        path.write_bytes(data[:size])
        refuse(path, "not a MIDI file that can be read")


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_damaged_file_is_read_or_refused_in_one_line(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("damaged")
    content = bytearray(contents_of_a_file(folder))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(14, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    path = folder / "damaged.mid"
    path.write_bytes(content)
    try:
        roll = read_midi(path)
    except ValueError as error:
        assert str(error).startswith(str(path))
        assert "\n" not in str(error)
    else:
        assert roll.shape[1:] == (88,)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\x00" * 100, "not a MIDI file that can be read"),
        (b"<html><body>404</body></html>", "not a MIDI file that can be read"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt " + b"\x00" * 32, "not a MIDI file that can be read"),
        (b"MThd" + struct.pack(">LHHH", 6, 1, 0, 220), "no notes"),
        (b"MThd" + struct.pack(">LHHh", 6, 1, 0, -6240), "not a MIDI file that can be read"),
    ],
)
def test_foreign_files_are_refused(tmp_path, content, message):
    path = tmp_path / "foreign.mid"
    path.write_bytes(content)
    refuse(path, message)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    refuse(tmp_path / "none.mid", "no such file")
    refuse(tmp_path, "not a file")


def save(tmp_path, *messages, **header):
    path = tmp_path / "made.mid"
    file = mido.MidiFile(**header)
    file.tracks.append(mido.MidiTrack(messages))
    file.save(path)
    return path


def test_a_file_with_no_notes_but_drums_is_refused(tmp_path):
    refuse(save(tmp_path, mido.MetaMessage("track_name", name="silence")), "no notes")
    drum = mido.Message("note_on", channel=9, note=40, velocity=9, time=0)
    refuse(save(tmp_path, drum, drum.copy(velocity=0, time=9)), "no notes")


def test_notes_that_would_be_lost_are_an_error(tmp_path):
    on = mido.Message("note_on", note=60, velocity=64, time=0)
    off = mido.Message("note_off", note=60, time=480)
    refuse(save(tmp_path, on, off, on), "1 of 2 notes have no end")


def test_absurd_files_are_refused(tmp_path, monkeypatch):
    on = mido.Message("note_on", note=60, velocity=64, time=0)
    off = mido.Message("note_off", note=60, time=10**6)
    refuse(save(tmp_path, on, off, ticks_per_beat=1), "1000000 steps are more than the limit")
    monkeypatch.setattr("cvae.music.midi.MAX_BYTES", 20)
    refuse(save(tmp_path, on, off), "more than the limit of 20")


def test_a_time_beyond_all_numbers_is_refused(tmp_path):
    path = save(tmp_path, *[mido.Message(f"note_{way}", note=60, time=9) for way in ("on", "off")])
    data = path.read_bytes().replace(b"\x09\x80", b"\xff" * 12 + b"\x7f\x80")
    path.write_bytes(data.replace(data[18:22], (len(data) - 22).to_bytes(4), 1))
    refuse(path, "more than the limit|not a MIDI file")


def test_files_without_one_line_of_beats_are_refused(tmp_path):
    on = mido.Message("note_on", note=60, velocity=64, time=0)
    off = mido.Message("note_off", note=60, time=480)
    refuse(save(tmp_path, on, off, type=2), "type 2")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bpm": 0}, "bpm: 0 is outside 4 to 1000"),
        ({"bpm": -90}, "bpm: -90 is outside"),
        ({"bpm": float("nan")}, "bpm: nan is outside"),
        ({"program": 128}, "program: 128 is not"),
        ({"program": -1}, "program: -1 is not"),
    ],
)
def test_tempo_and_instrument_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        roll_to_midi(chord(60), **options)


def test_a_roll_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="roll: shape"):
        roll_to_midi(np.zeros((4, 128), dtype=bool))
    with pytest.raises(ValueError, match="bpm: 0 is outside"):
        roll_to_midi(chord(60), bpm=0)
