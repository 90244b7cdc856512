"""The application: themes, the chat screen, the command palette, quitting. The chat itself is in its screen."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import ClassVar

from textual import events, on
from textual.app import App, SystemCommand
from textual.binding import BindingType
from textual.filter import LineFilter
from textual.screen import Screen

from qwen3_chat.app.chat.options import ChatOptions
from qwen3_chat.app.chat.prompt_history import PromptHistory
from qwen3_chat.app.settings.resolve import Settings
from qwen3_chat.app.tui.actions import ACTIONS, BY_ID, available
from qwen3_chat.app.tui.bindings import bindings
from qwen3_chat.app.tui.keymap import Keymap
from qwen3_chat.app.tui.look import Look
from qwen3_chat.app.tui.notification import notification
from qwen3_chat.app.tui.preferences import Preferences
from qwen3_chat.app.tui.screens.chat import ChatScreen
from qwen3_chat.app.tui.session import Session

_AGAIN_S = 2.0  # within which a second time quits


class ChatApp(App[None]):
    """One window on one session."""

    CSS_PATH = "chat.tcss"
    TITLE = "qwen3-chat"
    BINDINGS: ClassVar[list[BindingType]] = bindings("app")
    ENABLE_COMMAND_PALETTE = True
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (60, "-wide"), (160, "-huge")]  # noqa: RUF012 (Textual's own type)

    def __init__(
        self,
        options: ChatOptions,
        session: Session | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        keymap: Keymap | None = None,
        history: PromptHistory | None = None,
        settings: Settings | None = None,
    ) -> None:
        """Without `keymap`, the keys of the action list; without `history`, prompts are remembered for this run.

        `session` and `clock` are given by tests.
        """
        if not os.environ.get("NO_COLOR", "set"):
            del os.environ["NO_COLOR"]  # an empty one asks for nothing, but Textual would obey it
        super().__init__()
        self.session = session or Session(options)
        self.clock = clock
        self.settings = settings or Settings()
        self.keymap = keymap or Keymap()
        self._history = history or PromptHistory(None)
        self.set_keymap(self.keymap.textual())
        self._interrupted_at = float("-inf")
        self._leaving = False
        self.preferences = Preferences(self)
        self.look = Look(self)
        self.wear()

    def wear(self) -> None:
        """Look as the settings say."""
        value = self.settings.value
        self.look.wear(value("theme"), ascii=value("ascii"), motion=value("motion"))

    def get_line_filters(self) -> Sequence[LineFilter]:
        """What is drawn goes through these."""
        return self.look.filters(super().get_line_filters())

    def watch_theme(self) -> None:
        """Whoever has chosen it."""
        self.look.themed()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Its cursor blinks, or not."""
        self.look.still(event.widget)

    @on(ChatScreen.ReplyEnded)
    def _tell_elsewhere(self, event: ChatScreen.ReplyEnded) -> None:
        """Have the terminal say so, if the person looks elsewhere and wants to know."""
        value = self.settings.value
        if value("notify") and not self.app_focus and event.seconds >= value("notify-after"):
            self.write_sequence(notification(self.TITLE, event.what, os.environ))

    def write_sequence(self, sequence: str) -> None:
        """Send to the terminal what is no drawing."""
        if self._driver is not None:  # Textual's own way to write the clipboard
            self._driver.write(sequence)

    def get_default_screen(self) -> ChatScreen:
        """The chat."""
        return ChatScreen(self.session, self.clock, self.keymap, self._history)

    @property
    def chat(self) -> ChatScreen:
        """The chat screen, whatever lies over it."""
        screen = self.screen_stack[0]
        assert isinstance(screen, ChatScreen)
        return screen

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The palette's commands: the action list."""
        for action in ACTIONS:
            if action.palette and available(action, self.chat.thinking_mode):
                ways = self.keymap.names(action.id)
                ways += [f"/{action.slash}"] if action.slash else []
                yield SystemCommand(action.title, ", ".join(ways) or action.group, partial(self.chat.do, action.id))

    async def action_do(self, action_id: str) -> None:
        """What every key does: an action of the list, by the screen that lies over the chat if it is one of its own."""
        own = getattr(self.screen, f"action_{BY_ID[action_id].method}", None)
        if own is not None and self.screen is not self.chat:
            own()
        else:
            await self.chat.do(action_id)

    def action_view_settings(self) -> None:
        """All settings."""
        from qwen3_chat.app.tui.screens.settings import SettingsScreen

        self.push_screen(SettingsScreen(self.preferences, self.keymap))

    async def action_app_interrupt(self) -> None:
        """Copy the selection; else stop the reply; else ask for a second press and quit."""
        if self.chat.copy_selection():
            return
        if self.chat.stop_reply():
            return
        now = self.clock()
        if now - self._interrupted_at <= _AGAIN_S:
            await self.action_app_quit_chat()
            return
        self._interrupted_at = now
        self.chat.say(f"press {self.keymap.shown('app.interrupt')} again to quit", _AGAIN_S)

    async def action_app_quit_chat(self) -> None:
        """Quit. A load that still runs is cancelled and waited for; a second press does not wait."""
        loader = self.session.loader
        if loader.running and not self._leaving:
            self._leaving = True
            loader.cancel()
            self.chat.say("cancelling the load", 60.0)
            self.run_worker(self._leave_after_loading())
            return
        self.exit()

    async def _leave_after_loading(self) -> None:
        await asyncio.to_thread(self.session.loader.join)
        self.exit()
