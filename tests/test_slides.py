"""Slides that are made of the built pages: what stands on them, in which order, that it fits."""

import re
import shutil
import sys
from pathlib import Path

import nbformat
import pytest
import slides
from bs4 import BeautifulSoup
from check_pages import faults
from execute import BOOK, listed
from pdf import CHROMIUM
from playwright.sync_api import sync_playwright
from test_pdf import needs_chromium
from test_without_solutions import solution_lines

SMALLEST = 20  # px of type, on slides 1280 by 720
LOWEST = 250  # px of a picture
PATIENCE = 120_000  # ms; a slow machine needs a minute for the maths
NOTEBOOKS = {page.name: page for page in listed() if page.suffix == ".ipynb"}
DECKS = [*(f"session-{n}" for n in range(1, 7)), *(f"day-{n}" for n in range(1, 4))]

GUIDE = """<article><section id="six-sessions"><h2>Six sessions</h2>
<section id="session-1-a-start-90-minutes"><h3>Session 1: a start (90 minutes)</h3>
<table><tr><th>minutes</th><th>what</th><th>how</th></tr>
<tr><td>9</td><td>chapter 1, whole</td><td>play <a href="02_two.html#other">this</a></td></tr>
<tr><td>9</td><td>chapter 2: <a href="02_two.html#some">Some</a></td><td></td></tr>
<tr><td>9</td><td><a href="01_one.html#ex-easy">Exercise 1.1</a></td><td></td></tr></table>
<p>Homework: <code>ex-hard</code> with <code>numpy</code>.</p></section></section>
<section id="three-sessions"><h2>Three sessions</h2></section></article>"""
CELL = """<div class="cell"><div class="cell_input"><pre>CODE</pre></div>
<div class="cell_output">OUTPUT</div></div>"""
EXERCISE = """<div class="exercise admonition" id="ex-NAME"><p class="admonition-title"
><span class="caption-number">Exercise 1.1 </span> (A NAME one (warm-up))</p>
<section id="exercise-content">
<p>Do the NAME thing.</p></section></div>
<div class="solution admonition" id="sol-NAME"><p>Secret of the NAME one</p></div>"""


def cell(code, output):
    return CELL.replace("CODE", code).replace("OUTPUT", output)


FIGURE = '<figure id="fig-a"><img alt="a dot" src="../_images/dot.png"></figure>'
ONE = f"""<article><section id="one"><h1><span class="section-number">1. </span>One</h1>
<p>Opening.</p><p>You can</p><ul><li><p>read</p></li></ul><table><tr><td>Time</td></tr></table>
<section id="set-up"><h2>Set-up</h2>{cell("import this", "<pre>zen</pre>")}</section>
<section id="first"><h2><span class="section-number">1.1. </span>First
<a class="headerlink">#</a></h2>
<p>Long ago.</p><p>{"Many words. " * 30}It leads <a href="#first">here</a> (A note. Or two):</p>
{cell("draw()", FIGURE)}
<p>Then:</p><div class="math">a = b</div><p>where a is b. And so on.</p>
{cell("check()", "<pre>ok: as it should" + chr(10) + "    be</pre>")}
<section id="deep"><h3>Deep</h3><p>Deeper.</p>{cell("print(1)", "<pre>1</pre>")}
{cell("listing()", "<pre>" + chr(10).join(f"line {n}" for n in range(30)) + "</pre>")}
</section><p>The end.</p></section>
<section id="words"><h2>Words</h2><p>All is told. It ends.</p></section>
<section id="exercises"><h2>Exercises</h2>{EXERCISE.replace("NAME", "easy")}</section>
</section></article>"""
VIEW = '<script type="application/vnd.jupyter.widget-view+json">{"model_id": "%s"}</script>'
STATE = VIEW.replace("view", "state")
TWO = f"""<article><section id="two"><h1>Two</h1>
<section id="some"><h2>Some</h2><p>Hear.</p>{cell("a", '<audio aria-label="A"></audio>')}
{cell("b", '<audio aria-label="B"></audio>')}{cell("c", VIEW % ("0" * 32))}</section>
<section id="other"><h2>Other</h2></section>
<section id="exercises">{EXERCISE.replace("NAME", "hard")}</section>
</section></article>{STATE % ("0" * 32)}"""


