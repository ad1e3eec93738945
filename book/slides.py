"""Make slides of the built pages: ``make slides`` runs it after ``make book``.

A deck for each session of the schedules in `book/teaching.md`, in the order of their rows. A
section becomes a title, then a slide for each figure, sound, formula, table, list and printed
output, with the sentences that lead to it. The rest of the text, and the code that draws, stand in
the speaker's notes; solutions stand nowhere. The guide's page gets a link to each deck.
"""

import copy
import functools
import html
import math
import re
import sys
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urljoin

from bs4 import BeautifulSoup, NavigableString, Tag

SCHEDULES = ("six-sessions", "three-sessions")  # sections of the guide
NOT_SHOWN = ("set-up", "exercises")  # of a chapter taken whole: exercises have rows of their own
MOST_WORDS = 45  # of a paragraph that leads to something; of a longer one, its last sentences
MOST_WORDS_IN_LIST = 70  # of a longer one, the first sentence of each item
MOST_LINES = 18  # of code and what it prints; else without the code, on as many slides as it takes
CHECKS = re.compile(r"(ok: .*(\n +.*)*\s*)+")  # outputs that are for those who run the cell
STATE = "application/vnd.jupyter.widget-state+json"

DECK = """<!DOCTYPE html>
<html lang="en" data-theme="light">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="../_static/favicon.svg">
<link rel="stylesheet" href="../vendor/reveal/reveal.css">
<link rel="stylesheet" href="../_static/pygments.css">
<link rel="stylesheet" href="../_static/slides.css">
<script src="../vendor/reveal/reveal.js"></script>
<script src="../vendor/reveal/notes.js"></script>
<script>window.MathJax = {{}};</script>
</head>
<body>
<div class="reveal"><div class="slides">
{slides}
</div></div>
{widgets}
<script defer src="../vendor/mathjax/tex-mml-chtml.js"></script>
<script defer src="../_static/slides.js"></script>
</body>
</html>
"""
SCRIPTS = "".join(
    f'<script src="../{path}"></script>\n'
    for path in ("_static/widgets.js", "vendor/widgets/require.js", "vendor/widgets/embed-amd.js")
)
INDEX = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Slides</title>
<link rel="icon" href="../_static/favicon.svg">
</head>
<body style="font: 1.2rem/1.6 system-ui, sans-serif; max-width: 40rem; margin: 2rem auto">
<h1>Slides</h1>
<p>Space leads on, Esc shows all slides, S opens the notes of the speaker.</p>
<ul>
{links}
</ul>
<p><a href="../book/teaching.html">The guide for lecturers</a></p>
</body>
</html>
"""


@dataclass
class Slide:
    """One slide, as HTML: its parts, and the speaker's notes."""

    parts: list[str]
    kind: str = ""
    notes: list[str] = field(default_factory=list)

    def __str__(self):
        notes = f'<aside class="notes">{"".join(self.notes)}</aside>' if self.notes else ""
        return f'<section class="{self.kind}">{"".join(self.parts)}{notes}</section>'


def number_of(path: Path) -> str:
    """Beginning of the ids of a page's widgets in a deck: in the pages each begins with zeros."""
    return f"{zlib.crc32(path.name.encode()):08x}"


@functools.cache
def page(path: Path) -> BeautifulSoup:
    """Built page without solutions; its links are as from the slides, its widgets' ids its own."""
    text = path.read_text(encoding="utf-8")
    widget = r"(?<![0-9a-f])0{8}(0{16}[0-9a-f]{8})(?![0-9a-f])"
    text = re.sub(widget, rf"{number_of(path)}\1", text)
    soup = BeautifulSoup(text, "html.parser")
    for part in soup.select(".solution, .headerlink"):
        part.decompose()
    for name in ("href", "src"):
        for part in soup.select(f"article [{name}]"):
            address = urljoin(f"/book/{path.name}", part[name])
            part[name] = re.sub("^/", "../", address)
    return soup


def title_of(section: Tag) -> str:
    """HTML of a section's title, without its number."""
    heading = copy.copy(section.find(re.compile("^h[1-6]$")))
    for number in heading.select(".section-number, .headerlink"):
        number.decompose()
    return heading.decode_contents().strip()


def words(tag: Tag) -> int:
    """Count the words of a part."""
    return len(tag.get_text().split())


