"""Where the person writes: grows with the text, remembers what was sent, and says what it will cost."""

from __future__ import annotations

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Static, TextArea

from qwen3_chat.app.tui.actions import ACTIONS
from qwen3_chat.app.tui.render.text import clean

_KEYS = {key: action.method for action in ACTIONS if action.scope == "prompt" for key in action.keys}


class PromptArea(TextArea):
    """The text itself.

    Its keys are handled in the order in which they are typed, text and commands alike: bindings are looked up
    elsewhere, and in a burst (fast typing, a paste, a script) Enter would overtake the words before it.
    """

    DEFAULT_CSS = """
    PromptArea, PromptArea:focus {
        height: auto; min-height: 1; max-height: 8; width: 1fr;
        border: none; padding: 0; background: $background; scrollbar-size-vertical: 1;
    }
    """

    class Submitted(Message):
        """The person pressed send. The text has left the prompt: whoever cannot send it gives it back."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class EndOfInput(Message):
        """Ctrl+D in an empty prompt."""

    def __init__(self) -> None:
        super().__init__(soft_wrap=True, show_line_numbers=False, highlight_cursor_line=False, compact=True)
        self.placeholder = "Ask something"
        self._history: list[str] = []
        self._place = 0  # in the history; its length: the draft
        self._draft = ""

    def remember(self, text: str) -> None:
        """Add a sent text to the history and return to an empty draft."""
        if not self._history or self._history[-1] != text:
            self._history.append(text)
        self._place, self._draft = len(self._history), ""

    def give_back(self, text: str) -> None:
        """Put a text back, before what was typed since."""
        self.load_text("\n\n".join(part for part in (text, self.text) if part))
        self.move_cursor(self.document.end)

    async def _on_key(self, event: events.Key) -> None:
        if method := _KEYS.get(event.key):
            event.stop()
            event.prevent_default()
            getattr(self, f"action_{method}")()

    def action_prompt_send(self) -> None:
        """Hand the text to whoever sends."""
        if text := self.text.strip():
            self.clear()
            self.post_message(self.Submitted(text))

    def action_prompt_end_of_input(self) -> None:
        """Ctrl+D: leave if there is nothing, else delete to the right."""
        if self.text:
            self.action_delete_right()
        else:
            self.post_message(self.EndOfInput())

    def action_prompt_newline(self) -> None:
        """Insert a line break."""
        self.insert("\n")

    def action_prompt_older(self) -> None:
        """Cursor up; on the first line, the prompt before."""
        if self.get_cursor_up_location()[0] == self.cursor_location[0] == 0 and self._on_edge(first=True):
            self._recall(self._place - 1)
        else:
            self.action_cursor_up()

    def action_prompt_newer(self) -> None:
        """Cursor down; on the last line, the prompt after."""
        if self._on_edge(first=False):
            self._recall(self._place + 1)
        else:
            self.action_cursor_down()

    def _on_edge(self, *, first: bool) -> bool:
        """Whether the cursor is on the first or last line as wrapped on the screen."""
        _, row = self.wrapped_document.location_to_offset(self.cursor_location)
        return row == 0 if first else row == self.wrapped_document.height - 1

    def _recall(self, place: int) -> None:
        if not 0 <= place <= len(self._history):
            return
        if self._place == len(self._history):
            self._draft = self.text
        self._place = place
        self.load_text(self._history[place] if place < len(self._history) else self._draft)
        self.move_cursor(self.document.end)


class Prompt(Horizontal):
    """Sign, text, and the two rules around them; the lower one carries the token budget, the upper one what waits."""

    DEFAULT_CSS = """
    Prompt {
        height: auto; padding: 0 1;
        border-top: solid $foreground 25%; border-bottom: solid $foreground 25%;
        border-title-color: $warning; border-subtitle-color: $foreground 60%;
        border-title-background: $background; border-subtitle-background: $background;
    }
    Prompt > #prompt-sign { width: 2; height: 1; color: $accent; text-style: bold; }
    Prompt.-over { border-subtitle-color: $error; border-subtitle-style: bold; }
    """

    def compose(self) -> ComposeResult:
        """Sign and text."""
        yield Static("❯", id="prompt-sign", markup=False)
        yield PromptArea()

    @property
    def area(self) -> PromptArea:
        """The text area."""
        return self.query_one(PromptArea)

    def show_budget(self, text: str, *, over: bool = False) -> None:
        """What the draft costs, on the lower rule."""
        self.border_subtitle = Content(text)
        self.set_class(over, "-over")

    def show_queued(self, text: str | None) -> None:
        """The message that waits for its turn, on the upper rule."""
        if text is None:
            self.border_title = ""
            return
        line = Text(clean(text).replace("\n", " "))
        line.truncate(max(10, self.size.width - 40), overflow="ellipsis")
        self.border_title = Content(f"next: {line.plain}  (esc takes it back)")
