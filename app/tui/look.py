"""How the window looks, as the settings say: theme, signs, motion."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.filter import LineFilter, Monochrome
from textual.theme import Theme

from qwen3_chat.app.tui.render.filters import AsciiFilter, ColourFilter
from qwen3_chat.app.tui.render.palette import CONTRAST, DARK, LIGHT, TERMINAL, THEMES

if TYPE_CHECKING:
    from qwen3_chat.app.tui.app import ChatApp


class Look:
    """What the settings of the screen make of the application."""

    def __init__(self, app: ChatApp) -> None:
        self._app = app
        self._ascii = AsciiFilter(enabled=False)
        self._colours = ColourFilter(TERMINAL.background or "#000000", colours=not app.no_color)
        self.motion = True
        for theme in THEMES.values():
            app.register_theme(theme)

    def wear(self, theme: str, *, ascii: bool, motion: bool) -> None:
        """Look like that from now on. With NO_COLOR there is but one theme, without a colour."""
        app, self.motion = self._app, motion
        app.theme = self._theme(theme).name
        app.animation_level = "full" if motion else "none"
        app.keymap.spelled_out = self._ascii.enabled = ascii
        for screen in app.screen_stack if app.is_running else ():
            for widget in screen.walk_children(with_self=True):
                widget.refresh(layout=True)
                self.still(widget)

    def still(self, widget: object) -> None:
        """Let a widget that has a cursor blink, or not."""
        if hasattr(widget, "cursor_blink"):
            widget.cursor_blink = self.motion

    def filters(self, usual: Sequence[LineFilter]) -> list[LineFilter]:
        """What every drawn line goes through; `usual`: what Textual has of its own."""
        if self._app.theme == TERMINAL.name:
            usual = [*(one for one in usual if not isinstance(one, Monochrome)), self._colours]
        return [*usual, self._ascii] if self._ascii.enabled else list(usual)

    def themed(self) -> None:
        """The theme has changed, by whatever way."""
        self._app.set_class(self._app.theme == CONTRAST.name, "-contrast")

    def _theme(self, name: str) -> Theme:
        if self._app.no_color:
            return TERMINAL
        if name == "auto":
            return LIGHT if _light_terminal(os.environ.get("COLORFGBG", "")) else DARK
        return THEMES[name]


def _light_terminal(colorfgbg: str) -> bool:
    """Whether the terminal says, in the COLORFGBG variable, that its background is light."""
    background = colorfgbg.rpartition(";")[2]
    return background in {"7", "15"}
