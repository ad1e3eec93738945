"""Check the built pages: nothing is loaded from elsewhere, and nothing of ours is missing.

``make book`` runs it after the build. Links that a reader may follow lead where they like; what a
page loads by itself (scripts, styles, fonts, pictures, sound) must lie in the book.
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADING_LINKS = {"stylesheet", "icon", "preload", "modulepreload", "prefetch", "manifest"}
CSS_URL = re.compile(r"""(?:url\(|@import)\s*["']?(?:https?:)?//[^"')\s]+""")


class Page(HTMLParser):
    """Collects what a page loads and which pages of ours it links to."""

    def __init__(self):
        super().__init__()
        self.loaded, self.linked = [], []

    def handle_starttag(self, tag, attrs):
        """Note the address in a start tag."""
        attrs = dict(attrs)
        if tag == "a" and "href" in attrs:
            self.linked.append(attrs["href"])
        elif tag == "link" and LOADING_LINKS & set((attrs.get("rel") or "").split()):
            self.loaded.append(attrs["href"])
        elif tag != "a":
            self.loaded += [attrs[name] for name in ("src", "data", "poster") if attrs.get(name)]


def faults(site: Path) -> list[str]:
    """One line for each address that is loaded from elsewhere or leads to no file of `site`."""
    found = []
    for path in sorted(site.rglob("*.html")):
        if "_static" in path.parts:  # templates of the theme, not pages
            continue
        page = Page()
        page.feed(path.read_text(encoding="utf-8"))
        name = path.relative_to(site)
        found += [f"{name}: loads {url}" for url in page.loaded if urlsplit(url).netloc]
        for url in page.loaded + page.linked:
            parts = urlsplit(url)
            if parts.scheme or parts.netloc or not parts.path:
                continue
            if not (path.parent / unquote(parts.path)).exists():
                found.append(f"{name}: {url} is missing")
    for path in sorted(site.rglob("*.css")):
        text = path.read_text(encoding="utf-8")
        found += [f"{path.relative_to(site)}: loads {url}" for url in CSS_URL.findall(text)]
    return found


def main() -> int:
    """Print the faults of the site named on the command line; return 1 if there are any."""
    site = Path(sys.argv[1])
    found = faults(site)
    if not (site / "index.html").exists():
        found.append("index.html is missing")
    print("\n".join(found) or f"{site}: pages complete, nothing loaded from elsewhere")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
