"""The pages for lecturers agree with the book: its exercises, sections, and times."""

import functools
import re

import nbformat
import pytest
from execute import listed

NOTEBOOKS = {page.name: page for page in listed() if page.suffix == ".ipynb"}
CHAPTERS = {int(name[:2]): name for name in NOTEBOOKS if re.match(r"\d\d_", name)}
PAGES = {page.stem: page for page in listed() if page.stem.startswith("teaching")}
WORDS_OF_CODE, WORDS_OF_SOUND = 25, 40  # as the page says
UNITS_A_MINUTE = 95, 125  # of that length, as the page says
OPENING = ""  # what stands above the first section
TOLERANCE = 2  # minutes, for rounding and for a chapter that grows a little
LINK = re.compile(r"\[([^\]]+)\]\((\w+\.ipynb)#([^)]+)\)")
BESIDE = "## How the schedules count", "## A class in Colab"


def text_of(name):
    return PAGES[name].read_text(encoding="utf-8")


@functools.cache
def cells(name):
    return nbformat.read(NOTEBOOKS[name], as_version=4).cells


def headings(name):
    text = "\n".join(cell.source for cell in cells(name) if cell.cell_type == "markdown")
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^##+ (.+)$", text, re.MULTILINE)


def slug(title):
    """As MyST makes it of a heading, for `myst_heading_anchors`."""
    return re.sub(r"[^\w\- ]", "", title.strip().lower().replace(" ", "-"))


def exercises(name):
    text = "\n".join(cell.source for cell in cells(name) if cell.cell_type == "markdown")
    return re.findall(r"^```\{exercise(?:-start)?\}[^\n]*\n:label: (\S+)", text, re.MULTILINE)


def all_exercises():
    return [label for name in NOTEBOOKS for label in exercises(name)]


def times(name):
    """Minutes to read and to run, of a chapter's front matter."""
    opening = "\n".join(cell.source for cell in cells(name)[:3])
    return tuple(
        map(int, re.search(r"(\d+) minutes? to read.*?(\d+) minutes? to run", opening).groups())
    )


def lengths(name):
    """Length of each section of a chapter but its exercises."""
    length, section = {}, OPENING
    for cell in cells(name):
        if cell.cell_type == "code":
            sounds = sum("<audio" in str(output) for output in cell.outputs)
            length[section] += WORDS_OF_CODE + WORDS_OF_SOUND * sounds
            continue
        for line in cell.source.splitlines():
            if line.startswith("## "):
                section = line[3:]
            length[section] = length.get(section, 0) + len(line.split())
    del length["Exercises"]
    return length


def minutes_by_section(name):
    """A chapter's time to read, shared among its sections by length."""
    length = lengths(name)
    total = sum(length.values())
    return {title: times(name)[0] * words / total for title, words in length.items()}


def schedules():
    """Title of each schedule -> its text."""
    text = text_of("teaching").split(BESIDE[0])[1].split(BESIDE[1])[0]
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def sessions(schedule):
    """(minutes in the title, rows of the table) of each session."""
    parts = re.split(r"^### .+ \((\d+) minutes\)$", schedule, flags=re.MULTILINE)[1:]
    return [
        (int(said), re.findall(r"^\| (\d+) \| ([^|]+) \| ([^|]*)\|$", text, re.MULTILINE))
        for said, text in zip(parts[::2], parts[1::2], strict=True)
    ]


def rows(schedule):
    return [(int(minutes), what) for _, table in sessions(schedule) for minutes, what, _ in table]


SCHEDULES = schedules()
with_schedule = pytest.mark.parametrize("title", SCHEDULES)


def test_there_are_two_schedules():
    assert {title: len(sessions(text)) for title, text in SCHEDULES.items()} == {
        "Six sessions": 6,
        "Three sessions": 3,
    }


@with_schedule
def test_minutes_sum_to_what_is_said(title):
    found = sessions(SCHEDULES[title])
    sums = [sum(int(minutes) for minutes, *_ in table) for _, table in found]
    assert sums == [said for said, _ in found]
    each, total = re.search(
        r"sessions of (\d+) minutes,\s(\d+) minutes in class", SCHEDULES[title]
    ).groups()
    assert (set(sums), sum(sums)) == ({int(each)}, int(total))


@pytest.mark.parametrize("name", [*CHAPTERS.values(), "training_on_gpu.ipynb"])
def test_front_matter_gives_a_chapter_the_time_of_its_length(name):
    fewest, most = UNITS_A_MINUTE
    assert f"a minute for {fewest} to {most} of these" in text_of("teaching")
    assert fewest <= sum(lengths(name).values()) / times(name)[0] <= most


