"""How tokens are drawn: every setting, live. An empty field is what the checkpoint recommends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static

from qwen3_chat.app.chat.options import SamplingOptions
from qwen3_chat.app.settings.schema import SAMPLING, Setting

if TYPE_CHECKING:
    from qwen3_chat.app.tui.session import Session

_PREFIX = "sampling-"


class SamplingScreen(ModalScreen[None]):
    """A column beside the chat, which goes on behind it. Every valid change holds from the next token on."""

    DEFAULT_CSS = """
    SamplingScreen .row { height: 1; }
    SamplingScreen .row Label { width: 20; color: $foreground 70%; }
    SamplingScreen .row Input { width: 1fr; height: 1; border: none; padding: 0 1; background: $panel; }
    SamplingScreen .row Input:focus { background: $accent 25%; }
    SamplingScreen .row Input.-wrong { color: $error; text-style: bold; }
    #sampling-message { height: 2; color: $foreground 70%; }
    #sampling-message.-wrong { color: $error; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f2,enter", "dismiss", "Close", show=False, priority=True),
        Binding("up", "app.focus_previous", "Setting above", show=False),
        Binding("down", "app.focus_next", "Setting below", show=False),
        Binding("ctrl+r", "recommended", "As recommended", show=False, priority=True),
    ]

    def __init__(self, session: Session, changed: Callable[[], None]) -> None:
        """`changed` is called after every change of `session.sampling`."""
        super().__init__()
        self._session = session
        self._changed = changed
        never = session.model is not None and session.model.thinking_mode == "never"
        self._fields = [field for field in SAMPLING if not (never and field.name == "thinking-budget")]

    def compose(self) -> ComposeResult:
        """One line a setting."""
        recommended = self._recommended()
        with Vertical(classes="dialog"):
            yield Static("Sampling", classes="dialog-title", markup=False)
            for field in self._fields:
                with Horizontal(classes="row"):
                    yield Label(field.title, markup=False)
                    yield Input(
                        _written(getattr(self._session.sampling, field.field)),
                        placeholder=recommended[field.name],
                        id=_PREFIX + field.field,
                        compact=True,
                    )
            yield Static("", id="sampling-message", markup=False)
            yield Static("↑↓ setting   ^R as recommended   esc close", classes="dialog-keys", markup=False)

    def on_mount(self) -> None:
        """Begin at the top."""
        self.query(Input).first().focus()

    def on_descendant_focus(self) -> None:
        """Say what the setting does, unless it is to be corrected."""
        self._show(self._focused_field())

    def on_input_changed(self, event: Input.Changed) -> None:
        """Take a valid value at once; say what is wrong with another one, and leave the setting as it was."""
        field = next(field for field in self._fields if _PREFIX + field.field == event.input.id)
        try:
            value = field.kind.parse(event.value.strip()) if event.value.strip() else None
        except ValueError:
            event.input.add_class("-wrong")
        else:
            event.input.remove_class("-wrong")
            if getattr(self._session.sampling, field.field) != value:
                change: dict[str, Any] = {field.field: value}
                self._session.change_sampling(replace(self._session.sampling, **change))
                self._changed()
        self._show(field)

    def action_recommended(self) -> None:
        """Empty every field: nothing is set any more."""
        self._session.change_sampling(SamplingOptions())
        for field in self.query(Input):
            field.value = ""
        self._changed()

    def _focused_field(self) -> Setting:
        return next((field for field in self._fields if self._input(field).has_focus), self._fields[0])

    def _input(self, field: Setting) -> Input:
        return self.query_one(f"#{_PREFIX}{field.field}", Input)

    def _show(self, field: Setting) -> None:
        typed = self._input(field).value.strip()
        message = self.query_one("#sampling-message", Static)
        try:
            if typed:
                field.kind.parse(typed)
        except ValueError as error:
            message.update(f"{field.title}: {error}")
            message.set_class(True, "-wrong")
        else:
            message.update(field.what)
            message.set_class(False, "-wrong")

    def _recommended(self) -> dict[str, str]:
        """What holds where nothing is set."""
        session = self._session
        if session.model is None:
            return {field.name: field.open or "as the model recommends" for field in SAMPLING}
        from qwen3_chat.app.chat.sampling import resolve

        model = session.model
        thinking = model.thinks(session.thinking)
        params = resolve(SamplingOptions(), model.defaults, thinking=thinking, vocab_limit=model.tokenizer.vocab_size)
        return {field.name: field.open or _written(getattr(params, field.field)) for field in SAMPLING}


def _written(value: float | int | None) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