@pytest.fixture
def made(tmp_path, monkeypatch):
    """The only deck of a small site, read."""
    (tmp_path / "book").mkdir()
    for name, text in {"teaching": GUIDE, "01_one": ONE, "02_two": TWO}.items():
        (tmp_path / f"book/{name}.html").write_text(text, encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["slides.py", str(tmp_path)])
    assert slides.main() == 0
    return read(tmp_path, "session-1")


def read(site, name):
    text = (site / f"slides/{name}.html").read_text(encoding="utf-8")
    return BeautifulSoup(text, "html.parser")


def each(deck):
    """(what is seen, what the speaker reads) of each slide, as text."""
    found = []
    for slide in deck.select(".slides section:not(:has(section))"):
        notes = slide.find(class_="notes")
        read = " ".join(notes.extract().get_text(" ").split()) if notes else ""
        found.append((" ".join(slide.get_text(" ").split()), read))
    return found


def test_what_stands_on_slides_and_what_in_notes(made):
    many = "Many words. "
    plan = "minutes what how 9 chapter 1, whole play this 9 chapter 2: Some 9 Exercise 1.1"
    lines = [f"line {n}" for n in range(30)]
    assert (
        each(made)
        == [
            ("Session 1: a start", plan),
            ("One", "Opening."),
            ("One You can read", "You can read"),
            ("One First", "Long ago."),
            (
                f"First {many * 19}It leads here (A note. Or two):",  # 45 words
                f"{many * 30}It leads here (A note. Or two): draw()",
            ),
            ("First Then: a = b where a is b.", "Then: where a is b. And so on. check()"),
            ("Deep Deeper. print(1) 1", "Deeper. print(1)"),
            (f"Deep {' '.join(lines[:15])}", "listing()"),
            (f"Deep {' '.join(lines[15:])}", "The end."),
            ("One Words All is told.", "All is told. It ends."),
            ("Two Some", ""),
            ("Some Hear.", "Hear. a b"),  # both sounds
            ("Some", "c"),
            ("Exercise 1.1, warm-up A easy one Do the easy thing.", ""),
            ("At home", "Homework: ex-hard with numpy ."),
            ("Exercise 1.1, warm-up A hard one Do the hard thing.", ""),
        ]
    )


def test_pictures_sounds_links_and_widgets_come_along(made):
    (picture,) = made.select(".slides img")
    assert (picture["src"], picture["alt"]) == ("../_images/dot.png", "a dot")
    assert {sound["aria-label"] for sound in made.select("audio")} == {"A", "B"}
    assert [link["href"] for link in made.select(".lead a")] == ["../book/01_one.html#first"]
    assert made.select(".slides [id]") == []
    view, state = made.find_all("script", type=re.compile("widget"))
    assert view.string == state.string and "0" * 32 not in view.string
    assert "embed-amd.js" in str(made)


def test_a_long_list_is_cut_to_its_first_sentences():
    long = BeautifulSoup(f"<ul><li><p><b>Is.</b> Gone.{' more' * 70}</p></li></ul>", "html.parser")
    assert slides.shown(long.ul) == ["<ul><li><span><b>Is.</b></span></li></ul>"]


def test_the_guide_leads_to_the_slides(made, tmp_path):
    guide = (tmp_path / "book/teaching.html").read_text(encoding="utf-8")
    link = '</h3><p><a href="../slides/session-1.html">Slides</a></p>'
    assert guide.replace(link, "</h3>") == GUIDE and guide.count(link) == 1
    index = read_index(tmp_path)
    assert index == {"session-1.html": "Session 1: a start"}


def read_index(site):
    return {
        link["href"]: link.get_text()
        for link in read(site, "index").select("a")
        if not link["href"].startswith("..")
    }


