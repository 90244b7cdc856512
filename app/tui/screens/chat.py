"""The chat screen: puts widgets together and turns what they report, and what the timer finds, into the next step."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical

from qwen3_chat.app.chat.errors import HistoryError
from qwen3_chat.app.tui import format
from qwen3_chat.app.tui.actions import bindings
from qwen3_chat.app.tui.failure import load_note
from qwen3_chat.app.tui.meters import Meters
from qwen3_chat.app.tui.screens.sending import SendingScreen
from qwen3_chat.app.tui.session import Session
from qwen3_chat.app.tui.widgets.assistant_message import AssistantMessage
from qwen3_chat.app.tui.widgets.engine_panel import EnginePanel
from qwen3_chat.app.tui.widgets.entry import Entry
from qwen3_chat.app.tui.widgets.header import HeaderLine
from qwen3_chat.app.tui.widgets.hints import HintLine
from qwen3_chat.app.tui.widgets.note import Note
from qwen3_chat.app.tui.widgets.prompt import Prompt, PromptArea
from qwen3_chat.app.tui.widgets.status_line import StatusLine
from qwen3_chat.app.tui.widgets.transcript import Transcript
from qwen3_chat.app.tui.widgets.user_message import UserMessage
from qwen3_chat.app.tui.widgets.welcome import ModelFacts, Welcome

if TYPE_CHECKING:
    from qwen3_chat.app.chat.conversation import Conversation
    from qwen3_chat.app.chat.history import ChatSummary
    from qwen3_chat.app.chat.model import ChatModel

_TICK = 1 / 20  # s; the one timer that drains the engine
_STATUS_TICKS = 4  # the status line changes five times a second
_PANEL_TICKS = 7  # the engine panel about three times
_BEAT_TICKS = 10  # the activity dot


class ChatScreen(SendingScreen):
    """One conversation."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("chat")
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (60, "-wide")]  # noqa: RUF012 (Textual's own type)

    def __init__(self, session: Session, clock: Callable[[], float]) -> None:
        super().__init__(session, clock)
        self._meters = Meters(session)
        self._ticks = 0
        self._message, self._message_until = "", 0.0

    def compose(self) -> ComposeResult:
        """Header, transcript and panel, status, prompt, hints."""
        yield HeaderLine()
        with Horizontal(id="middle"):
            with Vertical(id="conversation"):
                yield Transcript()
            yield EnginePanel()
        yield StatusLine()
        yield Prompt()
        yield HintLine()

    async def on_mount(self) -> None:
        """Draw first, then load."""
        self.query_one(HeaderLine).model = self.session.folder.name
        await self._show_conversation()
        self._prompt.area.focus()
        self.app.theme_changed_signal.subscribe(self, lambda _: self._repaint())
        self.set_interval(_TICK, self._tick)
        self.call_after_refresh(self.session.loader.start)

    # What the timer finds

    async def _tick(self) -> None:
        self._ticks += 1
        self.session.poll_left()
        self._transcript.settle()
        await self._keep()
        if self.session.model is None:
            await self._poll_loader()
        if self._stream is not None and self._stream.poll():
            self._stream = None
            if self.session.queued is None:
                self.session.rest()
            self._refresh_meters()
            self._measure_soon()
        await self._send_queued()
        if self._ticks % _STATUS_TICKS == 0:
            self._refresh_meters()
        if self._ticks % _PANEL_TICKS == 0:
            self._refresh_panel()

    async def _keep(self) -> None:
        self.session.keep()
        if (problem := self.session.keeper.news()) is not None:
            await self._transcript.add(Note("warning", "This chat is not saved", problem, "the chat goes on without"))

    async def _poll_loader(self) -> None:
        loader = self.session.loader
        welcome = self._welcome
        if loader.model is not None:
            self._loaded(loader.model)
        elif loader.error is not None and not loader.running:
            if not self._load_failed:
                self._load_failed = True
                await self._show_load_failure(loader.error)
        elif welcome is not None:
            welcome.show_loading(loader.stage)

    def _loaded(self, model: ChatModel) -> None:
        self.session.adopt(model)
        self._introduce(model)

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
        self._measure()

    async def _show_load_failure(self, error: BaseException) -> None:
        if welcome := self._welcome:
            welcome.show_failed()
        if self.session.queued is not None:  # it will never be sent: give it back
            self._take_back_queued()
        await self._transcript.add(load_note(error, cancelled=self.session.loader.cancelled))

    def _refresh_meters(self) -> None:
        now = self._clock()
        self._meters.sample(now)
        message = self._message if now < self._message_until else ""
        self.query_one(HeaderLine).title = self.session.title
        self.query_one(StatusLine).status = self._meters.status(message, self._ticks // _BEAT_TICKS % 2 == 0)
        self.query_one(HintLine).running = self.session.busy

    def _refresh_panel(self) -> None:
        panel = self.query_one(EnginePanel)
        if panel.is_open:
            panel.show(self._meters.engine())

    # What the person does

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
        text = self.get_selected_text() or self._prompt.area.selected_text
        if text:
            self.app.copy_to_clipboard(text)
            self.clear_selection()
            self.say("copied")
        return bool(text)

    async def action_turn_stop(self) -> None:
        """Esc, from the outside in: the overlay, the message cursor, the reply and what waits behind it, the load."""
        panel = self.query_one(EnginePanel)
        if panel.is_open and self.has_class("-narrow"):
            panel.toggle()
        elif isinstance(self.focused, Entry):
            self.set_focus(self._prompt.area)
        elif self.session.busy or self.session.queued is not None:
            self.stop_reply()
            self._take_back_queued()
        elif self.session.loader.running:
            self.session.loader.cancel()
            self.say("cancelling the load")

    def action_turn_thinking(self) -> None:
        """Thinking for the next reply."""
        wish = self.session.toggle_thinking()
        if wish is None and self.session.model is not None:
            always = self.session.model.thinking_mode == "always"
            self.say("this model always thinks" if always else "this model never thinks")
        else:
            self.say("the next reply thinks first" if wish else "the next reply does not think")
        self._measure()

    async def action_chat_new(self) -> None:
        """An empty chat."""
        await self._change_chat(None)

    async def _change_chat(self, conversation: Conversation | None) -> None:
        """Leave this chat for another one, or for an empty one."""
        self._take_back_queued()
        self.session.restart(conversation)
        self._stream = None
        self._meters.forget()
        await self._transcript.remove_children()
        await self._show_conversation()
        self._refresh_meters()
        self._measure()
        self._prompt.area.focus()

    async def _show_conversation(self) -> None:
        """The messages of the active path; in an empty chat, which model this is."""
        path = self.session.conversation.path()
        if path:
            entries = [UserMessage(said) if said.role == "user" else AssistantMessage(said) for said in path]
            await self._transcript.add(*entries)
            self._transcript.latest()
        else:
            await self._transcript.add(Welcome(str(self.session.folder)))
            if self.session.model is not None:
                self._introduce(self.session.model)

    def action_chat_sessions(self) -> None:
        """The saved chats."""
        from qwen3_chat.app.tui.screens.sessions import SessionsScreen

        history = self.session.keeper.history
        if history is None:
            self.say("this window keeps no chats" if self.session.keeper.problem is None else "chats cannot be saved")
            return
        history.save(self.session.conversation)
        self.app.push_screen(SessionsScreen(history), self._chosen_session)

    async def _chosen_session(self, chat: ChatSummary | None) -> None:
        history = self.session.keeper.history
        if history is None:
            return
        if chat is None:
            if history.current_is_deleted:
                await self._change_chat(None)
            return
        try:
            conversation = history.open(chat)
        except HistoryError as error:
            await self._transcript.add(Note("error", "The chat was not opened", str(error)))
            return
        if conversation is not self.session.conversation:
            await self._change_chat(conversation)

    def action_view_engine(self) -> None:
        """Open or close the engine panel."""
        self.query_one(EnginePanel).toggle()
        self._refresh_panel()

    def action_view_help(self) -> None:
        """Every key."""
        from qwen3_chat.app.tui.screens.help import HelpScreen

        self.app.push_screen(HelpScreen())

    def action_view_palette(self) -> None:
        """The command palette."""
        self.app.action_command_palette()

    def action_view_theme(self) -> None:
        """Choose a theme."""
        self.app.action_change_theme()

    def action_view_page_up(self) -> None:
        """Scroll back; the end is no longer followed."""
        self._transcript.scroll_page_up(animate=False)

    def action_view_page_down(self) -> None:
        """Scroll forward."""
        self._transcript.scroll_page_down(animate=False)

    def action_view_latest(self) -> None:
        """To the end."""
        self._transcript.latest()

    @on(PromptArea.EndOfInput)
    async def _end_of_input(self) -> None:
        await self.app.run_action("app_quit_chat")

    def action_cursor_previous(self) -> None:
        """Message cursor up, from the prompt into the transcript."""
        self._move_cursor(-1)

    def action_cursor_next(self) -> None:
        """Message cursor down; below the last message is the prompt."""
        self._move_cursor(1)

    @on(Entry.CursorMoved)
    def _cursor_moved(self, event: Entry.CursorMoved) -> None:
        self._move_cursor(event.step, to_end=event.to_end)

    def _move_cursor(self, step: int, *, to_end: bool = False) -> None:
        here = self.focused if isinstance(self.focused, Entry) else None
        if here is None and step > 0:
            return
        target = self._transcript.step(here, step, to_end=to_end)
        if target is None:
            self.set_focus(self._prompt.area)
            self._transcript.latest()
        else:
            self.set_focus(target)  # at once: the next key is the message's

    def on_descendant_focus(self) -> None:
        """Other keys matter on a message than in the prompt."""
        self.query_one(HintLine).scope = "message" if isinstance(self.focused, Entry) else "prompt"

    def _repaint(self) -> None:
        """After a change of theme: strips hold colours."""
        for entry in self._transcript.entries:
            entry.changed()
        self.refresh(layout=True, recompose=False)
        for line in (*self.query(HeaderLine), *self.query(StatusLine), *self.query(HintLine)):
            line.refresh()


def _devices(names: tuple[str, ...]) -> str:
    """`cpu:0`, or `2 cpu` for several."""
    if len(names) == 1:
        return names[0]
    kinds = sorted({name.partition(":")[0] for name in names})
    return " + ".join(f"{sum(name.startswith(kind) for name in names)} {kind}" for kind in kinds)
