"""The line under the prompt that says what sending will cost, counted exactly, before it is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.timer import Timer

from qwen3_chat.app.tui import format
from qwen3_chat.app.tui.control.commands import parse
from qwen3_chat.app.tui.control.draft import Draft
from qwen3_chat.app.tui.control.part import Part
from qwen3_chat.models.errors import Qwen3Error

if TYPE_CHECKING:
    from qwen3_chat.app.chat.budget import Budget
    from qwen3_chat.app.tui.screens.chat import ChatScreen

_PAUSE_S = 0.15  # after the last key, before it is counted


class BudgetLine(Part):
    """Counts what is in the prompt now, in the place where it would stand."""

    def __init__(self, chat: ChatScreen) -> None:
        super().__init__(chat)
        self._timer: Timer | None = None

    def measure_soon(self) -> None:
        """Count at the next pause in typing."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.chat.set_timer(_PAUSE_S, self.measure)

    def measure(self) -> None:
        """Count now, and show it."""
        draft = Draft(self.prompt.area.text.strip(), self.chat.editing.message)
        if draft.replaces is None and parse(draft.typed, self.chat.thinking_mode) is not None:
            draft = Draft("")  # a command costs nothing
        try:
            files = draft.files()
            budget = self.session.measure(draft.text(self.prompt.area.pastes, files), draft.place)
        except Qwen3Error as error:
            self.prompt.show_budget(f"✗ {error}", over=True)
            return
        if budget is None:
            self.prompt.show_budget("")
        else:
            self.prompt.show_budget(" · ".join(self._words(budget, len(files))), over=not budget.fits)

    def _words(self, budget: Budget, files: int) -> list[str]:
        words = [] if self.session.thinking is not False else ["no thinking"]
        if files:
            words.append("1 file" if files == 1 else f"{files} files")
        cost = f"{format.exact(budget.draft_tokens)} tok" if budget.draft_tokens else ""
        if budget.fits:
            words += [cost] if cost else []
            words.append(f"{'fits, ' if cost else ''}{format.short(budget.left)} tok left")
        else:
            words.append(f"✗ {cost}{', ' if cost else ''}{format.exact(-budget.left)} tok too many")
        return words
