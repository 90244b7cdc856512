"""The conversation, oldest entry first. Follows its end until the person scrolls up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.await_complete import AwaitComplete
from textual.containers import VerticalScroll

from qwen3_chat.app.tui.widgets.assistant_message import AssistantMessage
from qwen3_chat.app.tui.widgets.entry import Entry
from qwen3_chat.app.tui.widgets.summary_message import SummaryMessage
from qwen3_chat.app.tui.widgets.user_message import UserMessage
from qwen3_chat.app.tui.widgets.welcome import Welcome

if TYPE_CHECKING:
    from qwen3_chat.app.chat.conversation import Message


class Transcript(VerticalScroll, can_focus=False):
    """A scrolling column with one widget per entry."""

    DEFAULT_CSS = """
    Transcript { height: 1fr; padding: 1 0 0 0; layout: stream;
        scrollbar-size-vertical: 1; scrollbar-gutter: stable; }
    """

    def settle(self) -> None:
        """Follow the tail once there is more than fits; before that Textual's anchor would leave a gap above.

        Called by the screen's timer: no event tells a container that only its content has grown.
        """
        overflows = self.virtual_size.height > self.container_size.height
        if overflows and not self.is_anchored:
            self.anchor()
        elif not overflows and self.is_anchored:
            self.anchor(False)
            self.scroll_home(animate=False, immediate=True)

    @property
    def entries(self) -> list[Entry]:
        """All entries, oldest first."""
        return [child for child in self.children if isinstance(child, Entry)]

    @property
    def follows(self) -> bool:
        """The end is in view, and new lines will keep it there."""
        return self.max_scroll_y - self.scroll_y <= 1

    def add(self, *entries: Entry) -> AwaitComplete:
        """Append entries at the end."""
        return AwaitComplete(self.mount_all(entries))

    def entry_of(self, message: Message) -> Entry | None:
        """The entry that shows a message; None if it is not in the transcript."""
        return next((entry for entry in reversed(self.entries) if entry.message is message), None)

    async def show(self, path: Sequence[Message]) -> None:
        """Show this path of messages. What it shares with the one before, from the start, keeps its widgets."""
        kept, rest = set[Entry](), list(path)
        for entry in self.entries:
            if entry.message is not None:
                if not rest or entry.message is not rest[0]:
                    break
                del rest[0]
            if not (path and isinstance(entry, Welcome)):
                kept.add(entry)
        await self.remove_children([entry for entry in self.entries if entry not in kept])
        await self.add(*(entry_for(message) for message in rest))

    async def clear(self) -> None:
        """Remove everything."""
        await self.remove_children()

    def reveal(self, entry: Entry) -> Entry:
        """The mounted entry that shows the same."""
        return entry

    def shows(self, entry: Entry) -> bool:
        """Whether any line of the entry is in view."""
        top = entry.virtual_region.y - self.scroll_offset.y
        return top < self.size.height and top + entry.virtual_region.height > 0

    def latest(self) -> None:
        """Scroll to the end and follow it again."""
        self.scroll_end(animate=False)

    def step(self, from_entry: Entry | None, step: int, *, to_end: bool = False) -> Entry | None:
        """The entry to go to from another (None: from below the last). None when the way leads out at the bottom."""
        entries = [entry for entry in self.entries if entry.focusable]
        if not entries:
            return None
        if to_end:
            return entries[0] if step < 0 else entries[-1]
        place = entries.index(from_entry) if from_entry in entries else len(entries)
        place = max(0, place + step)
        return entries[place] if place < len(entries) else None


def entry_for(message: Message) -> Entry:
    """The entry that shows a message."""
    if message.role == "user":
        return UserMessage(message)
    return SummaryMessage(message) if message.role == "summary" else AssistantMessage(message)