@with_schedule
def test_a_chapter_has_the_time_of_its_front_matter(title):
    for minutes, what in rows(SCHEDULES[title]):
        number = re.match(r"chapter (\d+)", what)
        if not number:
            continue
        name = CHAPTERS[int(number.group(1))]
        if what.endswith("whole"):
            assert minutes == times(name)[0], what
            continue
        named = LINK.findall(what)
        assert named and {file for _, file, _ in named} == {name}, what
        share = minutes_by_section(name)
        found = share[OPENING] + share["Set-up"] + sum(share[section] for section, *_ in named)
        assert minutes == pytest.approx(found, abs=TOLERANCE), f"{what}: {found:.1f}"


@with_schedule
def test_every_chapter_is_taken_or_left_out(title):
    text = SCHEDULES[title]
    taken = {int(n) for _, what in rows(text) for n in re.findall(r"^chapter (\d+)", what)}
    line = re.search(r"^Left out of the \w+ sessions: (.*?)\.", text, re.MULTILINE | re.DOTALL)
    left_out = {int(n) for n in re.findall(r"chapter (\d+)", line.group(1))}
    assert taken | left_out == set(CHAPTERS) and not taken & left_out
    assert "the chapter on GPUs" in line.group(1)


@with_schedule
def test_exercises_of_a_schedule_are_of_its_chapters(title):
    text = SCHEDULES[title]
    named = re.findall(r"`(ex-[\w-]+)`", text)
    taken = {int(n) for _, what in rows(text) for n in re.findall(r"^chapter (\d+)", what)}
    of_chapters = [label for number in taken for label in exercises(CHAPTERS[number])]
    assert named and set(named) <= set(of_chapters)


def test_each_exercise_has_its_mark_and_no_other():
    entries = re.findall(
        r"^\{numref\}`(ex-[\w-]+)`[^\n`]*, `(ex-[\w-]+)`$\n((?:[: ] .*\n)+)",
        text_of("teaching_marking"),
        re.MULTILINE,
    )
    assert [reference for reference, *_ in entries] == [label for _, label, _ in entries]
    assert sorted(label for _, label, _ in entries) == sorted(all_exercises())
    for _, label, body in entries:
        parts = re.findall(r"^: \*(\w+)\.\* \S", body, re.MULTILINE)
        assert parts == ["Full", "Half", "Error"], label


def test_marks_stand_in_the_order_of_the_book():
    marked = re.findall(r"^\{numref\}`(ex-[\w-]+)`", text_of("teaching_marking"), re.MULTILINE)
    assert marked == all_exercises()


@pytest.mark.parametrize("page", PAGES)
def test_linked_sections_exist(page):
    for title, name, anchor in LINK.findall(text_of(page)):
        assert " ".join(title.split()) in headings(name), f"{name} has no section {title!r}"
        assert anchor == slug(" ".join(title.split()))
    for name, anchor in re.findall(r"\]\((teaching\w*)\.md#([^)]+)\)", text_of(page)):
        titles = re.findall(r"^##+ (.+)$", text_of(name), re.MULTILINE)
        assert anchor in map(slug, titles)


@pytest.mark.parametrize("page", PAGES)
def test_exercises_that_are_named_exist(page):
    named = set(re.findall(r"`(ex-[\w-]+)`", text_of(page)))
    assert named <= set(all_exercises())


def test_each_wrong_belief_has_its_place_sign_and_cure():
    text = text_of("teaching_misconceptions")
    groups = re.split(r"^## .+$", text, flags=re.MULTILINE)[1:]
    entries = re.findall(r"^(\S[^\n]*)\n((?:(?:: |  )\S.*\n)+)", "\n".join(groups), re.MULTILINE)
    assert len(entries) >= 12
    assert len(entries) == text.count(": *Where.*")
    for belief, body in entries:
        parts = re.findall(r"^: \*(\w+)\.\* ", body, re.MULTILINE)
        assert parts == ["Where", "Sign", "Mend"], belief
        where = body.split(": *Sign.*")[0]
        assert LINK.search(where), f"{belief}: in which section?"


def test_a_sheet_for_each_of_six_sessions():
    sheets = re.findall(r"^## Sheet (\d): (.+)$", text_of("teaching_handouts"), re.MULTILINE)
    titles = re.findall(r"^### Session (\d): (.+) \(", SCHEDULES["Six sessions"], re.MULTILINE)
    assert sheets == titles
    parts = re.split(r"^## ", text_of("teaching_handouts"), flags=re.MULTILINE)[1:]
    for sheet in parts:
        for part in ("**Goal.**", "**Key equations**", "**Look and listen again.**"):
            assert part in sheet
        questions = sheet.split("**To take home**")[1]
        assert re.findall(r"^(\d)\. ", questions, re.MULTILINE) == ["1", "2", "3"]
        assert "$$" in sheet and "{numref}`fig-" in sheet


def test_the_first_page_leads_to_the_schedules():
    assert "(teaching.md)" in "\n".join(cell.source for cell in cells("index.ipynb"))
