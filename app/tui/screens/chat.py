"""The chat screen: puts widgets together, and turns what they report, and what the timer finds, into the next step.

What a person can do is in the parts of `control`; an action is done by whichever part has its method.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import isawaitable
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widgets import TextArea

from qwen3_chat.app.chat.prompt_history import PromptHistory
from qwen3_chat.app.tui import format
from qwen3_chat.app.tui.actions import BY_ID, available, bindings
from qwen3_chat.app.tui.control.choices import Choices
from qwen3_chat.app.tui.control.drafting import Drafting
from qwen3_chat.app.tui.control.messages import Messages
from qwen3_chat.app.tui.control.path_view import MessageEntry, mark, show_path
from qwen3_chat.app.tui.control.replies import Replies
from qwen3_chat.app.tui.control.sending import Sending
from qwen3_chat.app.tui.control.views import Views
from qwen3_chat.app.tui.failure import load_note
from qwen3_chat.app.tui.keymap import Keymap
from qwen3_chat.app.tui.meters import Meters
from qwen3_chat.app.tui.session import Session
from qwen3_chat.app.tui.stream import ReplyStream
from qwen3_chat.app.tui.widgets.assistant_message import AssistantMessage
from qwen3_chat.app.tui.widgets.engine_panel import EnginePanel
from qwen3_chat.app.tui.widgets.entry import Entry
from qwen3_chat.app.tui.widgets.header import HeaderLine
from qwen3_chat.app.tui.widgets.hints import HintLine
from qwen3_chat.app.tui.widgets.menu import Menu
from qwen3_chat.app.tui.widgets.note import Note
from qwen3_chat.app.tui.widgets.prompt import Prompt
from qwen3_chat.app.tui.widgets.prompt_area import PromptArea
from qwen3_chat.app.tui.widgets.queue_list import QueueList
from qwen3_chat.app.tui.widgets.status_line import StatusLine
from qwen3_chat.app.tui.widgets.transcript import Transcript
from qwen3_chat.app.tui.widgets.welcome import ModelFacts, Welcome

if TYPE_CHECKING:
    from qwen3_chat.app.chat.model import ChatModel
    from qwen3_chat.app.chat.turn import Turn

_TICK = 1 / 20  # s; the one timer that drains the engine
_STATUS_TICKS = 4  # the status line changes five times a second
_PANEL_TICKS = 7  # the engine panel about three times
_BEAT_TICKS = 10  # the activity dot


class ChatScreen(Screen[None]):
    """One conversation."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("chat")
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (60, "-wide")]  # noqa: RUF012 (Textual's own type)

    def __init__(self, session: Session, clock: Callable[[], float], keymap: Keymap, history: PromptHistory) -> None:
        super().__init__()
        self.session = session
        self.keymap = keymap
        self.load_failed = False
        self.choices, self.messages, self.replies = Choices(self), Messages(self), Replies(self)
        self.sending, self.views, self.drafting = Sending(self), Views(self), Drafting(self)
        self._history = history
        self._clock = clock
        self._stream: ReplyStream | None = None
        self._noted_loop = False  # of the reply that runs
        self._meters = Meters(session)
        self._ticks = 0
        self._message, self._message_until = "", 0.0

    def compose(self) -> ComposeResult:
        """Header, transcript and panel, status, what waits, prompt with its menu, hints."""
        menu = Menu()
        yield HeaderLine()
        with Horizontal(id="middle"):
            with Vertical(id="conversation"):
                yield Transcript()
            yield EnginePanel()
        yield StatusLine()
        yield QueueList()
        yield menu
        yield Prompt(PromptArea(self.keymap, self._history, self.drafting.completer, menu))
        yield HintLine(self.keymap)

    @property
    def transcript(self) -> Transcript:
        """The conversation on the screen."""
        return self.query_one(Transcript)

    @property
    def prompt(self) -> Prompt:
        """Where the person writes."""
        return self.query_one(Prompt)

    @property
    def thinking_mode(self) -> str | None:
        """How the checkpoint thinks; None while it loads."""
        return self.session.model.thinking_mode if self.session.model is not None else None

    @property
    def streaming(self) -> bool:
        """A reply is being written, or not yet wholly painted."""
        return self._stream is not None

    @property
    def _welcome(self) -> Welcome | None:
        found = self.query(Welcome)
        return found.first() if found else None

    async def on_mount(self) -> None:
        """Draw first, then load."""
        self.query_one(HeaderLine).model = self.session.folder.name
        self.choices.show_system()
        self.prompt.area.take_waiting = self.sending.take_back
        await self.transcript.add(Welcome(str(self.session.folder)))
        self.prompt.area.focus()
        self.app.theme_changed_signal.subscribe(self, lambda _: self._repaint())
        self.set_interval(_TICK, self._tick)
        self.call_after_refresh(self.session.loader.start)

    # What the person does

    async def do(self, action_id: str, argument: str = "") -> None:
        """Do what an action of the list stands for. `argument` is what was typed behind its command."""
        action = BY_ID[action_id]
        if not available(action, self.thinking_mode):
            habit = "always thinks" if self.thinking_mode == "always" else "never thinks"
            self.say(f"this model {habit}")
            return
        owners = (self.messages.target, self, self.app, *self._parts)
        name = f"action_{action.method}"
        owner = next((owner for owner in owners if hasattr(owner, name)), None)
        if owner is None:  # a message's own action, and there is no message
            self.messages.about()
            return
        method = getattr(owner, name)
        done = method(argument) if action.argument else method()
        if isawaitable(done):
            await done

    @property
    def _parts(self) -> tuple[object, ...]:
        return self.choices, self.messages, self.replies, self.sending, self.views, self.drafting, self.prompt.area

    async def action_turn_stop(self) -> None:
        """Esc, from the outside in: what lies over the chat, the message cursor, an edit, the reply, the load."""
        area = self.prompt.area
        back = (
            area.close_menu,
            partial(area.leave_search, keep=False),
            self.views.close_overlay,
            self.messages.leave,
            self.sending.leave_edit,
        )
        if any(leave() for leave in back):
            return
        if self.session.busy or self.sending.waits:
            self.stop_reply()
            self.sending.take_back_all()
        elif self.session.loader.running:
            self.session.loader.cancel()
            self.say("cancelling the load")

    async def action_chat_new(self) -> None:
        """An empty chat."""
        self.sending.leave_edit()
        self.sending.take_back_all()
        self.session.restart()
        self._stream = None
        self._meters.forget()
        self.choices.show_system()
        await self.show_path()
        self.prompt.area.focus()

    def say(self, message: str, seconds: float = 3.0) -> None:
        """A hint in the status line, for a moment."""
        self._message, self._message_until = message, self._clock() + seconds
        self._refresh_meters()

    def stop_reply(self) -> bool:
        """Stop the running reply and keep what it said. False if none runs."""
        if self.session.turn is None or not self.session.busy:
            return False
        self.session.turn.stop()
        return True

    def copy_selection(self) -> bool:
        """Copy what is selected, in the transcript or the prompt. False if nothing is."""
        text = self.get_selected_text() or self.prompt.area.selected_text
        if text:
            self.app.copy_to_clipboard(text)
            self.clear_selection()
            self.say("copied")
        return bool(text)

    # What is shown of the conversation

    async def show_path(self, *before: Entry) -> None:
        """Make the transcript show the active path; `before` are notes that stand ahead of what is new."""
        await show_path(self.transcript, self.session.conversation, *before)
        if not self.transcript.entries:
            await self.transcript.add(Welcome(str(self.session.folder)))
            if self.session.model is not None:
                self._introduce(self.session.model)
        self.query_one(HeaderLine).title = self.session.title
        self.messages.moved()

    async def follow(self, turn: Turn, *before: Entry, anew: bool = False) -> None:
        """Show a reply while it is written. `anew`: its entry shows an earlier state of it."""
        for entry in self.transcript.entries if anew else []:
            if isinstance(entry, MessageEntry) and entry.message is turn.message:
                await entry.remove()
        await self.show_path(*before)
        self.transcript.latest()
        entries = [entry for entry in self.transcript.entries if isinstance(entry, AssistantMessage)]
        reply = next(entry for entry in entries if entry.message is turn.message)
        self._stream = ReplyStream(turn, reply, self.transcript.shows, self._clock)
        self._noted_loop = False
        self._refresh_meters()
        self.sending.measure()

    # What the timer finds

    async def _tick(self) -> None:
        self._ticks += 1
        self.session.poll_left()
        self.transcript.settle()
        if self.session.model is None:
            await self._poll_loader()
        if self._stream is not None:
            await self._poll_reply(self._stream)
        await self.sending.advance()
        self.drafting.poll()
        if self._ticks % _STATUS_TICKS == 0:
            self._refresh_meters()
        if self._ticks % _PANEL_TICKS == 0:
            self.refresh_panel()

    async def _poll_reply(self, stream: ReplyStream) -> None:
        if stream.poll():
            self._stream = None
            if not self.sending.waits:
                self.session.rest()
            mark(self.transcript, self.session.conversation)
            self._refresh_meters()
            self.sending.measure_soon()
        elif not self._noted_loop and stream.turn.loops:
            self._noted_loop = True
            await self.transcript.add(
                Note(
                    "warning",
                    "The reply goes round in a circle",
                    "With temperature 0 the likeliest token is always taken, and it can lead back to itself.",
                    f"{self.keymap.shown('turn.stop')} stops it; a presence penalty of 1.5 breaks the circle "
                    f"({self.keymap.shown('turn.sampling')} or /sampling)",
                )
            )

    async def _poll_loader(self) -> None:
        loader = self.session.loader
        welcome = self._welcome
        if loader.model is not None:
            self.session.adopt(loader.model)
            self._introduce(loader.model)
        elif loader.error is not None and not loader.running:
            if not self.load_failed:
                self.load_failed = True
                await self._show_load_failure(loader.error)
        elif welcome is not None:
            welcome.show_loading(loader.stage)

    def _introduce(self, model: ChatModel) -> None:
        """Say in the header and the empty chat which model this is."""
        engine = model.engine
        devices = _devices(engine.devices)
        header = self.query_one(HeaderLine)
        header.model, header.details = model.name, f"{engine.weights} · {devices}"
        if welcome := self._welcome:
            weights = f"{engine.weights} {format.size(engine.memory().weights)}"
            welcome.show_ready(ModelFacts(model.name, weights, devices, model.context, model.is_demo))
        self._refresh_meters()
        self.sending.measure()

    async def _show_load_failure(self, error: BaseException) -> None:
        if welcome := self._welcome:
            welcome.show_failed()
        self.sending.take_back_all()  # it will never be sent
        await self.transcript.add(load_note(error, cancelled=self.session.loader.cancelled))

    def _refresh_meters(self) -> None:
        now = self._clock()
        self._meters.sample(now)
        message = self._message if now < self._message_until else ""
        self.query_one(StatusLine).status = self._meters.status(message, self._ticks // _BEAT_TICKS % 2 == 0)
        self.query_one(HintLine).running = self.session.busy

    def refresh_panel(self) -> None:
        """Show the engine as it is now, if anyone looks."""
        panel = self.query_one(EnginePanel)
        if panel.is_open:
            panel.show(self._meters.engine())

    # What the widgets report

    @on(PromptArea.Submitted)
    async def _submitted(self, event: PromptArea.Submitted) -> None:
        await self.sending.submit(event.text)

    @on(PromptArea.EndOfInput)
    async def _end_of_input(self) -> None:
        await self.do("app.quit_chat")

    @on(PromptArea.EditorWanted)
    def _editor_wanted(self) -> None:
        self.drafting.write_in_editor()

    @on(TextArea.Changed)
    def _draft_changed(self) -> None:
        self.prompt.area.look_for_completions()
        self.sending.measure_soon()

    @on(Menu.Picked)
    def _completion_picked(self) -> None:
        self.prompt.area.take_chosen()

    @on(QueueList.Taken)
    def _taken_back(self, event: QueueList.Taken) -> None:
        if (typed := self.sending.take_back(event.place)) is not None:
            self.prompt.area.give_back(typed)

    @on(Entry.CursorMoved)
    def _cursor_moved(self, event: Entry.CursorMoved) -> None:
        self.messages.move(event.step, to_end=event.to_end)

    def on_descendant_focus(self) -> None:
        """The message cursor has moved."""
        self.messages.moved()

    def _repaint(self) -> None:
        """After a change of theme: strips hold colours."""
        for entry in self.transcript.entries:
            entry.changed()
        self.refresh(layout=True, recompose=False)
        for line in (*self.query(HeaderLine), *self.query(StatusLine), *self.query(HintLine), *self.query(QueueList)):
            line.refresh()


def _devices(names: tuple[str, ...]) -> str:
    """`cpu:0`, or `2 cpu` for several."""
    if len(names) == 1:
        return names[0]
    kinds = sorted({name.partition(":")[0] for name in names})
    return " + ".join(f"{sum(name.startswith(kind) for name in names)} {kind}" for kind in kinds)
