"""Print the built pages as one PDF: ``make pdf`` runs it after ``make book``.

The pages are joined into one before they are printed, in the order of the table of contents, so
that links and bookmarks lead from chapter to chapter. Parts that are folded are open, and where a
sound is, a line says in which page to hear it.
"""

import contextlib
import functools
import shutil
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from execute import BOOK, listed
from playwright.sync_api import sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
SHELL = "book/notation.html"  # a page with maths and no widgets: its styles and scripts are used
MARGIN = {"top": "18mm", "bottom": "18mm", "left": "18mm", "right": "18mm"}
FOOTER = '<div style="font-size: 8px; width: 100%; text-align: center" class="pageNumber"></div>'
STYLE = """
  html { font-size: 12px; }
  body { display: block; }
  article.joined { break-before: page; }
  article.joined pre { white-space: pre-wrap; overflow-wrap: anywhere; overflow: visible; }
  article.joined :is(.headerlink, .copybtn, summary) { display: none !important; }
  article.joined * { max-height: none !important; }
  article.joined :is(h1, h2, h3, h4) { break-after: avoid; }
  article.joined figcaption, article.joined .caption-text { color: inherit; font-weight: normal; }
  article.joined img { break-inside: avoid; max-width: 100%; }
  article.joined table { font-size: 0.85em; }
  article.joined .pst-scrollable-table-container, article.joined .output { overflow: visible; }
"""

# In the browser. Names of sections are those of their page, so each gets its page's name before it.
JOIN = r"""async paths => {
  const joined = [];
  const name = (path, id) => `${path.replace(/\W/g, "-")}--${id}`;
  for (const path of paths) {
    const html = await (await fetch("/" + path)).text();
    const page = new DOMParser().parseFromString(html, "text/html");
    const article = page.querySelector("article");
    article.className = "joined";
    article.id = "top";
    for (const part of article.querySelectorAll("audio, script[type*=widget-view]")) {
      const line = document.createElement("p");
      line.textContent = `\u266a To be heard in the book's page ${path}`;
      part.replaceWith(line);
    }
    article.querySelectorAll("script, style").forEach(part => part.remove());
    article.querySelectorAll("details").forEach(part => { part.open = true; });
    const here = new URL(path, location.origin + "/");
    for (const image of article.querySelectorAll("img"))
      image.src = new URL(image.getAttribute("src"), here).href;
    for (const link of article.querySelectorAll("a[href]")) {
      const to = new URL(link.getAttribute("href"), here);
      if (to.origin !== location.origin) continue;
      const page = to.pathname.slice(1);
      if (paths.includes(page)) link.href = "#" + name(page, to.hash.slice(1) || "top");
      else link.replaceWith(...link.childNodes);
    }
    for (const part of [article, ...article.querySelectorAll("[id]")])
      part.id = name(path, part.id);
    joined.push(document.adoptNode(article));
  }
  document.title = joined[0].querySelector("h1").firstChild.textContent;
  document.body.replaceChildren(...joined);
  document.documentElement.dataset.theme = document.documentElement.dataset.mode = "light";
  await MathJax.startup.promise;
  await MathJax.typesetPromise(joined);
  await Promise.all([...document.images].map(image => {
    image.loading = "eager";
    return image.decode();
  }));
}"""


class Quiet(SimpleHTTPRequestHandler):
    """Serves without a line for each file."""

    def log_message(self, *args):
        """Say nothing."""


def join(page, address: str, paths: list[str]) -> None:
    """Open, in a browser's page, one page made of those that lie under `address` at `paths`."""
    page.set_default_timeout(600_000)  # ms; a slow machine needs minutes for the maths
    page.goto(f"{address}/{SHELL}")
    page.evaluate(JOIN, paths)
    page.add_style_tag(content=STYLE)


@contextlib.contextmanager
def served(site: Path):
    """Address at which the folder `site` is served meanwhile: pages in files may not be read."""
    handler = functools.partial(Quiet, directory=site)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def print_book(site: Path, target: Path) -> None:
    """Print the pages of `site` into the file `target`."""
    paths = [page.relative_to(BOOK.parent).with_suffix(".html").as_posix() for page in listed()]
    with served(site) as address, sync_playwright() as playwright:
        # Without its sandbox it starts for root, as in a container, too.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(color_scheme="light")
        join(page, address, paths)
        page.pdf(
            path=target,
            format="A4",
            margin=MARGIN,
            outline=True,
            tagged=True,
            display_header_footer=True,
            header_template="<span></span>",
            footer_template=FOOTER,
        )
        browser.close()


def main() -> int:
    """Print the site named first on the command line into the file named second."""
    if CHROMIUM is None:
        print("pdf: needs Chromium or Chrome (Debian: apt install chromium)", file=sys.stderr)
        return 2
    site, target = map(Path, sys.argv[1:])
    print_book(site, target)
    print(f"{target}: {target.stat().st_size / 1e6:.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
