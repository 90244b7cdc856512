"""The text that is being written: keys, earlier prompts and the search in them, completion, large pastes."""

from __future__ import annotations

from collections.abc import Callable

from textual import events
from textual.message import Message
from textual.reactive import reactive
from textual.widgets import TextArea

from qwen3_chat.app.chat.pastes import Pastes
from qwen3_chat.app.chat.prompt_history import PromptHistory
from qwen3_chat.app.tui.completer import Completer, Offer
from qwen3_chat.app.tui.history_search import HistorySearch
from qwen3_chat.app.tui.keymap import Keymap
from qwen3_chat.app.tui.widgets.menu import Menu


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

    searching: reactive[str | None] = reactive[str | None](None)  # the search in words; None: none is on

    class Submitted(Message):
        """The person pressed send. The text has left the prompt: whoever cannot send it gives it back."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class EndOfInput(Message):
        """Ctrl+D in an empty prompt."""

    class EditorWanted(Message):
        """The text shall be written in the person's own editor."""

    def __init__(self, keymap: Keymap, history: PromptHistory, completer: Completer, menu: Menu) -> None:
        super().__init__(soft_wrap=True, show_line_numbers=False, highlight_cursor_line=False, compact=True)
        self.placeholder = "Ask something"
        self.pastes = Pastes()
        self.take_waiting: Callable[[], str | None] = lambda: None  # gives the newest message that waits
        self._keymap = keymap
        self.prompts = history
        self._completer = completer
        self._menu = menu
        self._place = len(history.prompts)  # in the history; its length: the draft
        self._draft = ""
        self._quiet_for: str | None = None  # the text for which no completion is offered
        self._search: HistorySearch | None = None

    def remember(self, text: str) -> None:
        """Add a sent text to the history and return to an empty draft."""
        self.prompts.add(text)
        self._place, self._draft = len(self.prompts.prompts), ""

    def give_back(self, text: str) -> None:
        """Put a text back, before what was typed since."""
        self.put("\n\n".join(part for part in (text, self.text) if part))

    def put(self, text: str) -> None:
        """Replace the text, with the cursor at its end. Nothing is offered for it until it is changed."""
        self._quiet_for = text
        self.load_text(text)
        self.move_cursor(self.document.end)
        self._menu.close()

    # Keys

    async def _on_key(self, event: events.Key) -> None:
        action = self._keymap.action("prompt", event.key)
        name = action.id if action is not None else ""
        if self._search is not None and self._search_key(self._search, event, name):
            event.stop()
            event.prevent_default()
        elif action is not None:
            event.stop()
            event.prevent_default()
            if not self._menu_key(name):
                getattr(self, f"action_{action.method}")()

    async def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()  # what the text area would do is done below
        event.stop()
        text = event.text.replace("\r\n", "\n").replace("\r", "\n")
        if self._search is not None:
            self._show_search(self._search.type(text.partition("\n")[0]))
            return
        chip = self.pastes.chip(text)
        self.replace(chip if chip is not None else text, *self.selection, maintain_selection_offset=False)
        self.focus()

    def action_prompt_send(self) -> None:
        """Hand the text to whoever sends."""
        if text := self.text.strip():
            self._quiet_for = ""
            self.clear()
            self._menu.close()
            self.post_message(self.Submitted(text))

    def action_prompt_end_of_input(self) -> None:
        """Leave if there is nothing, else delete to the right."""
        if self.text:
            self.action_delete_right()
        else:
            self.post_message(self.EndOfInput())

    def action_prompt_newline(self) -> None:
        """Insert a line break."""
        self.insert("\n")

    def action_prompt_editor(self) -> None:
        """Ask for the editor."""
        self.post_message(self.EditorWanted())

    # Earlier prompts

    def action_prompt_older(self) -> None:
        """Cursor up; on the first line, the prompt before. In an empty prompt, what waits comes first."""
        if not self.text and (waiting := self.take_waiting()) is not None:
            self.put(waiting)
        elif self.get_cursor_up_location()[0] == self.cursor_location[0] == 0 and self._on_edge(first=True):
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
        prompts = self.prompts.prompts
        if not 0 <= place <= len(prompts):
            return
        if self._place >= len(prompts):
            self._draft = self.text
        self._place = place
        self.put(prompts[place] if place < len(prompts) else self._draft)

    # The search in them

    def action_prompt_search(self) -> None:
        """Begin to search; what was being written comes back if the search is left."""
        self._menu.close()
        self._search = HistorySearch(self.prompts, self.text)
        self._show_search(self._search.text)

    def leave_search(self, *, keep: bool) -> bool:
        """End the search, with what it found or with what was there before. False if none was on."""
        if self._search is None:
            return False
        search, self._search, self.searching = self._search, None, None
        if not keep:
            self.put(search.draft)
        return True

    def _search_key(self, search: HistorySearch, event: events.Key, action: str) -> bool:
        """Whether the key belonged to the search. Any other key takes what was found, and then does what it does."""
        if action == "prompt.search" or action == "prompt.older":
            self._show_search(search.older())
        elif action == "prompt.newer":
            self._show_search(search.newer())
        elif event.key == "backspace":
            self._show_search(search.rub_out())
        elif event.is_printable and event.character is not None:
            self._show_search(search.type(event.character))
        else:
            self.leave_search(keep=True)
            return action in ("prompt.send", "prompt.complete")  # to read it once more before it is sent
        return True

    def _show_search(self, text: str) -> None:
        assert self._search is not None
        self.put(text)
        self.searching = self._search.words

    # Completion

    def look_for_completions(self) -> None:
        """Open or close the menu for what is before the cursor now."""
        offer = self._offer()
        if offer is None:
            self._menu.close()
        else:
            self._menu.open(offer)

    def close_menu(self) -> bool:
        """Close it until the text changes. False if it was not open."""
        self._quiet_for = self.text
        return self._menu.close()

    def action_prompt_complete(self) -> None:
        """Only the menu has something to complete."""

    def take_chosen(self) -> bool:
        """Put the chosen completion in. False if there is none, or the text has it already."""
        offer, item = self._menu.offer, self._menu.chosen
        if offer is None or item is None:
            return False
        if item.text.rstrip() == offer.word:
            self.close_menu()
            return False
        row, column = self.cursor_location
        self.replace(item.text, (row, column - len(offer.word)), (row, column))
        if item.goes_on:
            self.look_for_completions()
        else:
            self.close_menu()
        return True

    def _offer(self) -> Offer | None:
        if self._search is not None or self.text == self._quiet_for or not self.selection.is_empty:
            return None
        row, column = self.cursor_location
        before = self.document.get_line(row)[:column]
        if row and before.startswith("/"):  # a command begins the message
            return None
        return self._completer.offer(before)

    def _menu_key(self, action: str) -> bool:
        """Whether the key was for the menu. Keys that came in a burst find it as if it had been painted in between."""
        if action not in ("prompt.older", "prompt.newer", "prompt.complete", "prompt.send"):
            return False
        self.look_for_completions()
        item = self._menu.chosen
        if item is None:
            return False
        if action in ("prompt.older", "prompt.newer"):
            self._menu.move(-1 if action == "prompt.older" else 1)
            return True
        taken = self.take_chosen()
        whole = not taken or item.sends
        return not (action == "prompt.send" and whole)
