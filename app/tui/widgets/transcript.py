"""The conversation, oldest entry first. Follows its end until the person scrolls up."""

from __future__ import annotations

from textual.await_complete import AwaitComplete
from textual.containers import VerticalScroll

from qwen3_chat.app.tui.widgets.entry import Entry


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
