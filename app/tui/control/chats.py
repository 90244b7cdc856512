"""The saved chats: keeping this one, and going to another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qwen3_chat.app.chat.errors import HistoryError
from qwen3_chat.app.tui.control.part import Part
from qwen3_chat.app.tui.widgets.note import Note

if TYPE_CHECKING:
    from qwen3_chat.app.chat.history import ChatSummary


class Chats(Part):
    """What the session's keeper saves, and its list."""

    async def poll(self) -> None:
        """Called by the timer: save what is new, and say so if that fails."""
        self.session.keep()
        if (problem := self.session.keeper.news()) is not None:
            note = Note("warning", "This chat is not saved", problem, "the chat goes on without")
            await self.transcript.add(note)

    def action_chat_sessions(self) -> None:
        """The saved chats."""
        from qwen3_chat.app.tui.screens.sessions import SessionsScreen

        keeper = self.session.keeper
        if keeper.history is None:
            self.chat.say("this window keeps no chats" if keeper.problem is None else "chats cannot be saved")
            return
        keeper.history.save(self.session.conversation)
        self.chat.app.push_screen(SessionsScreen(keeper.history, self.chat.keymap), self._chosen)

    async def _chosen(self, chat: ChatSummary | None) -> None:
        history = self.session.keeper.history
        if history is None:
            return
        if chat is None:
            if history.current_is_deleted:
                await self.chat.change_chat(None)
            return
        try:
            conversation = history.open(chat)
        except HistoryError as error:
            await self.transcript.add(Note("error", "The chat was not opened", str(error)))
            return
        if conversation is not self.session.conversation:
            await self.chat.change_chat(conversation)
