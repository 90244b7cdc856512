"""How well a few typed letters fit a name, and which files of a folder there are to fit."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

__all__ = ["best", "files_below", "score"]

MOST_FILES = 10_000  # they are all looked at with every key
_SKIPPED = {"__pycache__", "node_modules", "venv", "build", "target", "dist"}
_BOUNDARIES = "/._- "


def score(query: str, name: str) -> float | None:
    """How well the letters of `query` are found in `name` in this order, higher is better; None: they are not.

    Letters count more at the start of a word, in the file's own name and next to each other; long names count less.
    """
    if not query:
        return -len(name) / 100
    letters, lowered = query.casefold(), name.casefold()
    if len(lowered) != len(name):  # a case folding that changes places
        lowered = name.lower()
    if (at := lowered.rfind(letters)) >= 0:  # in one piece is best
        starts_name = at == 0 or lowered[at - 1] == "/"
        starts_word = starts_name or lowered[at - 1] in _BOUNDARIES
        in_file_name = at > lowered.rfind("/")
        return 10.0 * len(letters) + 3 * starts_name + 5 * starts_word + 4 * in_file_name - len(name) / 100
    total, place, previous = 0.0, 0, -2
    for letter in letters:
        found = lowered.find(letter, place)
        if found < 0:
            return None
        total += 1 + 2 * (found == previous + 1) + 2 * (found == 0 or lowered[found - 1] in _BOUNDARIES)
        place, previous = found + 1, found
    return total - len(name) / 100


def best(query: str, names: Iterable[str], count: int) -> list[str]:
    """The names that fit best, best first."""
    scored = ((score(query, name), name) for name in names)
    fitting = [(-value, name) for value, name in scored if value is not None]
    return [name for _, name in sorted(fitting)[:count]]


def files_below(folder: Path, most: int = MOST_FILES) -> list[str]:
    """Paths of files below a folder, relative to it, near ones first. Hidden and built things are left out."""
    found: list[str] = []
    level = [folder]
    while level and len(found) < most:
        below: list[Path] = []
        for place in level:
            try:
                entries = sorted(os.scandir(place), key=lambda entry: entry.name)
            except OSError:
                continue
            for entry in entries:
                if entry.name.startswith(".") or entry.name in _SKIPPED:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    below.append(Path(entry.path))
                elif entry.is_file():
                    found.append(os.path.relpath(entry.path, folder))
        level = below
    return found[:most]
