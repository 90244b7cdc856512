"""How a message gets from the prompt to the engine: at once, when its turn comes, or not at all.

A text is always in one place: prompt, queue, choice or conversation.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from qwen3_chat.app.chat.thinking import soft_switch
from qwen3_chat.app.tui.control.commands import parse
from qwen3_chat.app.tui.control.draft import Draft
from qwen3_chat.app.tui.control.part import Part
from qwen3_chat.app.tui.widgets.note import Note
from qwen3_chat.app.tui.widgets.queue_list import QueueList
from qwen3_chat.models.errors import Qwen3Error

if TYPE_CHECKING:
    from qwen3_chat.app.chat.budget import Budget
    from qwen3_chat.app.tui.screens.chat import ChatScreen
    from qwen3_chat.app.tui.screens.over_budget import Choice

Job = Callable[[], Awaitable[None]]


class Sending(Part):
    """The prompt's way out, and the queue in front of the engine."""

    def __init__(self, chat: ChatScreen) -> None:
        super().__init__(chat)
        self._next: tuple[Job, Draft | None] | None = None  # goes before everything that waits; and its text
        self._choosing = False  # a message waits for the person's choice
        self._told = False  # that prompts cannot be kept

    # In

    async def submit(self, typed: str) -> None:
        """Send it, take it as an edit, run it if it is a command, let it wait, or give it back."""
        if self.chat.editing.message is not None:
            self.chat.editing.submit(typed)
        elif (command := parse(typed, self.chat.thinking_mode)) is None:
            await self.send(typed)
        elif command.action is None:
            self.give_back(Draft(typed))
            self.chat.say(command.problem, 6.0)
        else:
            self.prompt.area.remember(typed)
            await self.chat.do(command.action.id, command.argument)

    async def send(self, typed: str) -> None:
        """Send a message as soon as it is possible, behind what waits already."""
        if self.chat.model_load.failed:
            self.give_back(Draft(typed))
            self._say_no_model()
        elif self.waits or not self.session.wake():
            self.session.waiting.append(typed)
            self.show_waiting()
        else:
            await self.measure_and_start(Draft(typed))

    def _say_no_model(self) -> None:
        key = self.chat.keymap.shown("chat.model")
        self.chat.say(f"there is no model to answer; {key or '/model'} chooses one")

    # What waits

    @property
    def waits(self) -> bool:
        """Something is to be done as soon as the engine is free."""
        return self._next is not None or bool(self.session.waiting)

    def at_once(self, job: Job, draft: Draft | None = None) -> None:
        """Stop the reply that runs and do this before everything that waits."""
        self.chat.stop_reply()
        self.after_reply(job, draft)

    def after_reply(self, job: Job, draft: Draft | None = None) -> None:
        """Do this when the engine is free, before everything that waits. A later wish takes an earlier one's place.

        `draft` is the text that it is about: who takes the wish back gets it back.
        """
        if self._next is not None and self._next[1] is not None:
            self.give_back(self._next[1])
        if self.chat.model_load.failed:
            self._say_no_model()
            if draft is not None:
                self.give_back(draft)
        else:
            self._next = job, draft

    async def advance(self) -> None:
        """Called by the timer: do what is next, if it can be done now."""
        if not self.waits or self._choosing or self.chat.following.stream is not None or not self.session.wake():
            return
        if self._next is not None:
            (job, _), self._next = self._next, None
            await job()
        else:
            typed = self.session.waiting.pop(0)
            self.show_waiting()
            await self.measure_and_start(Draft(typed))

    def show_waiting(self) -> None:
        """The queue as it is now."""
        self.chat.query_one(QueueList).waiting = tuple(self.session.waiting)

    def take_back(self, place: int = -1) -> str | None:
        """Take one message out of the queue, the newest one by default; None if none waits."""
        if not self.session.waiting:
            return None
        typed = self.session.waiting.pop(place)
        self.show_waiting()
        return typed

    def take_back_all(self) -> None:
        """Put everything that waits into the prompt."""
        if self.session.waiting:
            self.give_back(Draft("\n\n".join(self.session.waiting)))
            self.session.waiting.clear()
            self.show_waiting()
        if self._next is not None:
            (_, draft), self._next = self._next, None
            if draft is not None:
                self.give_back(draft)

    def give_back(self, draft: Draft) -> None:
        """Put a text back where it was written."""
        if draft.replaces is not None:
            self.chat.editing.begin(draft.replaces, draft.typed)
        else:
            self.prompt.area.give_back(draft.typed)
            self.chat.budget_line.measure()

    # Out. Only when the engine is free

    async def measure_and_start(self, draft: Draft) -> None:
        """Start the reply if the message fits; else the person decides."""
        try:
            text = draft.text(self.prompt.area.pastes, draft.files())
            self._heed_switch(draft.typed)
            budget = self.session.measure(text, draft.place)
        except Qwen3Error as error:
            self.give_back(draft)
            await self.transcript.add(Note("error", "The message was not sent", str(error), "edit it and send again"))
            return
        assert budget is not None
        if budget.fits:
            await self._start(draft, text)
        else:
            self._ask_what_to_do(draft, text, budget)

    def _heed_switch(self, typed: str) -> None:
        wish = soft_switch(typed)
        if wish is not None and self.chat.thinking_mode == "switch":
            self.session.thinking = wish

    def _ask_what_to_do(self, draft: Draft, text: str, budget: Budget) -> None:
        from qwen3_chat.app.tui.screens.over_budget import OverBudget

        async def chosen(choice: Choice | None) -> None:
            self._choosing = False
            if choice == "drop":
                self.after_reply(lambda: self._drop_and_start(draft, text), draft)
            elif choice == "compact":
                self.session.waiting.insert(0, draft.typed)
                self.show_waiting()
                await self.chat.do("chat.compact")
            elif choice == "send":
                self.after_reply(lambda: self._start(draft, text), draft)
            else:
                self.give_back(draft)

        self._choosing = True
        sent = self.session.conversation.sent()
        has_older = draft.replaces is None and any(message.role != "summary" for message in sent)
        self.chat.app.push_screen(OverBudget(budget, has_older=has_older), chosen)

    async def _drop_and_start(self, draft: Draft, text: str) -> None:
        dropped = self.session.drop_oldest(text)
        if dropped is None:
            self.give_back(draft)
            what = "The message does not fit even without the turns before it"
            await self.transcript.add(
                Note("error", what, what_next="make it shorter, or start with a larger --context")
            )
            return
        turns = sum(message.role == "user" for message in dropped)
        await self.transcript.add(Note("info", f"{turns} of the oldest turns left out of what is sent"))
        await self._start(draft, text)

    async def _start(self, draft: Draft, text: str) -> None:
        conversation = self.session.conversation
        if draft.replaces is None:
            conversation.add_user(text)
        else:
            conversation.edit(draft.replaces.id, text)
        self._remember(self.prompt.area.pastes.expand(draft.typed))
        await self.chat.following.follow(self.session.reply())

    def _remember(self, typed: str) -> None:
        """Into the history; where that cannot be kept, once a window is enough to say so."""
        area = self.prompt.area
        area.remember(typed)
        if area.prompts.failure is not None and not self._told:
            self._told = True
            self.chat.say(f"prompts are not kept for the next time: {area.prompts.failure}", 8.0)
