"""Keeps the chats of a window saved, says so when that fails, and has the model find titles.

Without a history (--no-save, or a database that cannot be opened) it does nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qwen3_chat.app.chat.history.titles import TitleRequest, can_entitle, first_line

if TYPE_CHECKING:
    from qwen3_chat.app.chat.conversation import Conversation
    from qwen3_chat.app.chat.history import History, Opened
    from qwen3_chat.app.chat.model import ChatModel


class Keeper:
    """Between the session and the history. `tick` is called by the interface's timer; nothing here waits."""

    def __init__(self, opened: Opened | None) -> None:
        """`opened`: where the chat is saved; None: nowhere."""
        self.history: History | None = opened.history if opened is not None else None
        self._unopened = opened.problem if opened is not None else None
        self._told: str | None = None  # the problem that the person has been told of
        self._request: TitleRequest | None = None
        self._asked: set[str] = set()  # chats for which the model was asked; once is enough
        self._for = ""

    @property
    def problem(self) -> str | None:
        """Why the chat, or the newest of it, is not saved; None if it is, or shall not be."""
        return self.history.problem if self.history is not None else self._unopened

    @property
    def asking(self) -> bool:
        """The model is looking for a title."""
        return self._request is not None

    def news(self) -> str | None:
        """The problem, if the person has not been told of it yet."""
        problem, told = self.problem, self._told
        self._told = problem
        return problem if problem != told else None

    def title(self, conversation: Conversation) -> str:
        """What this chat is called; "" before anything was said."""
        current = self.history.current if self.history is not None else None
        if current is not None and current.conversation is conversation:
            return current.title
        path = conversation.path()
        return first_line(path[0].content) if path else ""

    def before_reply(self, conversation: Conversation) -> None:
        """The question is saved before anybody answers it, and nothing else shall keep the engine busy."""
        if self._request is not None:
            self._request.stop()
            self._asked.discard(self._for)
        if self.history is not None:
            self.history.save(conversation)

    def tick(self, conversation: Conversation, resting: ChatModel | None) -> None:
        """Save what is new, if it is time to. `resting`: the model, when it has nothing to do."""
        if self.history is None:
            return
        self.history.keep(conversation)
        if self._request is not None:
            self._poll_title(conversation)
        elif resting is not None:
            self._ask_for_title(conversation, resting)

    def close(self, conversation: Conversation) -> None:
        """The last save; then the file is let go."""
        self._request = None
        if self.history is not None:
            self.history.save(conversation)
            self._unopened, self.history = self.history.close(), None

    def _ask_for_title(self, conversation: Conversation, model: ChatModel) -> None:
        assert self.history is not None
        chat = self.history.current
        if chat is None or chat.titled_by != "first line" or chat.chat_id in self._asked or not can_entitle(model):
            return
        if not any(message.role == "assistant" and message.state == "complete" for message in conversation.path()):
            return
        self._asked.add(chat.chat_id)
        self._for = chat.chat_id
        self._request = TitleRequest(model, conversation)

    def _poll_title(self, conversation: Conversation) -> None:
        assert self.history is not None
        request, chat = self._request, self.history.current
        if request is None or not request.poll():
            return
        self._request = None
        if request.title is None:
            return
        if chat is not None and chat.chat_id == self._for and chat.titled_by == "first line":
            chat.entitle(request.title, "model")
            self.history.save(conversation)