@pytest.fixture(scope="module")
def site(built_book, tmp_path_factory):
    """The built book with its slides, which change the guide: so not in its own folder."""
    site = tmp_path_factory.mktemp("site")
    for part in built_book.iterdir():
        if part.name == "book":
            shutil.copytree(part, site / "book")
        else:
            (site / part.name).symlink_to(part)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["slides.py", str(site)])
        assert slides.main() == 0
    return site


@pytest.fixture(scope="module")
def solved(site):
    """Lines that stand in solutions only."""
    pages = (slides.page(path) for path in sorted((site / "book").glob("[0-9]*.html")))
    outside = "\n".join(page.get_text() for page in pages)
    lines = {line for name in NOTEBOOKS for line in solution_lines(Path(name).stem)}
    lines = {line for line in lines if line not in outside}
    assert len(lines) > 100
    return lines


def cells_of(name):
    return nbformat.read(NOTEBOOKS[name], as_version=4).cells


def titles(name):
    text = "\n".join(cell.source for cell in cells_of(name) if cell.cell_type == "markdown")
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r"^##? (.+)$", text, re.MULTILINE)
    return [title for title in found if title not in ("Set-up", "Exercises")]


def exercise_titles():
    text = "\n".join(cell.source for name in NOTEBOOKS for cell in cells_of(name))
    form = r"^```\{exercise(?:-start)?\} (.+) \(.+\)\n:label: (\S+)"
    return {label: title for title, label in re.findall(form, text, re.MULTILINE)}


def expected(session):
    """Titles that the guide asks of a session, from its source."""
    _, *rows = re.findall(r"^\|([^|]+)\|([^|]+)\|([^|]*)\|$", session, re.MULTILINE)
    exercises, found = exercise_titles(), []
    for _, what, _ in rows:
        if whole := re.match(r" chapter (\d+), whole", what):
            (name,) = (name for name in NOTEBOOKS if name.startswith(f"{int(whole[1]):02}_"))
            found += titles(name)
        found += re.findall(r"\[(.+?)\]\(\w+\.ipynb#", what)
        found += [exercises[label] for label in re.findall(r"\{numref\}`(ex-[\w-]+)`", what)]
    return [
        *found,
        "At home",
        *(exercises[label] for label in re.findall(r"(?<!\})`(ex-[\w-]+)`", session)),
    ]


def letters(title):
    return re.sub(r"\W", "", title)


def test_each_session_has_its_sections_and_exercises_in_order(site):
    text = (BOOK / "teaching.md").read_text(encoding="utf-8")
    parts = re.split(r"^### ((?:Session|Day) \d: .+) \(\d+ minutes\)$", text, flags=re.MULTILINE)
    assert list(read_index(site).values()) == parts[1::2]
    assert list(read_index(site)) == [f"{name}.html" for name in DECKS]
    for name, session in zip(DECKS, parts[2::2], strict=True):
        session = session.split("\n## ")[0]
        there = [title.get_text() for title in read(site, name).select(".slides h2")]
        assert list(map(letters, there)) == list(map(letters, expected(session))), name


def test_the_guide_says_how_many_slides_a_session_has(site):
    text = " ".join((BOOK / "teaching.md").read_text(encoding="utf-8").split())
    said = re.search(r"some (\d+) to (\d+) of them, day 1 of three more than (\d+)", text)
    day_1, *others = sorted((len(each(read(site, name))) for name in DECKS), reverse=True)
    found = min(others), max(others), day_1
    assert found == pytest.approx(tuple(map(int, said.groups())), abs=5)


@pytest.mark.parametrize("name", DECKS)
def test_slides_have_no_solution_and_pictures_have_alt_text(site, solved, name):
    deck = read(site, name)
    for image in deck.select(".slides img"):
        assert len(image.get("alt", "").split()) >= 3, image
        assert image["src"].startswith("data:") or (site / "slides" / image["src"]).exists()
    assert all(sound["aria-label"] for sound in deck.select("audio"))
    text = deck.select_one(".slides").get_text()
    assert [line for line in solved if line in text] == []


