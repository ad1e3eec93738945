"""Check the built pages: nothing is loaded from elsewhere, and nothing of ours is missing.

``make book`` runs it after the build. Links that a reader may follow lead where they like; what a
page loads by itself (scripts, styles, fonts, pictures, sound, and so badges) must lie in the book.
Buttons lead to the repository that ``_config.yml`` names; while it names none, there are none.
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import yaml

CONFIG = Path(__file__).resolve().parent.parent / "_config.yml"
LOADING_LINKS = {"stylesheet", "icon", "preload", "modulepreload", "prefetch", "manifest"}
CSS_URL = re.compile(r"""(?:url\(|@import)\s*["']?(?:https?:)?//[^"')\s]+""")


class Page(HTMLParser):
    """Collects what a page loads, which pages of ours it links to, and where its buttons lead."""

    def __init__(self):
        super().__init__()
        self.loaded, self.linked, self.buttons = [], [], []

    def handle_starttag(self, tag, attrs):
        """Note the address in a start tag."""
        attrs = dict(attrs)
        if tag == "a" and "href" in attrs:
            self.linked.append(attrs["href"])
            if "btn" in (attrs.get("class") or "").split() and urlsplit(attrs["href"]).netloc:
                self.buttons.append(attrs["href"])
        elif tag == "link" and LOADING_LINKS & set((attrs.get("rel") or "").split()):
            self.loaded.append(attrs["href"])
        elif tag != "a":
            self.loaded += [attrs[name] for name in ("src", "data", "poster") if attrs.get(name)]


def wrong_buttons(buttons: list[str], repository: dict, notebook: str | None) -> list[str]:
    """Say which buttons of a page lead elsewhere than to `repository`, and which are not there.

    `repository` is that of the configuration, empty while there is none; `notebook` is the page's
    path in it, if it is a notebook.
    """
    url = repository.get("url", "")
    project, branch = urlsplit(url).path.strip("/"), repository.get("branch")
    launches = {
        f"https://colab.research.google.com/github/{project}/blob/{branch}/{notebook}",
        f"https://mybinder.org/v2/gh/{project}/{branch}?urlpath=lab/tree/{notebook}",
    }
    wanted = launches if url and notebook else set()
    found = [f"no button to {button}" for button in sorted(wanted - set(buttons))]
    for button in buttons:
        ours = url and (button == url or button.startswith(f"{url}/issues/new?"))
        if button not in wanted and not ours:
            found.append(f"a button to {button}, which is not of the repository in _config.yml")
    return found


def faults(site: Path, repository: dict) -> list[str]:
    """One line for each address that is loaded from elsewhere or leads to no file of `site`.

    And one for each button that is not as `repository`, of the configuration, has it.
    """
    found = []
    for path in sorted(site.rglob("*.html")):
        if "_static" in path.parts:  # templates of the theme, not pages
            continue
        page = Page()
        page.feed(path.read_text(encoding="utf-8"))
        name = path.relative_to(site)
        found += [f"{name}: loads {url}" for url in page.loaded if urlsplit(url).netloc]
        source = name.with_suffix(".ipynb")
        notebook = source.as_posix() if (site / "_sources" / source).exists() else None
        wrong = wrong_buttons(page.buttons, repository, notebook)
        found += [f"{name}: {fault}" for fault in wrong]
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
    config = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    found = faults(site, config.get("repository", {}))
    if not (site / "index.html").exists():
        found.append("index.html is missing")
    print("\n".join(found) or f"{site}: pages complete, nothing loaded from elsewhere")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
