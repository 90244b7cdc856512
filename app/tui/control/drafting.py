"""Help with writing: the completion menu, the person's own editor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from textual.app import SuspendNotSupported

from qwen3_chat.app.tui.completer import Completer, FileIndex
from qwen3_chat.app.tui.control.part import Part
from qwen3_chat.app.tui.editor import EditorError, edit

if TYPE_CHECKING:
    from qwen3_chat.app.tui.screens.chat import ChatScreen


class Drafting(Part):
    """What happens around the text before it is sent."""

    def __init__(self, chat: ChatScreen) -> None:
        super().__init__(chat)
        self.completer = Completer(FileIndex(Path.cwd()), lambda: chat.thinking_mode)
        self._offered = self.completer.index.names

    def poll(self) -> None:
        """Called by the timer: files that were not known when the menu opened are offered now."""
        names = self.completer.index.names
        if names is not self._offered:
            self._offered = names
            self.prompt.area.look_for_completions()

    def write_in_editor(self) -> None:
        """Lend the terminal to the editor, and take over what it leaves. Large pastes are shown there in full."""
        area = self.prompt.area
        before = area.pastes.expand(area.text)
        try:
            with self.chat.app.suspend():
                written = edit(before)
        except SuspendNotSupported:
            self.chat.say("this terminal cannot be lent to an editor")
            return
        except EditorError as error:
            self.chat.say(str(error), 8.0)
            return
        if written != before:
            area.put(written)
        self.chat.sending.measure()
