"""The application: themes, the chat screen, the command palette, quitting. The chat itself is in its screen."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import ClassVar

from textual.app import App, SystemCommand
from textual.binding import BindingType
from textual.screen import Screen

from qwen3_chat.app.chat.options import ChatOptions
from qwen3_chat.app.chat.prompt_history import PromptHistory
from qwen3_chat.app.settings.resolve import Settings
from qwen3_chat.app.tui.actions import ACTIONS, available
from qwen3_chat.app.tui.bindings import bindings
from qwen3_chat.app.tui.keymap import Keymap, key_name
from qwen3_chat.app.tui.render.palette import DARK, LIGHT
from qwen3_chat.app.tui.screens.chat import ChatScreen
from qwen3_chat.app.tui.session import Session

_AGAIN_S = 2.0  # within which a second ctrl+c quits


class ChatApp(App[None]):
    """One window on one session."""

    CSS_PATH = "chat.tcss"
    TITLE = "qwen3-chat"
    BINDINGS: ClassVar[list[BindingType]] = bindings("app")
    ENABLE_COMMAND_PALETTE = True

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
        self._keys = keymap or Keymap()
        self._history = history or PromptHistory(None)
        self.set_keymap(self._keys.textual())
        self._interrupted_at = float("-inf")
        self._leaving = False
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self.theme = LIGHT.name if _light_terminal(os.environ.get("COLORFGBG", "")) else DARK.name

    def get_default_screen(self) -> ChatScreen:
        """The chat."""
        return ChatScreen(self.session, self.clock, self._keys, self._history)

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
                ways = [key_name(key) for key in self._keys.keys(action.id)]
                ways += [f"/{action.slash}"] if action.slash else []
                yield SystemCommand(action.title, ", ".join(ways) or action.group, partial(self.chat.do, action.id))

    async def action_do(self, action_id: str) -> None:
        """What every key does: an action of the list."""
        await self.chat.do(action_id)

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
        self.chat.say("press ctrl+c again to quit", _AGAIN_S)

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


def _light_terminal(colorfgbg: str) -> bool:
    """Whether the terminal says, in the COLORFGBG variable, that its background is light."""
    background = colorfgbg.rpartition(";")[2]
    return background in {"7", "15"}
