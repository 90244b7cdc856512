"""How a message gets from the prompt to the engine: measured, waiting for its turn, or given back.

A text is always in one place: prompt, queue, choice or conversation.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from textual.timer import Timer

from qwen3_chat.app.chat.attachments import attachments, with_attachments
from qwen3_chat.app.chat.conversation import Message
from qwen3_chat.app.chat.thinking import soft_switch
from qwen3_chat.app.tui import format
from qwen3_chat.app.tui.control.commands import message_of, parse
from qwen3_chat.app.tui.control.part import Part
from qwen3_chat.app.tui.widgets.note import Note
from qwen3_chat.app.tui.widgets.queue_list import QueueList
from qwen3_chat.models.errors import Qwen3Error

if TYPE_CHECKING:
    from qwen3_chat.app.chat.budget import Budget
    from qwen3_chat.app.tui.screens.chat import ChatScreen
    from qwen3_chat.app.tui.screens.over_budget import Choice

_MEASURE_S = 0.15  # after the last key, before the budget is counted

Job = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Draft:
    """A text on its way. `replaces`: the message whose new version it is; None: it goes to the end of the path."""

    typed: str
    replaces: Message | None = None


class Sending(Part):
    """The prompt's way out, and the queue in front of the engine."""

    def __init__(self, chat: ChatScreen) -> None:
        super().__init__(chat)
        self.editing: Message | None = None  # what the prompt holds the text of
        self._kept = ""  # what was in the prompt before the edit
        self._next: Job | None = None  # goes before everything that waits
        self._measuring: Timer | None = None
        self._choosing = False  # a message waits for the person's choice
        self._told = False  # that prompts cannot be kept

    # In: what the person sends

    async def submit(self, typed: str) -> None:
        """Send it, run it if it is a command, let it wait, or give it back."""
        if self.editing is not None:
            await self._submit_edit(Draft(typed, self.editing))
        elif (command := parse(typed, self.chat.thinking_mode)) is not None:
            if command.action is None:
                self.give_back(Draft(typed))
                self.chat.say(command.problem, 6.0)
                return
            self.prompt.area.remember(typed)
            await self.chat.do(command.action.id, command.argument)
        else:
            await self.send(typed)

    async def send(self, typed: str) -> None:
        """Send a message as soon as it is possible, behind what waits already."""
        if self.chat.model_load.failed:
            self.give_back(Draft(typed))
            self._say_no_model()
        elif self.waits or not self.session.wake():
            self.session.waiting.append(typed)
            self.show_waiting()
        else:
            await self._send(Draft(typed))

    def _say_no_model(self) -> None:
        leave = self.chat.keymap.shown("app.quit_chat")
        self.chat.say(f"there is no model to answer; {leave} quits" if leave else "there is no model to answer")

    async def _submit_edit(self, draft: Draft) -> None:
        message = draft.replaces
        assert message is not None
        self._end_edit()
        if draft.typed == message.content.strip():
            self.chat.say("nothing was changed")
        elif message.role == "user":
            self.at_once(lambda: self._send(draft))
        else:
            self.at_once(lambda: self._new_answer(message, draft.typed))

    # Through: what waits, and the budget

    @property
    def waits(self) -> bool:
        """Something is to be done as soon as the engine is free."""
        return self._next is not None or bool(self.session.waiting)

    def at_once(self, job: Job) -> None:
        """Stop the reply that runs and do this before everything that waits."""
        self.chat.stop_reply()
        self.after_reply(job)

    def after_reply(self, job: Job) -> None:
        """Do this when the engine is free, before everything that waits. A later wish takes an earlier one's place."""
        if self.chat.model_load.failed:
            self._say_no_model()
        else:
            self._next = job

    async def advance(self) -> None:
        """Called by the timer: do what is next, if it can be done now."""
        if not self.waits or self._choosing or self.chat.following.stream is not None or not self.session.wake():
            return
        if self._next is not None:
            job, self._next = self._next, None
            await job()
        else:
            typed = self.session.waiting.pop(0)
            self.show_waiting()
            await self._send(Draft(typed))

    async def _send(self, draft: Draft) -> None:
        try:
            text = self._compose(draft.typed)
            self._heed_switch(draft.typed)
            budget = self.session.measure(text, draft.replaces.id if draft.replaces is not None else None)
        except Qwen3Error as error:
            self.give_back(draft)
            await self.transcript.add(Note("error", "The message was not sent", str(error), "edit it and send again"))
            return
        assert budget is not None
        if budget.fits:
            await self._start(draft, text)
        else:
            self._ask_what_to_do(draft, text, budget)

    def _compose(self, typed: str) -> str:
        """What is sent: pastes in full, mentioned files below. Raises AttachmentError."""
        return with_attachments(self.prompt.area.pastes.expand(message_of(typed)), Path.cwd())

    def _heed_switch(self, typed: str) -> None:
        wish = soft_switch(typed)
        if wish is not None and self.chat.thinking_mode == "switch":
            self.session.thinking = wish

    def _ask_what_to_do(self, draft: Draft, text: str, budget: Budget) -> None:
        from qwen3_chat.app.tui.screens.over_budget import OverBudget

        async def chosen(choice: Choice | None) -> None:
            self._choosing = False
            if choice == "drop":
                await self._drop_and_start(draft, text)
            elif choice == "compact":
                self.session.waiting.insert(0, draft.typed)
                self.show_waiting()
                await self.chat.do("chat.compact")
            elif choice == "send":
                await self._start(draft, text)
            else:
                self.give_back(draft)

        self._choosing = True
        older = draft.replaces is None and any(
            message.role != "summary" for message in self.session.conversation.sent()
        )
        self.chat.app.push_screen(OverBudget(budget, has_older=older), chosen)

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

    # Out

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

    async def _new_answer(self, message: Message, text: str) -> None:
        """An answer in the person's words. It stands; going on from it is another wish."""
        edited = self.session.conversation.edit(message.id, text)
        self.session.rest()
        await self.chat.show_path()
        self.chat.messages.go_to(edited)
        if message.role == "assistant":
            self.chat.say(f"a new version; {self.chat.keymap.shown('turn.continue')} lets the model go on from it", 6.0)

    def give_back(self, draft: Draft) -> None:
        """Put a text back where it was written."""
        if draft.replaces is not None:
            self.begin_edit(draft.replaces)
            self.prompt.area.put(draft.typed)
        else:
            self.prompt.area.give_back(draft.typed)
        self.measure()

    # The queue

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
        self._next = None
        if self.session.waiting:
            self.give_back(Draft("\n\n".join(self.session.waiting)))
            self.session.waiting.clear()
            self.show_waiting()

    # Editing a message in the prompt

    def begin_edit(self, message: Message) -> None:
        """The prompt becomes the editor of a message; the draft in it is kept."""
        if self.editing is None:
            self._kept = self.prompt.area.text
        self.editing = message
        whose = {"user": "your message", "assistant": "the answer", "summary": "the summary"}[message.role]
        send, back = self.chat.keymap.shown("prompt.send"), self.chat.keymap.shown("turn.stop")
        self.prompt.show_editing(f"editing {whose} · {send} as a new version, {back} leaves it as it is")
        self.prompt.area.put(message.content)
        self.chat.set_focus(self.prompt.area)
        self.measure()

    def leave_edit(self) -> bool:
        """Back to the draft; an edit that was begun can be had from the history. False if nothing was edited."""
        if self.editing is None:
            return False
        text = self.prompt.area.text.strip()
        if text and text != self.editing.content.strip():
            self.prompt.area.remember(text)
            self.chat.say("left; the edited text is in the history")
        self._end_edit()
        return True

    def _end_edit(self) -> None:
        self.editing = None
        self.prompt.show_editing(None)
        self.prompt.area.put(self._kept)
        self.measure()

    # The budget beside the prompt

    def measure_soon(self) -> None:
        """Count at the next pause in typing."""
        if self._measuring is not None:
            self._measuring.stop()
        self._measuring = self.chat.set_timer(_MEASURE_S, self.measure)

    def measure(self) -> None:
        """Count now what sending would take, files included, and show it."""
        typed = self.prompt.area.text.strip()
        if typed and parse(typed, self.chat.thinking_mode) is not None and self.editing is None:
            typed = ""  # a command costs nothing
        try:
            text = self._compose(typed) if typed else ""
            files = len(attachments(typed, Path.cwd()))
            budget = self.session.measure(text, self.editing.id if self.editing is not None else None)
        except Qwen3Error as error:
            self.prompt.show_budget(f"✗ {error}", over=True)
            return
        if budget is None:
            self.prompt.show_budget("")
            return
        words = [] if self.session.thinking is not False else ["no thinking"]
        words += [] if not files else ["1 file" if files == 1 else f"{files} files"]
        draft = f"{format.exact(budget.draft_tokens)} tok" if budget.draft_tokens else ""
        if budget.fits:
            words += [draft] if draft else []
            words.append(f"{'fits, ' if draft else ''}{format.short(budget.left)} tok left")
        else:
            words.append(f"✗ {draft}{', ' if draft else ''}{format.exact(-budget.left)} tok too many")
        self.prompt.show_budget(" · ".join(words), over=not budget.fits)
