"""The saved chats of one window: the one that is open is kept saved, and so is one that was left until it has ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from qwen3_chat.app.chat.conversation import Conversation
from qwen3_chat.app.chat.errors import HistoryError, OptionError
from qwen3_chat.app.chat.history.autosave import Autosave
from qwen3_chat.app.chat.history.record import interrupt
from qwen3_chat.app.chat.history.store import PATIENCE_S, ChatSummary, Store
from qwen3_chat.app.chat.options import ChatOptions

__all__ = ["History", "Opened", "open_chat"]

INTERVAL_S = 0.7  # between saves of a growing reply: a killed program loses no more than that, and what one poll brings
HURRY_S = 0.1  # that a save may wait for another program while somebody waits for it; the next one makes up for it


class History:
    """Give it the conversation that is open, often (`keep`) and before it matters (`save`). No save raises."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self.store = store
        self._clock = clock
        self._current: Autosave | None = None
        self._left: list[Autosave] = []  # chats that were left while a reply was being written
        self._next = float("-inf")
        self._deleted: list[str] = []

    @property
    def problem(self) -> str | None:
        """Why the last save failed; None if all is saved."""
        return self._current.problem if self._current is not None else None

    @property
    def current(self) -> Autosave | None:
        """The open chat; None before its first save."""
        return self._current

    def open(self, chat: ChatSummary) -> Conversation:
        """Load a chat and make it the open one: it is what `keep` and `save` are given from now on.

        Raises HistoryError if another window has it open.
        """
        for autosave in (self._current, *self._left):
            if autosave is not None and autosave.chat_id == chat.id:
                self._switch(autosave.conversation)
                return autosave.conversation
        if not self.store.locks.take(chat.number):
            raise HistoryError(f"chat {chat.short_id} is open in another window; close it there first")
        try:
            self.store.interrupt(chat.number)
            saved = self.store.load(chat.id)
        except BaseException:
            self.store.locks.release(chat.number)
            raise
        self._left.append(Autosave(self.store, saved.conversation, saved))
        self._switch(saved.conversation)
        return saved.conversation

    def keep(self, conversation: Conversation) -> None:
        """Save what is new in the open conversation, if it is time to. Cheap enough to call at every tick."""
        if self._clock() >= self._next:
            self.save(conversation)
            self._next = self._clock() + INTERVAL_S

    def save(self, conversation: Conversation, patience_s: float = HURRY_S) -> None:
        """Save what is new in the open conversation, now; what comes next is saved by the next `keep`."""
        self._switch(conversation)
        assert self._current is not None
        self._current.save(patience_s)
        for autosave in [left for left in self._left if not left.streaming]:
            if autosave.close(patience_s):
                self._left.remove(autosave)
        for autosave in self._left:
            autosave.save(patience_s)
        self._next = self._clock()

    def delete(self, chat_id: str) -> None:
        """Hide a chat until `undelete`; `close` removes it for good. Raises HistoryError."""
        self.store.delete(chat_id)
        self._deleted.append(chat_id)

    def undelete(self) -> str | None:
        """Have the chat back that was deleted last. Its id; None if there is none. Raises HistoryError."""
        if not self._deleted:
            return None
        self.store.undelete(self._deleted[-1])
        return self._deleted.pop()

    @property
    def current_is_deleted(self) -> bool:
        """The open chat is one of those that `close` will remove."""
        return self._current is not None and self._current.chat_id in self._deleted

    def rename(self, chat_id: str, title: str) -> None:
        """Give a chat a title. Raises HistoryError."""
        for autosave in (self._current, *self._left):
            if autosave is not None and autosave.chat_id == chat_id:
                autosave.entitle(title, "person")
        self.store.rename(chat_id, title)

    def close(self) -> str | None:
        """Save everything a last time and let go. Why something could not be saved, if so; nothing is asked twice."""
        problems = []
        for autosave in (*self._left, *([self._current] if self._current is not None else [])):
            for message in autosave.conversation.messages():
                if message.state == "streaming":  # nobody will write on
                    message.state, message.finish_reason = "stopped", "cancelled"
            if not autosave.close(PATIENCE_S):
                problems.append(autosave.problem)
        self._left, self._current = [], None
        for chat_id in self._deleted:
            try:
                self.store.forget(chat_id)
            except HistoryError as error:
                problems.append(str(error))
        self.store.close()
        return problems[0] if problems else None

    def __enter__(self) -> History:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _switch(self, conversation: Conversation) -> None:
        """Make this the open conversation; what was open is left."""
        if self._current is not None and self._current.conversation is conversation:
            return
        if self._current is not None:
            self._left.append(self._current)
        known = next((left for left in self._left if left.conversation is conversation), None)
        if known is not None:
            self._left.remove(known)
        self._current = known or Autosave(self.store, conversation)


@dataclass(frozen=True, slots=True)
class Opened:
    """What a front starts with."""

    conversation: Conversation
    history: History | None  # None: nothing is saved
    problem: str | None  # why nothing is saved though it should be


def open_chat(options: ChatOptions, clock: Callable[[], float] = time.monotonic) -> Opened:
    """The chat that -c or -r asks for, else an empty one, and where it is saved.

    A history that cannot be opened is a reason to say so, not to refuse to talk; only -c and -r cannot do without it.
    Raises OptionError for a chat that is not there, HistoryError for one that cannot be read.
    """
    resumes = options.continue_last or options.resume is not None
    if not options.save and not resumes:
        return Opened(Conversation(options.system), None, None)
    try:
        history = History(Store(), clock)
    except HistoryError as error:
        if resumes:
            raise
        return Opened(Conversation(options.system), None, str(error))
    if not resumes:
        return Opened(Conversation(options.system), history, None)
    try:
        chat = _wanted(history.store, options)
        conversation = history.open(chat) if options.save else _copy(history.store, chat)
    except BaseException:
        history.close()
        raise
    if options.system is not None:
        conversation.system = options.system
    if not options.save:
        history.close()
    return Opened(conversation, history if options.save else None, None)


def _copy(store: Store, chat: ChatSummary) -> Conversation:
    """The chat as it is saved now, whoever has it open."""
    conversation = store.load(chat.id).conversation
    for message in conversation.messages():
        if message.state == "streaming":
            interrupt(message)
    return conversation


def _wanted(store: Store, options: ChatOptions) -> ChatSummary:
    if options.resume is not None:
        return store.find(options.resume, "argument -r")
    chat = store.latest()
    if chat is None:
        raise OptionError("argument -c: there is no saved chat to go on with")
    return chat
