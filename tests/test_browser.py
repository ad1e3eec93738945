"""The built book in a real browser: what a reader sees, hears and reaches, on every page.

Each page is opened once, and its tests run in this order: those that ask axe about colours come
late, since they take much of the page away.
"""

import importlib
import pkgutil
import posixpath
import re
import urllib.request
from collections import Counter, defaultdict
from itertools import chain

import nbformat
import pytest
from api_links import imports
from axe_playwright_python.sync_playwright import Axe
from execute import BOOK, listed
from pdf import CHROMIUM, served
from playwright.sync_api import sync_playwright
from sphinx.util.inventory import InventoryFile

import cvae

if CHROMIUM is None:
    pytest.skip("needs Chromium (Debian: apt install chromium)", allow_module_level=True)

PAGES = listed()
DESK, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
FLAGS = [
    "--no-sandbox",  # else it does not start for root, as in a container
    "--autoplay-policy=no-user-gesture-required",
]
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
# Modules that only the package itself imports: the reference leaves them out.
INSIDE = {
    *("cvae.arguments", "cvae.cli", "cvae.experiments", "cvae.progress", "cvae.quiet"),
    *("cvae.stored", "cvae.models.checks"),
    *("cvae.music.downloads", "cvae.music.musicxml", "cvae.music.pickles", "cvae.music.soundfont"),
}
counted = Counter({"pages": 0, "players": 0, "external requests": 0, "serious axe findings": 0})

UNDRAWN = """() => [...document.querySelectorAll(
  'script[type="application/vnd.jupyter.widget-view+json"]'
)].filter(view => !view.parentElement.querySelector(".jupyter-widgets"))
  .map(view => view.textContent)"""
# Folded parts are opened, and what a page draws after it has loaded is waited for.
THEME_WAITS = 400  # ms, before it looks which boxes scroll
STILL = "* { animation: none !important; transition: none !important }"
SETTLED = """async () => {
  document.querySelectorAll("summary, button.toggle-button-hidden").forEach(part => part.click());
  await window.MathJax?.startup.promise;
  await document.fonts.ready;
}"""
# Code is thousands of coloured words, and maths of glyphs, over which axe would take minutes. One
# word of each class in each kind of box is left; of maths what a screen reader reads (in glyphs axe
# sees no text).
THIN_OUT = """() => {
  const seen = new Set();
  const surplus = [...document.querySelectorAll("pre span")].filter(word => {
    const kinds = [".cell_input, .cell_output", ".admonition", "a"];
    const boxes = kinds.map(box => word.closest(box));
    const look = [word, word.closest("pre").parentElement, ...boxes].map(box => box?.className);
    return seen.size === seen.add(look.join()).size;
  });
  for (const part of [...surplus, ...document.querySelectorAll("mjx-math")]) part.remove();
  for (const link of document.querySelectorAll("pre a:empty")) link.remove();
}"""
BROKEN_PICTURES = """() => Promise.all([...document.images].map(
  image => image.decode().then(() => [], () => [image.src.slice(0, 80)])
)).then(found => found.flat())"""
UNPLAYED = """async () => {
  const found = [];
  for (const audio of document.querySelectorAll("audio")) {
    audio.muted = true;
    try {
      await audio.play();
      const limit = Date.now() + 5000;
      while (audio.currentTime === 0 && Date.now() < limit)
        await new Promise(requestAnimationFrame);
    } catch (error) {
      found.push(`${audio.ariaLabel}: ${error.message}`);
    }
    if (!(Number.isFinite(audio.duration) && audio.duration > 0 && audio.currentTime > 0))
      found.push(`${audio.ariaLabel}: at ${audio.currentTime} of ${audio.duration} s`);
    audio.pause();
  }
  return found;
}"""
TEXT_WITHOUT_CODE = """() => {
  const article = document.querySelector("article").cloneNode(true);
  article.querySelectorAll("pre, code, script, mjx-container").forEach(part => part.remove());
  return article.textContent;
}"""
# Wider than the screen, in no box that scrolls. MathJax's text for screen readers is not seen.
CUT_OFF = """() => [...document.querySelectorAll("article *")].filter(element => {
  if (element.closest("mjx-assistive-mml")) return false;
  if (element.getBoundingClientRect().right <= innerWidth + 1) return false;
  for (let box = element; box !== document.body; box = box.parentElement)
    if (/auto|scroll/.test(getComputedStyle(box).overflowX)) return false;
  return true;
}).map(element => element.outerHTML.slice(0, 100))"""
NOTE_FOCUS = """() => {
  window.reached = new Set();
  document.addEventListener("focusin", event => reached.add(event.target));
}"""
FOCUS_EACH = "() => all_to_reach().forEach(element => element.tabIndex < 0 || element.focus())"
UNREACHED = """() => all_to_reach().filter(element => !reached.has(element))
  .map(element => element.outerHTML.slice(0, 100))"""
