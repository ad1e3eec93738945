"""MusicXML: the chorales as music21's files hold them, and what would harm."""

import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from music21 import corpus as music21_corpus

from cvae.music import musicxml, notes_to_roll
from cvae.music.jsb import read_chorales
from cvae.music.musicxml import read_musicxml
from cvae.music.score import MAX_BYTES

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
NOTE = "<note><pitch><step>C</step><octave>4</octave></pitch><duration>1</duration></note>"


PART_LIST = "<part-list><score-part id='P1'><part-name>p</part-name></score-part></part-list>"


def document(more=""):
    """A score of one note; `more` goes into the attributes of its measure."""
    measure = f"<measure number='1'><attributes><divisions>1</divisions>{more}</attributes>{NOTE}"
    part = f"<part id='P1'>{measure}</measure></part>"
    return f"{HEAD}<score-partwise version='4.0'>{PART_LIST}{part}</score-partwise>"


@pytest.fixture
def write(tmp_path):
    def write(content, name="score.musicxml"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture
def pack(tmp_path):
    """Write a compressed score."""

    def pack(content, container="score.xml", name="score.mxl", entries=True):
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            if entries:
                files = f"<rootfiles><rootfile full-path='{container}'/></rootfiles>"
                archive.writestr("META-INF/container.xml", f"<container>{files}</container>")
            archive.writestr("score.xml", content)
        return path

    return pack


def refuse(path, message, seconds=10):
    start = time.perf_counter()
    with pytest.raises(ValueError, match=message) as error:
        read_musicxml(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value) and len(str(error.value)) < len(str(path)) + 300
    assert time.perf_counter() - start < seconds


@pytest.mark.parametrize("bwv", ["269", "153.1", "347"])
def test_a_chorale_is_that_of_the_corpus(bwv):
    """The files of music21, read by our door, give the steps of the corpus ``jsb``."""
    (chorale,) = read_chorales([bwv], progress=False)
    path = Path(music21_corpus.getWork(f"bach/bwv{bwv}.mxl"))
    score = read_musicxml(path)
    np.testing.assert_array_equal(score.roll(), notes_to_roll(chorale.steps()))
    assert score.analysis() == chorale.key


def test_both_staves_of_a_piano_are_read():
    path = Path(music21_corpus.getWork("joplin/maple_leaf_rag.mxl"))
    score = music21_corpus.parse("joplin/maple_leaf_rag").expandRepeats()
    pitches = [
        n.midi for part in score.parts for each in part.flatten().notes for n in each.pitches
    ]
    assert sorted(read_musicxml(path).pitch) == sorted(pitches)


def test_plain_and_compressed_are_the_same(write, pack):
    plain, packed = read_musicxml(write(document())), read_musicxml(pack(document()))
    assert plain.pitch.tolist() == packed.pitch.tolist() == [60]
    assert (plain.length, plain.signature) == (1.0, None)


def test_signatures(write):
    text = document(more="<key><fifths>-3</fifths></key>")
    assert read_musicxml(write(text)).signature == "E- major"
    odd = "<key><key-step>C</key-step><key-alter>1</key-alter></key>"
    assert read_musicxml(write(document(more=odd))).signature is None


def test_bars(write):
    time = "<time><beats>{}</beats><beat-type>{}</beat-type></time>"
    assert read_musicxml(write(document())).bar == 4.0
    assert read_musicxml(write(document(time.format(3, 4)))).bar == 3.0
    assert read_musicxml(write(document(time.format(6, 8)))).bar == 3.0


def test_what_a_transposing_instrument_sounds(write):
    """A clarinet in B flat reads D and sounds C."""
    transpose = "<transpose><diatonic>-1</diatonic><chromatic>-2</chromatic></transpose>"
    text = document(more=f"<key><fifths>2</fifths></key>{transpose}").replace(">C<", ">D<")
    score = read_musicxml(write(text))
    assert (score.pitch.tolist(), score.signature) == ([60], "C major")


def test_what_lies_beside_the_file_does_not_run(write, tmp_path, monkeypatch):
    for name in ("defusedxml", "music21", "cvae"):
        (tmp_path / f"{name}.py").write_text("import os; os.mkdir('ran')")
    monkeypatch.chdir(tmp_path)
    assert read_musicxml(write(document())).pitch.tolist() == [60]
    assert not (tmp_path / "ran").exists()


def bomb(levels=9):
    entities = '<!ENTITY a0 "lol">' + "".join(
        f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, levels)
    )
    head = f'<?xml version="1.0"?><!DOCTYPE score-partwise [{entities}]>'
    return f"{head}<score-partwise>&a{levels - 1};</score-partwise>"


def test_bombs_are_refused(write, pack):
    refuse(write(bomb()), "it declares entities")
    refuse(write(bomb().encode("utf-16"), "utf16.xml"), "it declares entities")
    reader = '<?xml version="1.0"?><!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]><s>&x;</s>'
    refuse(write(reader), "it declares entities")
    refuse(pack(b" " * (200 * 2**20)), "unpacked it has more than the limit")
    refuse(write(b"<" * (MAX_BYTES + 1)), "more than the limit")


def test_a_score_without_end_is_given_up(write, monkeypatch):
    monkeypatch.setattr(musicxml, "MAX_SECONDS", 3)
    bar = "<barline><repeat direction='backward' times='1000000'/></barline></measure>"
    refuse(write(document().replace("</measure>", bar)), "could not be read within 3 s")


def test_foreign_files_are_refused(write, pack, tmp_path):
    refuse(write(""), "the file is empty")
    refuse(write("<html></html>"), "its root is <html>")
    refuse(write(document()[:-20]), "not MusicXML that can be read")
    refuse(write(b"\x00\xff" * 50), "not MusicXML that can be read")
    refuse(write(document().replace("partwise", "timewise")), "score-timewise")
    refuse(write(b"PK\x03\x04 no archive", "broken.mxl"), "not MusicXML that can be read")
    refuse(pack(document(), container="absent.xml"), "not MusicXML that can be read")
    refuse(pack(document(), entries=False), "not MusicXML that can be read")
    refuse(tmp_path / "absent.xml", "no such file")


def test_a_score_without_notes(write):
    score = read_musicxml(write(document().replace(NOTE, "")))
    with pytest.raises(ValueError, match="no notes"):
        score.roll()


def test_notes_of_absurd_length_are_refused_as_rolls(write):
    score = read_musicxml(write(document().replace("<duration>1<", "<duration>1000000000<")))
    with pytest.raises(ValueError, match="more than the limit of 100000"):
        score.roll()
