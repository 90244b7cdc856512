"""The prompt as the editor of a message: what is sent becomes a new version of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qwen3_chat.app.chat.conversation import Message
from qwen3_chat.app.tui.control.draft import Draft
from qwen3_chat.app.tui.control.part import Part

if TYPE_CHECKING:
    from qwen3_chat.app.tui.screens.chat import ChatScreen

_WHOSE = {"user": "your message", "assistant": "the answer", "summary": "the summary"}


class Editing(Part):
    """One edit at a time. The draft that was in the prompt before is kept and comes back."""

    def __init__(self, chat: ChatScreen) -> None:
        super().__init__(chat)
        self.message: Message | None = None  # what is edited
        self._kept = ""

    def begin(self, message: Message, text: str | None = None) -> None:
        """Edit a message, from `text` on if that is what has become of it already."""
        if self.message is None:
            self._kept = self.prompt.area.text
        self.message = message
        send, back = self.chat.keymap.shown("prompt.send"), self.chat.keymap.shown("turn.stop")
        self.prompt.show_editing(f"editing {_WHOSE[message.role]} · {send} as a new version, {back} leaves it as it is")
        self.prompt.area.put(message.content if text is None else text)
        self.chat.set_focus(self.prompt.area)
        self.chat.budget_line.measure()

    def leave(self) -> bool:
        """Back to the draft; an edit that was begun can be had from the history. False if nothing was edited."""
        if self.message is None:
            return False
        text = self.prompt.area.text.strip()
        if text and text != self.message.content.strip():
            self.prompt.area.remember(text)
            self.chat.say("left; the edited text is in the history")
        self.prompt.area.put("")
        self._end()
        return True

    def submit(self, typed: str) -> None:
        """The new version, as soon as the engine is free; the reply that runs is stopped for it."""
        message = self.message
        assert message is not None
        self._end()
        draft = Draft(typed, message)
        if typed == message.content.strip():
            self.chat.say("nothing was changed")
        elif message.role == "user":
            self.chat.sending.at_once(lambda: self.chat.sending.measure_and_start(draft), draft)
        else:
            self.chat.sending.at_once(lambda: self._replace(draft), draft)

    async def _replace(self, draft: Draft) -> None:
        """An answer in the person's words. It stands; going on from it is another wish."""
        assert draft.replaces is not None
        edited = self.session.conversation.edit(draft.replaces.id, draft.typed)
        self.session.rest()
        await self.chat.show_path()
        self.chat.messages.go_to(edited)
        if edited.role == "assistant":
            self.chat.say(f"a new version; {self.chat.keymap.shown('turn.continue')} lets the model go on from it", 6.0)

    def _end(self) -> None:
        self.message = None
        self.prompt.show_editing(None)
        self.prompt.area.give_back(self._kept)  # before what was typed since
        self._kept = ""
        self.chat.budget_line.measure()