def sentences(paragraph: Tag) -> list[Tag]:
    """Sentences of a paragraph, each in a tag; no formula, link or parenthesis is cut."""
    found = [Tag(name="span")]
    for node in paragraph.contents:
        if isinstance(node, NavigableString):
            for i, piece in enumerate(re.split(r"\s+(?=[A-Z(])", node)):
                before = found[-1].get_text()
                if i and before[-1:] in ".!?:)" and before.count("(") == before.count(")"):
                    found.append(Tag(name="span"))
                found[-1].append(f" {piece}" if i else piece)
        else:
            found[-1].append(copy.copy(node))
    return found


def last_sentences(paragraph: Tag) -> str:
    """HTML of as many of the last sentences of a paragraph as are short enough; at least of one."""
    found = sentences(paragraph)
    while len(found) > 1 and sum(map(words, found)) > MOST_WORDS:
        del found[0]
    return " ".join(sentence.decode_contents() for sentence in found)


def plain(part: Tag) -> str:
    """HTML of a part without ids, which would stand twice, and without links around pictures."""
    part = copy.copy(part)
    for inner in [part, *part.find_all(id=True)]:
        del inner["id"]
    for link in part.select("a.image-reference"):
        link.unwrap()
    return str(part)


def note(part: Tag) -> str:
    """HTML of a part for the speaker: of a cell its code."""
    if "cell" not in part.get("class", []):
        return plain(part)
    return f"<pre>{html.escape(part.select_one('.cell_input pre').get_text().strip())}</pre>"


def shown(part: Tag) -> list[str]:
    """HTML of what stands of a part on slides of its own: nothing of text, and of checks."""
    kinds = part.get("class", [])
    if re.fullmatch("p|span|h[1-6]", part.name) or "dropdown" in kinds:
        return []
    if "cell" in kinds:
        output = part.select_one(".cell_output")
        if output is None or CHECKS.fullmatch(output.get_text().strip()):
            return []
        if output.find(["img", "audio", "table", "script"]) or "tag_hide-input" in kinds:
            return [plain(output)]
        lines = output.get_text().strip("\n").splitlines()
        if len(lines) + len(part.pre.get_text().splitlines()) <= MOST_LINES:
            return [plain(part)]
        size = math.ceil(len(lines) / math.ceil(len(lines) / MOST_LINES))
        groups = ("\n".join(lines[i : i + size]) for i in range(0, len(lines), size))
        return [f"<pre>{html.escape(group)}</pre>" for group in groups]
    if part.name in ("ul", "ol") and words(part) > MOST_WORDS_IN_LIST:
        part = copy.copy(part)
        for item in part.find_all("p"):
            item.replace_with(sentences(item)[0])
    return [plain(part)]


def add_parts(slides: list[Slide], title: str, parts: list[Tag]) -> None:
    """Put after the slides, of which the last has the title, those of the parts of a section.

    What is told between two of them goes to the notes of the one before, but its last paragraph,
    which leads to the one after.
    """
    told = []
    for part in parts:
        if part.name == "section":
            slides[-1].notes += map(note, told)
            told = []
            add_parts(slides, title_of(part), part.find_all(recursive=False))
        elif bodies := [f'<div class="shown">{body}</div>' for body in shown(part)]:
            leads = [i for i, before in enumerate(told) if before.name == "p"]
            if leads:
                slides[-1].notes += map(note, told[: leads[-1]])
                told = told[leads[-1] :]
                bodies[0] = f'<p class="lead">{last_sentences(told[0])}</p>{bodies[0]}'
            if not leads and "<audio" in bodies[0] and "<audio" in slides[-1].parts[-1]:
                slides[-1].parts += bodies  # sounds that are to be compared
            else:
                kind = "maths" if "math" in part.get("class", []) else ""
                heading = f'<h3 class="where">{title}</h3>'
                slides += [Slide([heading, body], kind) for body in bodies]
            if "cell" in part.get("class", []) or part.name in ("ul", "ol"):
                told.append(part)
            slides[-len(bodies)].notes += map(note, told)
            told = []
        elif (
            slides[-1].kind == "maths"
            and not told
            and part.name == "p"
            and part.get_text()[:1].islower()  # the sentence of the formula goes on
        ):
            slides[-1].parts.append(f"<p>{sentences(part)[0].decode_contents()}</p>")
            slides[-1].notes.append(note(part))
        elif not re.fullmatch("h[1-6]", part.name):
            told.append(part)
    slides[-1].notes += map(note, told)


def section_slides(section: Tag, chapter: str) -> list[Slide]:
    """Slides of a section: its title, with that of the chapter, and its parts."""
    title = title_of(section)
    slides = [Slide([f'<p class="where">{chapter}</p><h2>{title}</h2>'], "title")]
    add_parts(slides, title, section.find_all(recursive=False))
    if len(slides) == 1:  # all of it is text
        slides[0].parts.append(f"<p>{sentences(section.p)[0].decode_contents()}</p>")
    return slides


