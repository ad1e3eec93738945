"""The pages joined into one, as a browser prints them."""

import re

import pdf
import pytest
from execute import BOOK
from playwright.sync_api import sync_playwright

MATHJAX = """<script>window.MathJax = {
  startup: {promise: Promise.resolve()}, typesetPromise: async parts => { window.typeset = parts }
}</script>"""
ONE = """<article class="bd-article"><section id="a"><h1>One</h1>
<a href="two.html">second</a> <a href="two.html#a">its section</a> <a href="#a">here</a>
<a href="https://example.org/">there</a> <a href="../_sources/one.ipynb">source</a>
<details><summary>code</summary><pre>wide = "WIDE"</pre></details>
<figure><audio aria-label="a song" src="data:audio/mpeg;base64,AA=="></audio></figure>
<img alt="dot" src="../_images/dot.svg">
<script type="application/vnd.jupyter.widget-view+json">{}</script></section></article>"""
TWO = "<article><section id='a'><h1>Two</h1><p>The end</p></section></article>"
UNRESOLVED = """() => [...document.querySelectorAll("a[href^='#']")].filter(
  link => !document.getElementById(link.hash.slice(1))).map(link => link.hash)"""
needs_chromium = pytest.mark.skipif(
    pdf.CHROMIUM is None, reason="needs Chromium (Debian: apt install chromium)"
)


@pytest.fixture
def site(tmp_path, monkeypatch):
    (tmp_path / "book").mkdir()
    (tmp_path / "_images").mkdir()
    (tmp_path / "_images/dot.svg").write_bytes((BOOK / "_static/favicon.svg").read_bytes())
    pages = {"one": ONE.replace("WIDE", "x" * 500), "two": TWO, "notation": MATHJAX}
    for name, text in pages.items():
        (tmp_path / f"book/{name}.html").write_text(f"<html><body>{text}</body></html>", "utf-8")
    monkeypatch.setattr(pdf, "listed", lambda: [BOOK / "one.ipynb", BOOK / "two.md"])
    return tmp_path


@needs_chromium
def test_pages_are_joined_and_their_links_stay_within(site):
    with pdf.served(site) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=pdf.CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 658, "height": 800})  # A4 less its margins
        page.emulate_media(media="print")
        pdf.join(page, address, ["book/one.html", "book/two.html"])
        assert page.locator("h1").all_inner_texts() == ["One", "Two"]
        assert page.evaluate(UNRESOLVED) == []
        links = page.eval_on_selector_all("a", "links => links.map(link => link.hash)")
        one, two = "#book-one-html--", "#book-two-html--"
        assert links == [f"{two}top", f"{two}a", f"{one}a", ""]  # the source is no page
        assert page.evaluate("typeset.length") == 2
        assert page.locator("details pre").is_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.locator("audio, script[type]").count() == 0
        assert page.get_by_text("To be heard in the book's page book/one.html").count() == 2
        browser.close()


@needs_chromium
def test_each_page_of_the_book_begins_on_a_sheet(site):
    target = site / "book.pdf"
    pdf.print_book(site, target)
    content = target.read_bytes()
    assert content.startswith(b"%PDF") and b"/Outlines" in content
    assert b"/Title (One)" in content
    assert len(re.findall(rb"/Type /Page\b", content)) == 2
    assert b"127.0.0.1" not in content


def test_without_chromium_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(pdf, "CHROMIUM", None)
    assert pdf.main() == 2
    assert capsys.readouterr().err == (
        "pdf: needs Chromium or Chrome (Debian: apt install chromium)\n"
    )