def test_no_picture_or_sound_of_a_whole_chapter_is_lost(site):
    page = BeautifulSoup(
        (site / "book/01_from_score_to_piano_roll.html").read_text(), "html.parser"
    )
    page.find(id="exercises").decompose()
    deck, kinds = read(site, "session-1"), {"img": "alt", "audio": "aria-label"}
    for kind, label in kinds.items():
        there = [part[label] for part in deck.select(f".slides {kind}")]
        wanted = [part[label] for part in page.select(f"article {kind}")]
        assert len(wanted) > 4 and there[-len(wanted) :] == wanted


def test_slides_are_complete_and_load_nothing_from_elsewhere(site):
    assert [fault for fault in faults(site, {}) if fault.startswith("slides/")] == []


# What runs over an edge or stands on what follows it, type or pictures that are too small.
FAULTS = """([smallest, lowest]) => Reveal.getSlides().flatMap(slide => {
  const { h, v } = Reveal.getIndices(slide);
  Reveal.slide(h, v);
  const found = [];
  const inside = "pre, table, .shown, mjx-container[display=true]";
  for (const box of [slide, ...slide.querySelectorAll(inside)])
    if (box.scrollWidth > box.clientWidth + 1) found.push(`wide: ${box.innerText}`);
  if (slide.scrollHeight > 720) found.push(`high: ${slide.scrollHeight}`);
  for (const part of slide.querySelectorAll(":scope > *, .shown *:not(mjx-container *)")) {
    const box = part.getBoundingClientRect();
    if (box.bottom > 720 || box.right > 1280) found.push(`over the edge: ${part.outerHTML}`);
    const next = part.nextElementSibling;
    if (part.parentElement === slide && next?.checkVisibility() &&
        next.getBoundingClientRect().top < box.bottom - 1) found.push(`over: ${next.innerText}`);
  }
  if (parseFloat(getComputedStyle(slide).fontSize) < smallest) found.push("small type");
  for (const image of slide.querySelectorAll(".shown img"))
    if (!image.naturalWidth || image.clientHeight < lowest) found.push(`picture: ${image.alt}`);
  return found.map(fault => `${h}/${v ?? 0} ${fault.slice(0, 200)}`);
})"""


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def opened(browser, address):
    """A deck in a browser, with a list of what went wrong on the way."""
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    page.context.set_default_timeout(PATIENCE)
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("requestfailed", lambda request: errors.append(request.url))
    page.goto(address)
    page.wait_for_function("window.Reveal?.isReady()")
    return page, errors


@needs_chromium
@pytest.mark.parametrize("name", DECKS)
def test_nothing_runs_over_the_edge_of_a_slide(browser, site, name):
    page, errors = opened(browser, (site / f"slides/{name}.html").as_uri())
    page.wait_for_function("!document.querySelector('script[type*=widget-view]:only-child')")
    assert page.evaluate(FAULTS, [SMALLEST, LOWEST]) == []
    assert page.locator("mjx-merror").count() == 0
    assert page.locator(".slides .math:not(:has(mjx-container, math))").count() == 0
    assert errors == []
    page.close()


@needs_chromium
def test_the_speaker_reads_the_notes(browser, site):
    page, _ = opened(browser, (site / "slides/session-2.html").as_uri())
    with page.expect_popup() as popup:
        page.keyboard.press("s")
    notes = popup.value.locator(".speaker-controls-notes .value")
    notes.get_by_text("homework").first.wait_for()
    # Its small copy of the slide leads the large one back if it is still behind.
    copy = popup.value.locator("#current-slide iframe").element_handle().content_frame()
    for passed in (1, 2):
        page.keyboard.press("Space")
        copy.wait_for_function("passed => Reveal.getSlidePastCount() === passed", arg=passed)
    notes.get_by_text("After this chapter you can").wait_for()
    popup.value.close()
    page.close()