def chapter_slides(chapter: Tag) -> list[Slide]:
    """Slides of a whole chapter: what one can do after it, and its sections."""
    title = title_of(chapter)
    slides = [Slide([f"<h2>{title}</h2>"], "title")]
    add_parts(slides, title, chapter.find_all(["p", "ul"], recursive=False))
    for section in chapter.find_all("section", recursive=False):
        if section["id"] not in NOT_SHOWN:
            slides += section_slides(section, title)
    return slides


def exercise_slide(exercise: Tag) -> Slide:
    """Slide of an exercise, with its level."""
    heading = exercise.find(class_="admonition-title").get_text()
    number, name, level = re.fullmatch(r"(.+?)\s+\((.+) \((.+)\)\)\s*", heading).groups()
    text = exercise.section.decode_contents()
    where = f'<p class="where">{number}, {level}</p>'
    return Slide(
        [where, f'<h2>{html.escape(name)}</h2><div class="shown">{text}</div>'], "exercise"
    )


def session_slides(session: Tag, book: Path) -> list[Slide]:
    """Slides of a session of the guide: what its rows name, then the exercises for home."""
    chapters = {int(path.name[:2]): page(path) for path in sorted(book.glob("[0-9][0-9]_*.html"))}
    heading = f"<h1>{re.sub(r' [(].*', '', title_of(session))}</h1>"
    slides = [Slide([heading], "title", [plain(session.table)])]
    for _, what, _ in (row.find_all(["th", "td"]) for row in session.find_all("tr")):
        if whole := re.match(r"chapter (\d+), whole", what.get_text().strip()):
            slides += chapter_slides(chapters[int(whole[1])].article.section)
        for link in what.find_all("a"):
            name, anchor = link["href"].rpartition("/")[2].split("#")
            soup = page(book / name)
            part = soup.article.find(id=anchor)
            if "exercise" in part.get("class", []):
                slides.append(exercise_slide(part))
            else:
                slides += section_slides(part, title_of(soup.article.section))
    rest = session.find_all("p", recursive=False)
    slides.append(Slide(["<h2>At home</h2>"], "title", list(map(plain, rest))))
    for code in (code.get_text() for part in rest for code in part.find_all("code")):
        found = (soup.find(id=code) for soup in chapters.values())
        slides += map(exercise_slide, filter(None, found))
    return slides


def stacked(slides: list[Slide]) -> str:
    """HTML of slides, in stacks that go down: each of a title and what is under it."""
    stacks = []
    for slide in slides:
        if slide.kind in ("title", "exercise"):
            stacks.append([])
        stacks[-1].append(str(slide))
    return "\n".join(f"<section>{chr(10).join(stack)}</section>" for stack in stacks)


def write_deck(session: Tag, book: Path, target: Path) -> str:
    """Write the deck of a session of the guide into a file; return its title."""
    slides = session_slides(session, book)
    text = stacked(slides)
    states = [
        str(state)
        for path in sorted(book.glob("[0-9][0-9]_*.html"))
        for state in page(path).find_all("script", type=STATE)
        if number_of(path) in text
    ]
    title = BeautifulSoup(slides[0].parts[0], "html.parser").get_text()
    widgets = "".join(states) + (SCRIPTS if states else "")
    target.write_text(DECK.format(title=title, slides=text, widgets=widgets), encoding="utf-8")
    return title


def main() -> int:
    """Write the slides of the site named on the command line into its folder `slides`."""
    site = Path(sys.argv[1])
    book, folder, guide = site / "book", site / "slides", site / "book/teaching.html"
    folder.mkdir(exist_ok=True)
    text, links = guide.read_text(encoding="utf-8"), []
    for session in page(guide).select(",".join(f"#{name} > section" for name in SCHEDULES)):
        name = "-".join(session["id"].split("-")[:2]) + ".html"  # session-1, day-1
        title = write_deck(session, book, folder / name)
        links.append(f'<li><a href="{name}">{title}</a></li>')
        heading = re.search(rf'<section id="{session["id"]}">\s*<h3>.*?</h3>', text, re.DOTALL)[0]
        text = text.replace(heading, f'{heading}<p><a href="../slides/{name}">Slides</a></p>')
    (folder / "index.html").write_text(INDEX.format(links="\n".join(links)), encoding="utf-8")
    guide.write_text(text, encoding="utf-8")
    print(f"{folder}: {len(links)} decks, index.html leads to them")
    return 0


if __name__ == "__main__":
    sys.exit(main())
