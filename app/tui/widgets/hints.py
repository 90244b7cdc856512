"""The last line: the few keys that matter where the focus is now."""

from __future__ import annotations

from rich.style import Style
from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget

from qwen3_chat.app.tui.actions import ACTIONS, Action, Scope
from qwen3_chat.app.tui.keymap import Keymap
from qwen3_chat.app.tui.render.palette import Palette


class HintLine(Widget):
    """Made from the action list; hints that do not fit are left out whole."""

    DEFAULT_CSS = "HintLine { height: 1; padding: 0 1; }"

    scope: reactive[Scope] = reactive[Scope]("prompt")
    running: reactive[bool] = reactive(False)  # a reply can be stopped

    def __init__(self, keymap: Keymap) -> None:
        super().__init__()
        self._keymap = keymap

    def render(self) -> Text:
        """`key word` pairs, as many as fit."""
        palette = Palette.of(self.app)
        text = Text(no_wrap=True)
        for action in sorted(ACTIONS, key=self._order):
            key = self._keymap.shown(action.id)
            if not action.hint or not key or action.scope not in (self.scope, "chat"):
                continue
            away = self.scope in ("message", "lens")
            word = "back" if action.id == "turn.stop" and away else action.hint
            if action.id == "turn.stop" and not (self.running or away):
                continue
            hint = Text.assemble((key, Style(bold=True)), (f" {word}", Style(color=palette.muted)))
            gap = "   " if text else ""
            if text.cell_len + len(gap) + hint.cell_len > self.size.width:
                break
            text.append(gap).append_text(hint)
        return text

    def _order(self, action: Action) -> int:
        """What belongs to the place first; on a message or a token, the way back before that."""
        if self.scope in ("message", "lens") and action.id == "turn.stop":
            return 0
        return 1 if action.scope == self.scope else 2
