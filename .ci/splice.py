"""Puts standard input between two marks of a file: splice.py README.md measured.

The marks are lines of their own, `<!-- measured: begin -->` and `<!-- measured: end -->`. Without input, or without
exactly one pair of marks in order, the file stays as it is and the exit code is 1.
"""

from __future__ import annotations

import sys
from pathlib import Path


def splice(text: str, name: str, content: str) -> str:
    """The text with the content between the marks of this name. Raises ValueError."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise ValueError(f"expected one pair of marks {begin.strip()} and {end.strip()}")
    head, rest = text.split(begin)
    return head + begin + content.strip("\n") + "\n" + end + rest.split(end)[1]


def main() -> int:
    """Rewrite the file."""
    path, name = Path(sys.argv[1]), sys.argv[2]
    content = sys.stdin.read()
    if not content.strip():
        sys.exit(f"{path}: nothing to put there")  # what came before in the pipe has said why
    try:
        text = splice(path.read_text(encoding="utf-8"), name, content)
    except ValueError as error:
        sys.exit(f"{path}: {error}")
    path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
