"""How a message gets from the prompt to the engine: measured, queued while it must wait, or given back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual import on
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import TextArea

from qwen3_chat.app.tui import format
from qwen3_chat.app.tui.session import Session
from qwen3_chat.app.tui.stream import ReplyStream
from qwen3_chat.app.tui.widgets.assistant_message import AssistantMessage
from qwen3_chat.app.tui.widgets.entry import Entry
from qwen3_chat.app.tui.widgets.note import Note
from qwen3_chat.app.tui.widgets.prompt import Prompt, PromptArea
from qwen3_chat.app.tui.widgets.transcript import Transcript
from qwen3_chat.app.tui.widgets.user_message import UserMessage
from qwen3_chat.app.tui.widgets.welcome import Welcome
from qwen3_chat.models.errors import Qwen3Error

if TYPE_CHECKING:
    from qwen3_chat.app.chat.budget import Budget
    from qwen3_chat.app.tui.screens.over_budget import Choice

_MEASURE_S = 0.15  # after the last key, before the budget is counted


class SendingScreen(Screen[None]):
    """The part of the chat screen that sends. A text is always in one place: prompt, queue, choice or conversation."""

    def __init__(self, session: Session, clock: Callable[[], float]) -> None:
        super().__init__()
        self.session = session
        self._clock = clock
        self._stream: ReplyStream | None = None
        self._measuring: Timer | None = None
        self._choosing = False  # a message waits for the person's choice
        self._load_failed = False

    @property
    def _transcript(self) -> Transcript:
        return self.query_one(Transcript)

    @property
    def _prompt(self) -> Prompt:
        return self.query_one(Prompt)

    @property
    def _welcome(self) -> Welcome | None:
        found = self.query(Welcome)
        return found.first() if found else None

    def say(self, message: str, seconds: float = 3.0) -> None:
        """A hint in the status line, for a moment."""
        raise NotImplementedError

    def _refresh_meters(self) -> None:
        """Show at once what has changed."""
        raise NotImplementedError

    async def _send_queued(self) -> None:
        if self.session.queued is not None and not self._choosing and self.session.wake():
            text, self.session.queued = self.session.queued, None
            self._prompt.show_queued(None)
            await self._send(text)

    @on(PromptArea.Submitted)
    async def _submitted(self, event: PromptArea.Submitted) -> None:
        text = event.text
        if self._load_failed:
            self._give_back(text)
            self.say("there is no model to answer; ctrl+q quits")
        elif self.session.queued is not None:
            self._give_back(text)
            self.say("one message is waiting already; esc takes it back")
        elif self.session.wake():
            await self._send(text)
        else:
            self.session.queued = text
            self._prompt.show_queued(text)

    async def _send(self, text: str) -> None:
        try:
            budget = self.session.measure(text)
        except Qwen3Error as error:
            self._give_back(text)
            await self._transcript.add(Note("error", "The message was not sent", str(error), "edit it and send again"))
            return
        assert budget is not None
        if budget.fits:
            await self._start(text)
        else:
            self._ask_what_to_do(text, budget)

    def _ask_what_to_do(self, text: str, budget: Budget) -> None:
        from qwen3_chat.app.tui.screens.over_budget import OverBudget

        async def chosen(choice: Choice | None) -> None:
            self._choosing = False
            if choice == "drop":
                await self._drop_and_start(text)
            elif choice == "send":
                await self._start(text)
            else:
                self._give_back(text)

        self._choosing = True
        can_drop = any(not message.dropped for message in self.session.conversation.path())
        self.app.push_screen(OverBudget(budget, can_drop=can_drop), chosen)

    async def _drop_and_start(self, text: str) -> None:
        dropped = self.session.drop_oldest(text)
        if dropped is None:
            self._give_back(text)
            what = "The message does not fit even without the turns before it"
            await self._transcript.add(
                Note("error", what, what_next="make it shorter, or start with a larger --context")
            )
            return
        for entry in self._transcript.entries:
            if isinstance(entry, UserMessage | AssistantMessage):
                entry.changed()
        turns = sum(message.role == "user" for message in dropped)
        await self._start(text, Note("info", f"{turns} of the oldest turns left out of what is sent"))

    async def _start(self, text: str, *before: Entry) -> None:
        said, turn = self.session.send(text)
        reply = AssistantMessage(turn.message)
        if welcome := self._welcome:
            await welcome.remove()
        await self._transcript.add(*before, UserMessage(said), reply)
        self._transcript.latest()
        self._stream = ReplyStream(turn, reply, self._transcript.shows, self._clock)
        self._prompt.area.remember(text)
        self._refresh_meters()
        self._measure()

    def _give_back(self, text: str) -> None:
        self._prompt.area.give_back(text)
        self._measure()

    def _take_back_queued(self) -> None:
        if self.session.queued is not None:
            text, self.session.queued = self.session.queued, None
            self._prompt.show_queued(None)
            self._give_back(text)

    # The budget beside the prompt

    @on(TextArea.Changed)
    def _measure_soon(self) -> None:
        if self._measuring is not None:
            self._measuring.stop()
        self._measuring = self.set_timer(_MEASURE_S, self._measure)

    def _measure(self) -> None:
        try:
            budget = self.session.measure(self._prompt.area.text.strip())
        except Qwen3Error:
            budget = None  # sending says what is wrong
        thinking = "" if self.session.thinking is not False else "no thinking · "
        if budget is None:
            self._prompt.show_budget("")
        elif budget.fits:
            draft = f"{format.exact(budget.draft_tokens)} tok · fits, " if budget.draft_tokens else ""
            self._prompt.show_budget(f"{thinking}{draft}{format.short(budget.left)} tok left")
        else:
            draft = f"{format.exact(budget.draft_tokens)} tok, " if budget.draft_tokens else ""
            self._prompt.show_budget(f"{thinking}✗ {draft}{format.exact(-budget.left)} tok too many", over=True)
