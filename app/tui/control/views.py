"""What is shown: help, palette, theme, engine panel, and which part of the conversation."""

from __future__ import annotations

from qwen3_chat.app.settings.config_file import config_file
from qwen3_chat.app.tui.control.part import Part
from qwen3_chat.app.tui.widgets.engine_panel import EnginePanel
from qwen3_chat.app.tui.widgets.find_bar import FindBar


class Views(Part):
    """Nothing here changes the conversation."""

    def action_view_engine(self) -> None:
        """Open or close the engine panel. Where there is no room for both, it takes the lens's place."""
        panel = self.chat.query_one(EnginePanel)
        hidden = panel.is_open and not panel.display
        if not self.chat.has_class("-huge"):
            self.chat.lens.close()
        if not hidden:
            panel.toggle()
        self.chat.refresh_panel()

    def close_overlay(self) -> bool:
        """Close the engine panel where it hides the chat. False if it does not."""
        panel = self.chat.query_one(EnginePanel)
        if not (panel.is_open and self.chat.has_class("-narrow")):
            return False
        panel.toggle()
        return True

    def action_view_find(self) -> None:
        """Find words in the chat."""
        self.chat.query_one(FindBar).open()

    def close_find(self) -> bool:
        """Close the line for finding words. False if it is not open."""
        if not self.chat.query_one(FindBar).close():
            return False
        self.chat.prompt.area.focus()
        return True

    def action_view_help(self) -> None:
        """Every key."""
        from qwen3_chat.app.tui.screens.help import HelpScreen

        self.chat.app.push_screen(HelpScreen(self.chat.keymap, self.chat.thinking_mode, config_file()))

    def action_view_palette(self) -> None:
        """The command palette."""
        self.chat.app.action_command_palette()

    def action_view_theme(self) -> None:
        """Choose a theme."""
        self.chat.app.action_change_theme()

    def action_view_page_up(self) -> None:
        """Scroll back; the end is no longer followed."""
        self.transcript.scroll_page_up(animate=False)

    def action_view_page_down(self) -> None:
        """Scroll forward."""
        self.transcript.scroll_page_down(animate=False)

    def action_view_latest(self) -> None:
        """To the end."""
        self.transcript.latest()