TO_REACH = ["button.search-button-field", ".bd-sidebar-primary a", "audio", "article a[href]"]
ALL_TO_REACH = f"""window.all_to_reach = () => [...document.querySelectorAll(
  "{", ".join([*TO_REACH, "[role=slider]"])}"
)].filter(element => element.checkVisibility({{ visibilityProperty: true }}))"""


@pytest.fixture(scope="module")
def address(built_book):
    """The book, served."""
    with served(built_book) as address:
        yield f"{address}/"


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


class Visit:
    """A page that was opened, with what went wrong on the way."""

    def __init__(self, browser, address, path):
        self.path, self.address = path, address
        self.errors, self.elsewhere = [], []
        self.page = browser.new_context(viewport=DESK, color_scheme="light").new_page()
        self.page.on("console", self.note_message)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", self.note_request)
        self.page.on("requestfailed", lambda request: self.errors.append(f"lost: {request.url}"))
        self.page.goto(address + str(path.relative_to(BOOK.parent).with_suffix(".html")))
        self.page.add_style_tag(content=STILL)
        for _ in range(100):  # of 0.1 s; what is missing then has a test of its own
            if not self.page.evaluate(UNDRAWN):
                break
            self.page.wait_for_timeout(100)
        self.page.evaluate(SETTLED)
        self.page.wait_for_timeout(THEME_WAITS)

    def note_message(self, message):
        if message.type == "error":
            self.errors.append(f"{message.text} ({message.location['url'][:80]})")

    def note_request(self, request):
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.elsewhere.append(request.url)
            counted["external requests"] += 1

    def axe(self, *rules):
        """Serious findings of these rules or sets of rules, one line for each element."""
        options = {"runOnly": rules, "resultTypes": ["violations"], "preload": False}
        findings = Axe().run(self.page, options=options).response["violations"]
        lines = [
            f"{finding['id']}: {node['html'][:120]}: {node['failureSummary']}"
            for finding in findings
            if finding["impact"] in ("serious", "critical")
            for node in finding["nodes"]
        ]
        counted["serious axe findings"] += len(lines)
        return lines


@pytest.fixture(scope="module", params=PAGES, ids=lambda path: path.stem)
def visit(request, browser, address):
    visit = Visit(browser, address, request.param)
    yield visit
    visit.page.context.close()


@pytest.fixture
def phone(visit):
    visit.page.set_viewport_size(PHONE)
    visit.page.wait_for_timeout(THEME_WAITS)
    yield visit
    visit.page.set_viewport_size(DESK)


@pytest.fixture
def dark(visit):
    visit.page.emulate_media(color_scheme="dark")
    yield visit
    visit.page.emulate_media(color_scheme="light")


def prose(path):
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    cells = nbformat.read(path, as_version=4).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def test_pictures_are_there(visit):
    assert visit.page.evaluate(BROKEN_PICTURES) == []


def test_sound_plays(visit):
    counted["players"] += visit.page.locator("audio").count()
    assert visit.page.evaluate(UNPLAYED) == []


def test_lines_follow_the_sound(visit):
    """Where a figure is to be followed, a line has moved over it as far as the sound has played."""
    for figure in visit.page.locator(".followed").all():
        line = figure.locator(".now")
        figure.locator("audio").evaluate("audio => { audio.pause(); audio.currentTime = 0; }")
        visit.page.wait_for_timeout(100)
        before = line.bounding_box()["x"]
        figure.locator("audio").evaluate("audio => { audio.currentTime = audio.duration / 2; }")
        visit.page.wait_for_timeout(300)
        moved = line.bounding_box()["x"] - before
        assert 0.3 < moved / figure.locator("img").bounding_box()["width"] < 0.6


def test_maths_is_typeset(visit):
    formulas = visit.page.locator(".math")
    if re.search(r"\$[^$]+\$", prose(visit.path)):
        assert formulas.count() > 0
    assert formulas.filter(has_not=visit.page.locator("mjx-container")).all_inner_texts() == []
    assert visit.page.locator("mjx-merror").all_inner_texts() == []
    assert re.findall(r"\$\$|\\\(", visit.page.evaluate(TEXT_WITHOUT_CODE)) == []


def test_widgets_are_drawn(visit):
    assert visit.page.evaluate(UNDRAWN) == []
    assert "Loading widget" not in visit.page.inner_text("article")


