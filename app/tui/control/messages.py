"""The message cursor: where it is, where it goes, and what it copies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qwen3_chat.app.chat.code_blocks import code_blocks
from qwen3_chat.app.chat.conversation import Message
from qwen3_chat.app.tui.actions import Scope
from qwen3_chat.app.tui.control.annotations import place_of
from qwen3_chat.app.tui.control.part import Part
from qwen3_chat.app.tui.widgets.entry import Entry
from qwen3_chat.app.tui.widgets.find_bar import FindBar
from qwen3_chat.app.tui.widgets.header import HeaderLine
from qwen3_chat.app.tui.widgets.hints import HintLine
from qwen3_chat.app.tui.widgets.token_lens import TokenText

if TYPE_CHECKING:
    from qwen3_chat.app.tui.screens.chat import ChatScreen


class Messages(Part):
    """The cursor is the focus: an entry that has it takes the keys of messages."""

    def __init__(self, chat: ChatScreen) -> None:
        super().__init__(chat)
        self._copied: tuple[str, int] | None = None  # message, and which of its blocks was copied last

    @property
    def cursor(self) -> Entry | None:
        """The entry under the cursor; None while the person writes."""
        return self.chat.focused if isinstance(self.chat.focused, Entry) else None

    @property
    def target(self) -> Entry | None:
        """The entry that a message's action is about: under the cursor, or the newest message."""
        if self.cursor is not None:
            return self.cursor
        entries = [entry for entry in self.transcript.entries if entry.message is not None]
        return entries[-1] if entries else None

    def about(self) -> Message | None:
        """The message that an action is about; says so if there is none."""
        target = self.target
        if target is not None and target.message is not None:
            return target.message
        self.chat.say("there is no message yet" if target is None else "this is a note, not a message")
        return None

    def go_to(self, message: Message) -> None:
        """Put the cursor on a message of the path."""
        if (entry := self.transcript.entry_of(message)) is not None:
            self.chat.set_focus(self.transcript.reveal(entry))

    def leave(self) -> bool:
        """Back to the prompt. False if the cursor was there."""
        if self.cursor is None:
            return False
        self.chat.set_focus(self.prompt.area)
        return True

    def moved(self) -> None:
        """The focus has changed: other keys matter on a message than in the prompt."""
        cursor = self.cursor
        elsewhere: Scope = "chat" if self.chat.query_one(FindBar).has_focus_within else "prompt"
        elsewhere = "lens" if isinstance(self.chat.focused, TokenText) else elsewhere
        self.chat.query_one(HintLine).scope = "message" if cursor is not None else elsewhere
        message = cursor.message if cursor is not None else None
        place = place_of(message, self.session.conversation) if message is not None else ""
        self.chat.query_one(HeaderLine).place = place

    def move(self, step: int, *, to_end: bool = False) -> None:
        """Go up or down; below the last message is the prompt."""
        here = self.cursor
        if here is None and step > 0:
            return
        target = self.transcript.step(here, step, to_end=to_end)
        if target is None:
            self.chat.set_focus(self.prompt.area)
            self.transcript.latest()
        else:
            self.chat.set_focus(target)  # at once: the next key is the message's

    def action_cursor_previous(self) -> None:
        """Up, from the prompt into the transcript."""
        self.move(-1)

    def action_cursor_next(self) -> None:
        """Down."""
        self.move(1)

    def action_message_code(self) -> None:
        """Copy the first code block, and with every further press the next one."""
        message = self.about()
        if message is None:
            return
        blocks = code_blocks(message.content)
        if not blocks:
            self.chat.say("there is no code block in it")
            return
        number = self._copied[1] + 1 if self._copied is not None and self._copied[0] == message.id else 0
        number %= len(blocks)
        self._copied = (message.id, number)
        block = blocks[number]
        self.chat.app.copy_to_clipboard(block.code)
        language = f" ({block.language})" if block.language else ""
        self.chat.say(f"copied code block {number + 1} of {len(blocks)}{language}")
