"""Write the repository's address into ``_config.yml``, and show the buttons that need it.

``make address URL=https://github.com/OWNER/NAME`` runs it, with any Python: it needs no package. No
other file holds the address. Run again it writes another one.
"""

import re
import sys
from pathlib import Path

CONFIG = Path(__file__).resolve().parent.parent / "_config.yml"
# GitHub's alone: Colab opens notebooks from nowhere else.
ADDRESS = re.compile(r"(https://github\.com/[A-Za-z0-9-]+/[A-Za-z0-9._-]+?)(?:\.git)?/?")
BLOCK = re.compile(r"^(?:# )?repository:\n(?:.+\n)+", re.MULTILINE)  # to the next empty line
BUTTONS = re.compile(r"^(  use_(?:repository|issues)_button:) false", re.MULTILINE)


def with_address(config: str, address: str) -> str:
    """Text of a configuration, with the address and the buttons; its comments stay."""

    def shown(block):
        lines = re.sub(r"^# ", "", block.group(), flags=re.MULTILINE)
        return re.sub(r"^(  url:) \S+", rf"\1 {address}", lines, flags=re.MULTILINE)

    return BUTTONS.sub(r"\1 true", BLOCK.sub(shown, config))


def main(words: list[str], path: Path = CONFIG) -> int:
    """Write the one address in `words`; return 2 if it is none."""
    given = ADDRESS.fullmatch(words[0]) if len(words) == 1 else None
    if not given or given.group(1).endswith("/OWNER/NAME"):
        usage = "make address URL=https://github.com/OWNER/NAME"
        print(f"address: say {usage}, with your OWNER and NAME", file=sys.stderr)
        return 2
    address = given.group(1)
    path.write_text(with_address(path.read_text(encoding="utf-8"), address), encoding="utf-8")
    print(f"{path.name}: {address}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
