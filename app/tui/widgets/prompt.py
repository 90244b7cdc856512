"""The frame of the prompt: the sign, the text, and two rules that say what it will cost and what it is for."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Static

from qwen3_chat.app.tui.render.text import clean
from qwen3_chat.app.tui.widgets.prompt_area import PromptArea


class Prompt(Horizontal):
    """The lower rule carries the token budget; the upper one says if the text is anything but the next message."""

    DEFAULT_CSS = """
    Prompt {
        height: auto; padding: 0 1;
        border-top: solid $foreground 25%; border-bottom: solid $foreground 25%;
        border-title-color: $warning; border-subtitle-color: $foreground 60%;
        border-title-background: $background; border-subtitle-background: $background;
    }
    Prompt > #prompt-sign { width: 2; height: 1; color: $accent; text-style: bold; }
    Prompt.-over { border-subtitle-color: $error; border-subtitle-style: bold; }
    Prompt.-editing { border-top: solid $warning; border-bottom: solid $warning; }
    Prompt.-editing > #prompt-sign { color: $warning; }
    """

    def __init__(self, area: PromptArea) -> None:
        super().__init__()
        self.area = area
        self._editing: str | None = None

    def compose(self) -> ComposeResult:
        """Sign and text."""
        yield Static("❯", id="prompt-sign", markup=False)
        yield self.area

    def on_mount(self) -> None:
        """The search is shown on the upper rule."""
        self.watch(self.area, "searching", self._show_state)

    def show_budget(self, text: str, *, over: bool = False) -> None:
        """What the draft costs, on the lower rule."""
        self.border_subtitle = Content(text)
        self.set_class(over, "-over")

    def show_editing(self, what: str | None) -> None:
        """What is being edited, on the upper rule; None: nothing, this is the next message."""
        self._editing = what
        self.set_class(what is not None, "-editing")
        self.query_one("#prompt-sign", Static).update("✎" if what is not None else "❯")
        self._show_state()

    def _show_state(self) -> None:
        if self.area.searching is not None:
            line = f"{self.area.searching} · ↑ older, ⏎ take, esc back"
        else:
            line = self._editing or ""
        self.border_title = Content(clean(line))