def test_buttons_choose_takes_without_a_kernel(visit):
    """Each row of buttons, from the keyboard: another take is shown, and one alone."""
    for box in visit.page.locator(".widget-vbox:has(> .widget-toggle-buttons)").all():
        for row in box.locator("> .widget-toggle-buttons").all():
            seen = set()
            for button in row.get_by_role("button").all():
                button.focus()
                visit.page.keyboard.press("Space")
                visit.page.wait_for_timeout(100)
                box.locator("audio").wait_for()
                assert box.locator("audio").count() == box.locator("img").count() == 1
                assert visit.page.evaluate(UNPLAYED) == []
                seen.add(box.locator("figcaption").inner_text())
            assert len(seen) == row.get_by_role("button").count()


def test_keyboard_may_reach_everything(visit):
    for script in (ALL_TO_REACH, NOTE_FOCUS, FOCUS_EACH):
        visit.page.evaluate(script)
    assert visit.page.evaluate(UNREACHED) == []


def test_fits_a_phone(phone):
    assert phone.page.evaluate(CUT_OFF) == []
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert phone.axe("scrollable-region-focusable") == []


def test_light_is_accessible(visit):
    assert visit.page.evaluate("document.documentElement.dataset.theme") == "light"
    visit.page.evaluate(THIN_OUT)
    assert visit.axe(*WCAG) == []


def test_dark_is_legible(dark):
    dark.page.locator('html[data-theme="dark"]').wait_for()  # the theme follows
    dark.page.evaluate(THIN_OUT)
    assert dark.axe("color-contrast") == []


def test_nothing_failed_or_came_from_elsewhere(visit):
    counted["pages"] += 1
    assert visit.elsewhere == []
    assert visit.errors == []


def test_tab_goes_through_a_page(browser, address):
    """With the keys themselves, which takes long: one page that has all that others have."""
    visit = Visit(browser, address, BOOK / "10_the_listening_room.ipynb")
    for script in (ALL_TO_REACH, NOTE_FOCUS):
        visit.page.evaluate(script)
    assert all(visit.page.locator(kind).count() for kind in TO_REACH)
    for _ in range(60):
        for _ in range(20):
            visit.page.keyboard.press("Tab")
        unreached = visit.page.evaluate(UNREACHED)
        if not unreached:
            break
    visit.page.context.close()
    assert unreached == []


def test_each_hand_out_is_printed_on_one_sheet(browser, address):
    page = browser.new_page(viewport=DESK)
    page.goto(address + "book/teaching_handouts.html")
    page.evaluate(SETTLED)
    sheets = page.locator("#hand-outs > section").count()
    printed = page.pdf(format="A4", margin=dict.fromkeys(("top", "right", "bottom", "left"), "1cm"))
    page.close()
    assert len(re.findall(rb"/Type ?/Page\b", printed)) == sheets == 6


def test_reference_has_every_public_name(address):
    """Of all modules but those that only the package itself imports; and all that notebooks do."""
    with urllib.request.urlopen(address + "objects.inv") as stream:
        inventory = InventoryFile.load(stream, "", posixpath.join)
    there = defaultdict(list)
    for full in chain.from_iterable(inventory[kind] for kind in inventory if kind[:3] == "py:"):
        there[last_part(full)].append(pkgutil.resolve_name(full))
    modules = {module.name for module in pkgutil.walk_packages(cvae.__path__, "cvae.")}
    assert modules >= INSIDE
    wanted = set()
    for module in modules - INSIDE:
        wanted |= {f"{module}.{name}" for name in importlib.import_module(module).__all__}
    for path in PAGES:
        if path.suffix == ".ipynb":
            for cell in nbformat.read(path, as_version=4).cells:
                if cell.cell_type == "code":
                    wanted |= set(imports(cell.source).values()) - modules
    assert len(wanted) > 100
    missing = {
        full
        for full in wanted
        if not any(found is pkgutil.resolve_name(full) for found in there[last_part(full)])
    }
    assert missing == set()
    assert [name for name in there if name.startswith("_")] == []


def last_part(full):
    return full.rpartition(".")[2]


def test_names_lead_to_the_reference(browser, address):
    """From the text and from a code cell of a chapter, to an entry that is there."""
    page = browser.new_page(viewport=DESK)
    for place in ("p > a:has(code)", ".cell_input pre a"):
        page.goto(address + "book/02_variational_autoencoders.html")
        page.locator(f'article {place}[href^="reference_"]').first.click()
        page.locator(":target").wait_for(state="attached")
    page.close()


def test_count(capsys):
    with capsys.disabled():
        print("\nbrowser: " + ", ".join(f"{count} {what}" for what, count in counted.items()))
    assert counted["pages"] == len(PAGES)
