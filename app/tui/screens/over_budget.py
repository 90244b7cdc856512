"""The message does not fit: the person decides what happens, the app never cuts anything by itself."""

from __future__ import annotations

from typing import ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from qwen3_chat.app.chat.budget import Budget
from qwen3_chat.app.tui import format

Choice = Literal["compact", "drop", "send", "edit"]


class OverBudget(ModalScreen[Choice]):
    """Dismissed with the choice; Esc edits."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "choose('compact')", "Sum up the older turns", show=False),
        Binding("d", "choose('drop')", "Drop the oldest turns", show=False),
        Binding("s", "choose('send')", "Send anyway", show=False),
        Binding("e,escape", "choose('edit')", "Edit", show=False),
    ]

    def __init__(self, budget: Budget, *, has_older: bool) -> None:
        """`has_older`: there are turns before it that could make room."""
        super().__init__()
        self._budget = budget
        self._has_older = has_older

    def compose(self) -> ComposeResult:
        """What is wrong, in numbers, and the ways out."""
        with Vertical(classes="dialog"):
            yield Static("This message does not fit", classes="dialog-title", markup=False)
            yield Static(explain(self._budget), markup=False)
            yield OptionList(*self._options())

    def _options(self) -> list[Option]:
        budget = self._budget
        options = []
        if self._has_older:
            options.append(Option("[b]c[/b]  Let the model sum up the older turns, then send", id="compact"))
            options.append(Option("[b]d[/b]  Leave out the oldest turns, then send", id="drop"))
        if budget.can_send:
            room = format.exact(budget.context - budget.prompt_tokens)
            options.append(Option(f"[b]s[/b]  Send anyway: the reply has room for {room} tokens", id="send"))
        options.append(Option("[b]e[/b]  Go back and edit", id="edit"))
        return options

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter or a click."""
        self.action_choose(event.option_id or "edit")

    def action_choose(self, choice: str) -> None:
        """A letter; one that is not on offer does nothing."""
        if choice in {option.id for option in self._options()}:
            self.dismiss(choice)  # type: ignore[arg-type]


def explain(budget: Budget) -> str:
    """The sum, so that nobody has to guess."""
    return (
        f"Prompt {format.exact(budget.prompt_tokens)} tok (this message {format.exact(budget.draft_tokens)}) and "
        f"{format.exact(budget.reply_reserve)} kept for the reply are {format.exact(-budget.left)} more than the "
        f"context of {format.exact(budget.context)}."
    )
