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
from textual.message import Message
from textual.screen import Screen
from textual.widgets import TextArea

from qwen3_chat.app.chat.prompt_history import PromptHistory
from qwen3_chat.app.tui.actions import BY_ID, available
from qwen3_chat.app.tui.bindings import bindings
from qwen3_chat.app.tui.compositor import RowCompositor
from qwen3_chat.app.tui.control.annotations import annotate
from qwen3_chat.app.tui.control.budget_line import BudgetLine
from qwen3_chat.app.tui.control.chats import Chats
from qwen3_chat.app.tui.control.choices import Choices
from qwen3_chat.app.tui.control.drafting import Drafting
from qwen3_chat.app.tui.control.editing import Editing
from qwen3_chat.app.tui.control.following import Following
from qwen3_chat.app.tui.control.lens import Lens
from qwen3_chat.app.tui.control.loading import Loading
from qwen3_chat.app.tui.control.messages import Messages
from qwen3_chat.app.tui.control.replies import Replies
from qwen3_chat.app.tui.control.sending import Sending
from qwen3_chat.app.tui.control.switching import Switching
from qwen3_chat.app.tui.control.views import Views
from qwen3_chat.app.tui.keymap import Keymap
from qwen3_chat.app.tui.meters import Meters
from qwen3_chat.app.tui.session import Session
from qwen3_chat.app.tui.widgets.engine_panel import EnginePanel
from qwen3_chat.app.tui.widgets.entry import Entry
from qwen3_chat.app.tui.widgets.find_bar import FindBar
from qwen3_chat.app.tui.widgets.header import HeaderLine
from qwen3_chat.app.tui.widgets.hints import HintLine
from qwen3_chat.app.tui.widgets.menu import Menu
from qwen3_chat.app.tui.widgets.prompt import Prompt
from qwen3_chat.app.tui.widgets.prompt_area import PromptArea
from qwen3_chat.app.tui.widgets.queue_list import QueueList
from qwen3_chat.app.tui.widgets.status_line import StatusLine
from qwen3_chat.app.tui.widgets.token_lens import TokenLens, TokenText
from qwen3_chat.app.tui.widgets.transcript import Transcript
from qwen3_chat.app.tui.widgets.welcome import Welcome

if TYPE_CHECKING:
    from qwen3_chat.app.chat.conversation import Conversation

_TICK = 1 / 20  # s; the timer that drains the engine
_CALM = 3  # ticks at once while a reply goes on: each waking takes from the engine, which waits for its slowest thread
_CALM_AFTER = 20  # ticks of a reply
_STATUS_TICKS = 4  # the status line changes five times a second
_CALM_TICKS = 10  # and twice while a reply goes on; the engine panel half as often
_BEAT_TICKS = 10  # the activity dot


