"""Large pastes stand in the prompt as a chip, `[pasted 120 lines]`, and are sent in full."""

from __future__ import annotations

__all__ = ["Pastes"]

MOST_LINES = 12  # a longer paste becomes a chip
MOST_CHARACTERS = 2000


class Pastes:
    """The texts behind the chips of one window."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def chip(self, text: str) -> str | None:
        """A chip for this paste; None if it is small enough to stand in the prompt itself."""
        lines = text.count("\n") + (not text.endswith("\n"))
        if lines <= MOST_LINES and len(text) <= MOST_CHARACTERS:
            return None
        size = f"{lines} lines" if lines > MOST_LINES else f"{len(text)} characters"
        chip, number = f"[pasted {size}]", 1
        while self._texts.setdefault(chip, text) != text:
            number += 1
            chip = f"[pasted {size} #{number}]"
        return chip

    def expand(self, text: str) -> str:
        """The text with every chip replaced by what it stands for."""
        for chip, pasted in self._texts.items():
            if chip in text:
                text = text.replace(chip, pasted.rstrip("\n"))
        return text
