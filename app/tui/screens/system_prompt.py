"""The system prompt of a chat, in an editor of its own."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static, TextArea

from qwen3_chat.app.tui.keymap import Keymap


class SystemPromptScreen(ModalScreen[str | None]):
    """Dismissed with the text, or with None if it was left as it is."""

    def __init__(self, text: str, keymap: Keymap) -> None:
        super().__init__()
        self._text = text
        self._keymap = keymap

    def compose(self) -> ComposeResult:
        """What it is, the text, and the keys, which are the prompt's."""
        send, newline = self._keymap.shown("prompt.send"), self._keymap.shown("prompt.newline")
        with Vertical(classes="dialog"):
            yield Static("System prompt of this chat", classes="dialog-title", markup=False)
            yield Static("What the model is told before everything else, from the next reply on.", markup=False)
            yield SystemPromptArea(self._text, self._keymap)
            yield Static(
                f"{send} save   {newline} newline   esc leave it as it is", classes="dialog-keys", markup=False
            )


class SystemPromptArea(TextArea):
    """The text, with the keys of the prompt."""

    DEFAULT_CSS = """
    SystemPromptArea, SystemPromptArea:focus {
        height: auto; min-height: 3; max-height: 12; margin: 1 0; padding: 0 1; border: none; background: $panel;
    }
    """

    def __init__(self, text: str, keymap: Keymap) -> None:
        super().__init__(text, soft_wrap=True, show_line_numbers=False, highlight_cursor_line=False, compact=True)
        self.placeholder = "none"
        self._keymap = keymap

    def on_mount(self) -> None:
        """Go on behind what is there."""
        self.move_cursor(self.document.end)

    async def _on_key(self, event: events.Key) -> None:
        action = self._keymap.action("prompt", event.key)
        name = action.id if action is not None else ""
        if name in ("prompt.send", "prompt.newline") or event.key == "escape":
            event.stop()
            event.prevent_default()
            if name == "prompt.newline":
                self.insert("\n")
            else:
                self.screen.dismiss(None if event.key == "escape" else self.text)