class ChatScreen(Screen[None]):
    """One conversation."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("chat")

    class ReplyEnded(Message):
        """A reply has come to its end, by itself."""

        def __init__(self, what: str, seconds: float) -> None:
            super().__init__()
            self.what = what
            self.seconds = seconds

    def __init__(self, session: Session, clock: Callable[[], float], keymap: Keymap, history: PromptHistory) -> None:
        super().__init__()
        self._compositor = RowCompositor()
        self.session = session
        self.keymap = keymap
        self.clock = clock
        self.model_load, self.following = Loading(self), Following(self)
        self.sending, self.editing, self.budget_line = Sending(self), Editing(self), BudgetLine(self)
        self.messages, self.replies, self.choices = Messages(self), Replies(self), Choices(self)
        self.views, self.drafting, self.chats = Views(self), Drafting(self), Chats(self)
        self.switching, self.lens = Switching(self), Lens(self)
        self._history = history
        self._meters = Meters(session)
        self._ticks = 0  # of the quick timer; one of the calm timer counts as several
        self._written_for = 0  # ticks that the reply goes on
        self._quick_pauses = False  # the calm timer runs
        self._message, self._message_until = "", 0.0

    def compose(self) -> ComposeResult:
        """Header, transcript and panel, status, what waits, prompt with its menu, hints."""
        menu = Menu()
        yield HeaderLine()
        with Horizontal(id="middle"):
            with Vertical(id="conversation"):
                yield (transcript := Transcript())
                yield FindBar(transcript)
            yield EnginePanel()
            yield TokenLens()
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

    async def on_mount(self) -> None:
        """Draw first, then load."""
        self.query_one(HeaderLine).model = self.session.place.name
        self.choices.show_system()
        self.prompt.area.take_waiting = self.sending.take_back
        await self.show_path()
        self.prompt.area.focus()
        self.app.theme_changed_signal.subscribe(self, lambda _: self._repaint())
        self._quick = self.set_interval(_TICK, partial(self._tick, 1))
        self._calm = self.set_interval(_CALM * _TICK, partial(self._tick, _CALM), pause=True)
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
        parts = self.messages, self.replies, self.choices, self.chats, self.switching, self.views, self.lens
        return *parts, self.prompt.area

    async def action_turn_stop(self) -> None:
        """Esc, from the outside in: what lies over the chat, the message cursor, an edit, the reply, the load."""
        area = self.prompt.area
        back = (
            area.close_menu,
            partial(area.leave_search, keep=False),
            self.views.close_overlay,
            self.views.close_find,
            self.lens.close,
            self.messages.leave,
            self.editing.leave,
        )
        if any(leave() for leave in back):
            return
        if self.session.busy or self.sending.waits:
            self.stop_reply()
            self.sending.take_back_all()
        else:
            self.model_load.cancel()

    async def action_chat_new(self) -> None:
        """An empty chat."""
        await self.change_chat(None)

    async def change_chat(self, conversation: Conversation | None) -> None:
        """Leave this chat for another one, or for an empty one."""
        self.editing.leave()
        self.sending.take_back_all()
        self.session.restart(conversation)
        self.following.forget()
        self.forget_figures()
        self.choices.show_system()
        self.query_one(FindBar).close()
        await self.transcript.clear()
        await self.show_path()
        self.lens.forget()
        self.transcript.latest()
        self.refresh_meters()
        self.budget_line.measure()
        self.prompt.area.focus()

    def say(self, message: str, seconds: float = 3.0) -> None:
        """A hint in the status line, for a moment."""
        self._message, self._message_until = message, self.clock() + seconds
        self.refresh_meters()

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

    async def show_path(self) -> None:
        """Make the transcript show the active path; in an empty chat, which model this is."""
        await self.transcript.show(self.session.conversation.path())
        if not self.transcript.entries:
            await self.transcript.add(Welcome(str(self.session.place), self.keymap))
            self.model_load.introduce()
        annotate(self.transcript, self.session.conversation)
        self.messages.moved()

    # What the timer finds

    async def _tick(self, count: int) -> None:
        before, self._ticks = self._ticks, self._ticks + count
        self.session.poll_left()
        self.transcript.settle()
        await self.chats.poll()
        await self.model_load.poll()
        await self.switching.poll()
        await self.following.poll()
        await self.sending.advance()
        self.drafting.poll()
        self.lens.poll()
        self._settle_pace(count)
        calm = before // _CALM_TICKS != self._ticks // _CALM_TICKS
        if calm or (count == 1 and before // _STATUS_TICKS != self._ticks // _STATUS_TICKS):
            self.refresh_meters()
        if calm and (count == 1 or self._ticks // _CALM_TICKS % 2 == 0):
            self.refresh_panel()

    def forget_figures(self) -> None:
        """What was measured so far was another chat's, or another model's."""
        self._meters.forget()

    def _settle_pace(self, count: int) -> None:
        """A reply that goes on for a while is followed calmly: fewer looks, and a cursor that does not blink."""
        self._written_for = self._written_for + count if self.following.stream is not None else 0
        calm = self._written_for >= _CALM_AFTER
        if calm == self._quick_pauses:
            return
        self._quick_pauses = calm
        self.prompt.area.cursor_blink = not calm and self.app.animation_level != "none"
        pausing, going = (self._quick, self._calm) if calm else (self._calm, self._quick)
        pausing.pause()
        going.resume()

    def refresh_meters(self) -> None:
        """Show in the lines above and below the chat how things are now."""
        now = self.clock()
        self._meters.sample(now)
        message = self._message if now < self._message_until else ""
        self.query_one(HeaderLine).title = self.session.title
        beat = self.app.animation_level == "none" or self._ticks // _BEAT_TICKS % 2 == 0
        self.query_one(StatusLine).status = self._meters.status(message, beat)
        self.query_one(HintLine).running = self.session.busy

    def refresh_panel(self) -> None:
        """Show the engine as it is now, if anyone looks."""
        panel = self.query_one(EnginePanel)
        if panel.display:
            panel.show(self._meters.engine())
        if self.session.busy:
            self.lens.refresh()

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
        self.budget_line.measure_soon()

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

    @on(TokenText.Moved)
    def _token_cursor_moved(self) -> None:
        self.lens.describe()

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
