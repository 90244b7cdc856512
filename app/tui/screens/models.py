"""Which model goes on: those that are known, fewer with every letter typed, a path, or one of the hub's."""

from __future__ import annotations

from pathlib import Path

from rich.console import Group
from rich.style import Style
from rich.table import Table
from rich.text import Text
from textual import on
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from qwen3_chat.app.chat.fuzzy import score
from qwen3_chat.app.chat.hub import HubName, find
from qwen3_chat.app.chat.known_models import KnownModel
from qwen3_chat.app.tui import format
from qwen3_chat.app.tui.render.palette import Palette
from qwen3_chat.app.tui.render.text import clean
from qwen3_chat.app.tui.screens.filtered_list import FilteredList

_SOURCES = {"recent": "opened before", "config": "your list", "cache": "downloaded", "bundled": "bundled"}
_NOTHING = "no known model is called so; type a path that begins with / or ~, or a name as Qwen/Qwen3-0.6B"
_HINTS = "⏎ loads it; the chat goes on  esc back"


class ModelsScreen(FilteredList["Path | HubName | None"]):
    """Dismissed with the model to load."""

    HEADING = "Go on with another model"
    PLACEHOLDER = "part of a name, or a path, or owner/name on the hub"

    def __init__(self, known: list[KnownModel], current: Path | None) -> None:
        """`current`: where the one is that is loaded."""
        super().__init__()
        self._known = known
        self._current = current
        self._shown: list[Path | HubName] = []

    def on_mount(self) -> None:
        """All of them."""
        self._show("")

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        self._show(event.value.strip())

    def _show(self, typed: str) -> None:
        """The models whose name or path has these letters, best first; a path that was typed comes last."""
        fits = {model: _fit(typed, model) for model in self._known}
        fitting = [model for model in self._known if fits[model] is not None]
        if typed:
            fitting.sort(key=lambda model: -(fits[model] or 0.0))
        options: list[tuple[Path | HubName, Option]] = [(model.path, self._option(model)) for model in fitting]
        if typed.startswith(("/", "~", ".")):
            options.insert(0, (Path(typed).expanduser(), _as_typed(typed, "this path")))
        elif isinstance(name := find(typed), HubName):
            options.insert(0, (name, _as_typed(typed, "download it from the hub")))
        self._shown = [place for place, _ in options]
        listed = self.listed
        listed.clear_options()
        listed.add_options(option for _, option in options)
        listed.highlighted = 0 if options else None
        self.tell(_HINTS if options else _NOTHING)

    def _option(self, model: KnownModel) -> Option:
        palette = Palette.of(self.app)
        muted = Style(color=palette.muted)
        row = Table.grid(expand=True, padding=(0, 1))
        row.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        row.add_column(justify="right", no_wrap=True)
        name = Text(clean(model.name), no_wrap=True, overflow="ellipsis")
        if model.path == self._current:
            name = Text("● ", Style(color=palette.accent)).append_text(name)
        size = f"{format.size(model.nbytes)} · " if model.nbytes else ""
        row.add_row(name, Text(f"{size}{_SOURCES[model.source]}", muted))
        return Option(Group(row, Text(f"  {clean(_short(model.path))}", muted, no_wrap=True, overflow="ellipsis")))

    @on(Input.Submitted)
    def _submitted(self) -> None:
        place = self.listed.highlighted
        if place is not None:
            self.dismiss(self._shown[place])

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._shown[event.option_index])

    def action_back(self) -> None:
        """Clear the line, then leave."""
        line = self.query_one(Input)
        if line.value:
            line.value = ""
        else:
            self.dismiss(None)


def _as_typed(typed: str, what: str) -> Option:
    return Option(Text(f"{clean(typed)}  {what}", no_wrap=True, overflow="ellipsis"))


def _fit(typed: str, model: KnownModel) -> float | None:
    """How well the letters fit its name, or else, in one piece, its path; None: not at all."""
    in_name = score(typed, model.name)
    if in_name is None and typed.casefold() in str(model.path).casefold():
        return 0.0
    return in_name


def _short(path: Path) -> str:
    """With `~` for the home folder."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
