"""What an empty chat shows: which model this is, how far it is loaded, and how to begin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from rich.style import Style
from rich.text import Text
from textual.strip import Strip

from qwen3_chat.app.tui import format
from qwen3_chat.app.tui.keymap import Keymap
from qwen3_chat.app.tui.loader import Stage
from qwen3_chat.app.tui.render.flow import flow_strips
from qwen3_chat.app.tui.render.palette import Palette
from qwen3_chat.app.tui.render.text import clean
from qwen3_chat.app.tui.widgets.entry import Entry

_STAGES = {
    "download": "downloading",
    "map": "opening the files",
    "repack": "laying out the weights",
    "warm-up": "warming up",
}
_BAR = 24  # cells


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is known of the model once it is loaded."""

    name: str
    weights: str  # dtype and size
    devices: str
    context: int  # tokens
    is_demo: bool


class Welcome(Entry):
    """The first entry of an empty chat; it goes when the first message comes."""

    can_focus = False

    def __init__(self, folder: str, keymap: Keymap | None = None) -> None:
        """`keymap`: the keys that hold; None: the action list's own."""
        super().__init__()
        self._folder = clean(folder)
        self._keymap = keymap or Keymap()
        self._facts: ModelFacts | None = None
        self._stage: Stage | None = None
        self._failed = False

    def _copy(self) -> Self:
        copy = type(self)(self._folder, self._keymap)
        copy._facts, copy._stage, copy._failed = self._facts, self._stage, self._failed
        return copy

    @property
    def sign(self) -> tuple[str, str]:
        """A diamond, as on replies."""
        return "◆", self.palette.accent

    def show_folder(self, folder: str) -> None:
        """Another model is being loaded, from there."""
        self._folder, self._facts, self._stage, self._failed = clean(folder), None, None, False
        self.changed()

    def show_loading(self, stage: Stage | None) -> None:
        """Show how far loading is."""
        if stage != self._stage:
            self._stage = stage
            self.changed()

    def show_ready(self, facts: ModelFacts) -> None:
        """Show the loaded model."""
        self._facts = facts
        self.changed()

    def show_failed(self) -> None:
        """Loading is over without a model; a note says why."""
        self._failed = True
        self.changed()

    def build(self, palette: Palette, width: int) -> list[Strip]:
        """Name, state, first steps."""
        muted, accent = Style(color=palette.muted), Style(color=palette.accent, bold=True)
        text = Text.assemble(("qwen3-chat", accent), "\n")
        if self._facts is not None:
            facts = self._facts
            context = f"{format.exact(facts.context)} tokens of context"
            text.append(f"{clean(facts.name)} · {facts.weights} · {facts.devices} · {context}\n", muted)
            if facts.is_demo:
                way = f"{key} opens another" if (key := self._keymap.shown("chat.model")) else "/model opens another"
                demo = f"This is the small bundled demo model. For real answers: {way}\n"
                text.append(demo, Style(color=palette.warning))
        else:
            text.append(f"{self._folder}\n", muted)
            if not self._failed:
                text.append_text(_progress(self._stage, palette))
        text.append("\n")
        for line in self._first_steps():
            for key, what in line:
                text.append(key, Style(bold=True)).append(f" {what}  ", muted)
            text.append("\n")
        text.rstrip()
        return flow_strips(text, palette, width)

    def _first_steps(self) -> list[list[tuple[str, str]]]:
        """Lines of keys, and what they do; keys that somebody has taken away are left out."""
        shown = self._keymap.shown
        lines = [
            [(shown("prompt.send"), "sends"), (shown("prompt.newline"), "new line"), (shown("turn.stop"), "stops")],
            [("/", "commands"), ("@", "attaches a file"), (shown("cursor.previous"), "edit, retry, copy messages")],
            [
                (shown("view.help"), "all keys"),
                (shown("turn.sampling"), "sampling"),
                (shown("view.engine"), "a look into the engine"),
            ],
        ]
        return [[(key, what) for key, what in line if key] for line in lines]


def _progress(stage: Stage | None, palette: Palette) -> Text:
    if stage is None:
        return Text("loading: reading config and tokenizer …\n", Style(color=palette.muted))
    name = _STAGES.get(stage.name, clean(stage.name))
    text = Text(f"loading: {name}\n", Style(color=palette.muted))
    if stage.total > 1:  # warming up is one step, not bytes
        text.append(format.meter(stage.done, stage.total, _BAR), Style(color=palette.accent))
        done = f" {format.percent(stage.done, stage.total)}  {format.size(stage.done)} of {format.size(stage.total)}\n"
        text.append(done, Style(color=palette.muted))
    return text
