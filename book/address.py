"""Write the repository's address into ``_config.yml``, and show the buttons that need it.

``make address URL=https://github.com/OWNER/NAME`` runs it, with any Python: it needs no package.
The address stands in ``_config.yml``, and besides only in the cell with which each notebook starts:
Colab knows nothing but the notebook. Run again it writes another one.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UNSET = "https://github.com/OWNER/NAME"
SETUP = """\
# In Colab: install the package. What Colab has already, TensorFlow and NumPy too, stays if it can.
import sys

if "google.colab" in sys.modules:
    !pip install "cvae @ git+{address}" | grep -v "already satisfied"

from cvae.quiet import import_tensorflow

import_tensorflow()  # without what it writes to the log when it starts
"""
# GitHub's alone: Colab opens notebooks from nowhere else.
ADDRESS = re.compile(r"(https://github\.com/[A-Za-z0-9-]+/[A-Za-z0-9._-]+?)(?:\.git)?/?")
BLOCK = re.compile(r"^(?:# )?repository:\n(?:.+\n)+", re.MULTILINE)  # to the next empty line
INSTALLED = re.compile(r"(cvae @ git\+)https://github\.com/[A-Za-z0-9-]+/[A-Za-z0-9._-]+")
BUTTONS = re.compile(r"^(  use_(?:repository|issues)_button:) false", re.MULTILINE)


def with_address(config: str, address: str) -> str:
    """Text of a configuration, with the address and the buttons; its comments stay."""

    def shown(block):
        lines = re.sub(r"^# ", "", block.group(), flags=re.MULTILINE)
        return re.sub(r"^(  url:) \S+", rf"\1 {address}", lines, flags=re.MULTILINE)

    return BUTTONS.sub(r"\1 true", BLOCK.sub(shown, config))


def main(words: list[str], root: Path = ROOT) -> int:
    """Write the one address in `words`; return 2 if it is none."""
    given = ADDRESS.fullmatch(words[0]) if len(words) == 1 else None
    if not given or given.group(1) == UNSET:
        usage = f"make address URL={UNSET}"
        print(f"address: say {usage}, with your OWNER and NAME", file=sys.stderr)
        return 2
    address = given.group(1)
    config = root / "_config.yml"
    config.write_text(with_address(config.read_text(encoding="utf-8"), address), encoding="utf-8")
    notebooks = sorted((root / "book").glob("*.ipynb"))
    for path in notebooks:
        text = INSTALLED.sub(rf"\1{address}", path.read_text(encoding="utf-8"))
        path.write_text(text, encoding="utf-8")
    print(f"{config.name} and {len(notebooks)} notebooks: {address}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
