"""One's own music: read, skipped, cached, split."""

import os
from concurrent.futures import ThreadPoolExecutor

import mido
import numpy as np
import pytest

from cvae.music import files, load_corpus
from cvae.music.files import Reading, hash_split, read_folder, read_song, read_songs
from cvae.music.midi import write_midi
from cvae.music.song import SPLITS
from cvae.paths import parsed_folder


@pytest.fixture(autouse=True)
def empty_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def triads(root, steps=12):
    roll = np.zeros((steps, 88), bool)
    roll[:, np.array([0, 4, 7]) + root - 21] = True
    roll[steps // 2 :, root - 12 - 21] = True
    return roll


@pytest.fixture
def folder(tmp_path):
    """Twelve pieces of eighths, one of them in a folder within, and three files that are none."""
    place = tmp_path / "music"
    (place / "more").mkdir(parents=True)
    for i in range(12):
        write_midi(triads(60 + i), place / ("more" if i == 11 else "") / f"piece {i}.MID", step=0.5)
    (place / "broken.mid").write_bytes(b"MThd no")
    (place / "empty.xml").write_bytes(b"")
    (place / "notes.txt").write_text("not music")
    return place


def songs_of(corpus):
    return {song.source: song for split in SPLITS for song in corpus.split(split)}


def test_a_folder_is_a_corpus(folder):
    corpus = load_corpus(folder)
    songs = songs_of(corpus)
    assert len(songs) == 12 and "more/piece 11.MID" in songs
    assert corpus.name == str(folder) and corpus.step == 0.5
    for i in range(11):
        song = songs[f"piece {i}.MID"]
        np.testing.assert_array_equal(song.roll, triads(60 + i))
        assert song.title == f"piece {i}"
        assert song.key in corpus.keys, "by analysis: the files have no signature"
    names = [line.split(":")[0] for line in corpus.skipped]
    assert names == ["broken.mid", "empty.xml"]
    assert "the file is empty" in corpus.skipped[1]


def test_options_of_reading(folder):
    corpus = load_corpus(folder, step=1.0, pedal=True, key_from="analysis")
    assert corpus.reading == {"step": 1.0, "pedal": True, "key_from": "analysis"}
    assert {len(song.roll) for song in songs_of(corpus).values()} == {6}
    for bad, message in (
        ({"step": 0}, "step: got 0, must be from 0.0625 to 4"),
        ({"key_from": "ear"}, "key_from: 'ear' is unknown; choose from signature, analysis"),
    ):
        with pytest.raises(ValueError, match=message):
            load_corpus(folder, **bad)
    with pytest.raises(ValueError, match="step: got 1.0, is for music read from MIDI"):
        load_corpus("jsb", step=1.0)


def test_key_of_signature_or_analysis(tmp_path):
    """Notes of C major under four sharps."""
    write_midi(triads(60), tmp_path / "c.mid")
    file = mido.MidiFile(tmp_path / "c.mid")
    file.tracks[0].insert(0, mido.MetaMessage("key_signature", key="E"))
    file.save(tmp_path / "c.mid")
    signature = read_song(tmp_path / "c.mid", Reading())
    analysis = read_song(tmp_path / "c.mid", Reading(key_from="analysis"))
    assert signature.key in ("E major", "C# minor")
    assert signature.analysis == analysis.key == "C major"


def test_another_file_never_moves_one(folder):
    before = {song.source: split for split in SPLITS for song in load_corpus(folder).split(split)}
    for i in range(20):
        write_midi(triads(50), folder / f"new {i}.mid")
    corpus = load_corpus(folder)
    after = {song.source: split for split in SPLITS for song in corpus.split(split)}
    assert len(after) == 32
    assert before == {name: after[name] for name in before}


def test_shares_of_the_splits():
    drawn = [hash_split(f"{i}.mid") for i in range(10_000)]
    shares = [drawn.count(split) / len(drawn) for split in SPLITS]
    np.testing.assert_allclose(shares, (0.6, 0.2, 0.2), atol=0.015)


def test_folders_named_as_the_splits(tmp_path):
    for i, split in enumerate(SPLITS):
        (tmp_path / split).mkdir()
        write_midi(triads(60 + i), tmp_path / split / "a.mid")
    songs, skipped = read_folder(tmp_path, Reading())
    assert {split: [s.source for s in songs[split]] for split in SPLITS} == {
        split: [f"{split}/a.mid"] for split in SPLITS
    }
    write_midi(triads(60), tmp_path / "stray.mid")
    with pytest.raises(ValueError, match=r"stray.mid is in none of the folders"):
        read_folder(tmp_path, Reading())


def test_one_file_is_cut_in_time(folder):
    corpus = load_corpus(folder / "piece 0.MID")
    parts = [corpus.split(split)[0].roll for split in SPLITS]
    assert [len(part) for part in parts] == [7, 3, 2]
    np.testing.assert_array_equal(np.concatenate(parts), triads(60))


def test_what_makes_no_corpus(folder, tmp_path):
    (tmp_path / "none").mkdir()
    (tmp_path / "few").mkdir()
    (tmp_path / "spoilt").mkdir()
    (tmp_path / "spoilt" / "a.mid").write_bytes(b"no")
    write_midi(triads(60), tmp_path / "few" / "a.mid")
    write_midi(triads(60, 2), tmp_path / "two steps.mid", step=0.5)
    for path, message in (
        (tmp_path / "none", "holds no file of music"),
        (tmp_path / "few", "none of the 1 files that could be read falls in "),
        (
            tmp_path / "spoilt",
            "spoilt: none of its 1 files can be read; the first: a.mid: not a MIDI",
        ),
        (folder / "broken.mid", "^corpus: broken.mid: not a MIDI file"),
        (tmp_path / "two steps.mid", "2 steps are too few"),
        (tmp_path / "absent.mid", "absent.mid: no such file"),
        (folder / "notes.txt", "not a pickle"),
    ):
        with pytest.raises(ValueError, match=message):
            load_corpus(path)


def test_a_file_is_read_once(folder, monkeypatch):
    first = songs_of(load_corpus(folder))
    monkeypatch.setattr(files, "read_score", lambda *_: pytest.fail("read again"))
    songs, skipped = read_songs([folder / name for name in first], Reading(), str)
    assert not skipped
    for path, song in songs.items():
        stored = first[path.relative_to(folder).as_posix()]
        np.testing.assert_array_equal(song.roll, stored.roll)
        assert song.roll.dtype == bool
        assert song.key == song.analysis == stored.analysis


def test_other_options_and_content_are_read_anew(folder):
    path = folder / "piece 0.MID"
    eighths = read_song(path, Reading())
    assert len(read_song(path, Reading(step=1.0)).roll) == 6
    write_midi(triads(65), path, step=0.5)
    assert not np.array_equal(read_song(path, Reading()).roll, eighths.roll)


def test_the_pedal_has_a_place_of_its_own_in_the_cache(tmp_path):
    file = mido.MidiFile(ticks_per_beat=480)
    down = mido.Message("control_change", control=64, value=127)
    notes = [mido.Message(f"note_{way}", note=60, velocity=9, time=480) for way in ("on", "off")]
    up = mido.Message("control_change", control=64, value=0, time=960)
    file.tracks.append(mido.MidiTrack([down, *notes, up]))
    file.save(tmp_path / "a.mid")
    lengths = [len(read_song(tmp_path / "a.mid", Reading(pedal=pedal)).roll) for pedal in (0, 1, 0)]
    assert lengths == [4, 8, 4]


def test_a_file_replaced_while_it_is_read_is_not_kept(folder, monkeypatch):
    path, other = folder / "piece 0.MID", folder / "piece 5.MID"
    before, whole = path.read_bytes(), files.read_score

    def replaced_then_read(name, pedal):
        path.write_bytes(other.read_bytes())
        return whole(name, pedal)

    monkeypatch.setattr(files, "read_score", replaced_then_read)
    read_song(path, Reading())
    monkeypatch.setattr(files, "read_score", whole)
    path.write_bytes(before)
    np.testing.assert_array_equal(read_song(path, Reading()).roll, triads(60))


def test_a_bad_file_does_not_end_the_rest(folder):
    """Silence, a name in no alphabet, a name of two lines, a link to nowhere."""
    write_midi(np.zeros((4, 88), bool), folder / "silence.mid")
    odd = os.fsdecode(os.fsencode(folder) + b"/\xff\xfe.mid")
    write_midi(triads(60), odd)
    (folder / "two\nlines.mid").write_bytes(b"no")
    (folder / "nowhere.mid").symlink_to("absent")
    corpus = load_corpus(folder)
    assert len(songs_of(corpus)) == 13
    assert len(corpus.skipped) == 5 and not any("\n" in line for line in corpus.skipped)
    assert any(line.startswith("silence.mid: no notes") for line in corpus.skipped)
    assert any(line.startswith("nowhere.mid: no such file") for line in corpus.skipped)


def test_linked_folders_are_followed_once(folder, tmp_path):
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "to").symlink_to(folder)
    (folder / "back").symlink_to(tmp_path / "linked")
    assert len(songs_of(load_corpus(tmp_path / "linked"))) == 12


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x00" * 500])
def test_a_spoilt_cache_is_mended(folder, content):
    path = folder / "piece 0.MID"
    read_song(path, Reading())
    (stored,) = parsed_folder().iterdir()
    whole = stored.read_bytes()
    stored.write_bytes(content or whole[:100])
    np.testing.assert_array_equal(read_song(path, Reading()).roll, triads(60))
    assert stored.read_bytes() == whole
    for at in range(0, len(whole), 7):
        stored.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        np.testing.assert_array_equal(read_song(path, Reading()).roll, triads(60))


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": np.array(10**11)},  # 8 TB of silence
        {"steps": np.array(30)},
        {"keys": np.array(["", "H major"])},
        {"more": np.zeros(3)},
    ],
)
def test_a_cache_that_contradicts_itself_is_mended(folder, wrong):
    path = folder / "piece 0.MID"
    read_song(path, Reading())
    (stored,) = parsed_folder().iterdir()
    whole = stored.read_bytes()
    np.savez(stored, **dict(np.load(stored)) | wrong)
    np.testing.assert_array_equal(read_song(path, Reading()).roll, triads(60))
    assert stored.read_bytes() == whole


def test_many_readers_at_once(folder):
    paths = [folder / f"piece {i}.MID" for i in range(11)] * 8
    with ThreadPoolExecutor(16) as pool:
        songs = list(pool.map(lambda path: read_song(path, Reading()), paths))
    for path, song in zip(paths, songs, strict=True):
        np.testing.assert_array_equal(song.roll, triads(60 + int(path.stem.split()[1])))
    assert len(list(parsed_folder().iterdir())) == 11, "and nothing half-written is left"


def test_a_cache_that_cannot_be_written(folder, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    np.testing.assert_array_equal(read_song(folder / "piece 0.MID", Reading()).roll, triads(60))


def test_a_closed_folder_is_named(folder, monkeypatch):
    def walk(top, followlinks, onerror):
        onerror(PermissionError(13, "Permission denied", str(folder / "closed")))
        yield from ((str(folder), [], [f"piece {i}.MID" for i in range(11)]),)

    monkeypatch.setattr(os, "walk", walk)
    assert load_corpus(folder).skipped == ("closed: Permission denied",)
