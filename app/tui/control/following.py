"""The reply that is being written: its way from the engine to its entry, and what is noticed on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qwen3_chat.app.tui.control.annotations import annotate
from qwen3_chat.app.tui.control.part import Part
from qwen3_chat.app.tui.stream import ReplyStream
from qwen3_chat.app.tui.widgets.assistant_message import AssistantMessage
from qwen3_chat.app.tui.widgets.note import Note

if TYPE_CHECKING:
    from qwen3_chat.app.chat.turn import Turn
    from qwen3_chat.app.tui.screens.chat import ChatScreen


class Following(Part):
    """One reply at a time."""

    def __init__(self, chat: ChatScreen) -> None:
        super().__init__(chat)
        self.stream: ReplyStream | None = None  # None: nothing is written, and all that was is painted
        self._noted_loop = False

    async def follow(self, turn: Turn) -> None:
        """Show a reply while it is written. The message cursor goes with it, if there is one."""
        cursor = self.chat.messages.cursor
        path = self.session.conversation.path()
        await self.transcript.show(path[: path.index(turn.message)])  # a reply that goes on has an entry already
        await self.chat.show_path()
        entry = self.transcript.entry_of(turn.message)
        assert isinstance(entry, AssistantMessage)
        self.stream = ReplyStream(turn, entry, self.transcript.shows, self.chat.clock)
        self._noted_loop = False
        if cursor is not None:
            self.chat.set_focus(entry)
        self.transcript.latest()
        self.chat.lens.follow(turn.message)
        self.chat.refresh_meters()
        self.chat.budget_line.measure()

    def forget(self) -> None:
        """The chat is left: its reply comes to its end unseen."""
        self.stream = None

    async def poll(self) -> None:
        """Called by the timer: take what has come."""
        if self.stream is None:
            return
        if self.stream.poll():
            self.stream = None
            if not self.chat.sending.waits:
                self.session.rest()
            annotate(self.transcript, self.session.conversation)
            self.chat.lens.refresh()
            self.chat.refresh_meters()
            self.chat.budget_line.measure_soon()
        elif not self._noted_loop and self.stream.turn.loops:
            self._noted_loop = True
            await self.transcript.add(self._loop_note())

    def _loop_note(self) -> Note:
        stop, panel = self.chat.keymap.shown("turn.stop"), self.chat.keymap.shown("turn.sampling")
        return Note(
            "warning",
            "The reply goes round in a circle",
            "With temperature 0 the likeliest token is always taken, and it can lead back to itself.",
            f"{stop} stops it; a presence penalty of 1.5 breaks the circle ({panel} or /sampling)",
        )
