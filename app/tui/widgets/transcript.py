"""The conversation, oldest entry first. Follows its end until the person scrolls up.

Only a window of the entries is mounted, about the last sixty or those around what is in view: every widget makes every
reflow slower. The others wait in two lists, above and below it, and are mounted when the view comes near them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice, takewhile
from typing import TYPE_CHECKING

from textual.await_complete import AwaitComplete
from textual.containers import VerticalScroll
from textual.geometry import Size
from textual.widget import Widget

from qwen3_chat.app.tui.render.search import Query
from qwen3_chat.app.tui.widgets.assistant_message import AssistantMessage
from qwen3_chat.app.tui.widgets.entry import Entry, Hit
from qwen3_chat.app.tui.widgets.summary_message import SummaryMessage
from qwen3_chat.app.tui.widgets.user_message import UserMessage
from qwen3_chat.app.tui.widgets.welcome import Welcome

if TYPE_CHECKING:
    from textual.layout import DockArrangeResult

    from qwen3_chat.app.chat.conversation import Message

HOME = 60  # entries that are mounted while the end is followed
_STEP = 20  # entries that are mounted at once when the view comes near the window's edge
_FAR = 2  # screens; entries beyond may go, and the others stay whatever their number

Find = tuple[Entry, Hit]  # an entry, and what of it


class Transcript(VerticalScroll, can_focus=False):
    """A scrolling column with one widget per entry."""

    DEFAULT_CSS = """
    Transcript { height: 1fr; padding: 1 0 0 0; layout: stream;
        scrollbar-size-vertical: 1; scrollbar-gutter: stable; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._above: list[Entry] = []  # not mounted, before the window
        self._below: list[Entry] = []  # and behind it
        self._short = True  # all of it fits on the screen
        self._query: Query | None = None
        self._unfolded: Entry | None = None  # for a find in it
        self._goal: tuple[Entry, Hit | None] | None = None  # to be scrolled to once it is laid out
        self._arranged: DockArrangeResult | None = None

    # Reading

    @property
    def mounted(self) -> list[Entry]:
        """The entries of the window."""
        return [child for child in self.children if isinstance(child, Entry) and not child.replaced]

    @property
    def entries(self) -> list[Entry]:
        """All entries, oldest first, mounted or not."""
        return [*self._above, *self.mounted, *self._below]

    @property
    def follows(self) -> bool:
        """The end is in view, and new lines will keep it there."""
        return not self._below and self.max_scroll_y - self.scroll_y <= 1

    def entry_of(self, message: Message) -> Entry | None:
        """The entry that shows a message; None if it is not in the transcript."""
        return next((entry for entry in reversed(self.entries) if entry.message is message), None)

    def shows(self, entry: Entry) -> bool:
        """Whether any line of the entry is in view."""
        entry = entry.current
        if not entry.is_attached:
            return False
        top = entry.virtual_region.y - self.scroll_offset.y
        return top < self.size.height and top + entry.virtual_region.height > 0

    # Changing

    def add(self, *entries: Entry) -> AwaitComplete:
        """Append entries at the end. Where the view is far from it, they are mounted when it comes back."""
        for entry in entries:
            entry.mark(self._query, None)
        if self._below:
            self._below += entries
            return AwaitComplete()
        unseen = entries[:-HOME]
        leaving = self.mounted if unseen else []
        self._above += [*(entry.successor() for entry in leaving), *unseen]
        return AwaitComplete(self.remove_children(leaving), self.mount_all(entries[len(unseen) :]))

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
        await self._cut([entry for entry in self.entries if entry not in kept])
        await self.add(*(entry_for(message) for message in rest))

    async def clear(self) -> None:
        """Remove everything."""
        await self._cut(self.entries)

    async def _cut(self, entries: Sequence[Entry]) -> None:
        gone = set(entries)
        self._above = [entry for entry in self._above if entry not in gone]
        self._below = [entry for entry in self._below if entry not in gone]
        await self.remove_children([entry for entry in self.mounted if entry in gone])

    # Scrolling

    def settle(self) -> None:
        """Follow the end, and mount what the view comes near to.

        Called by the screen's timer: no event tells a container that only its content has grown.
        """
        if self._below:
            pass  # the bottom of the window is not the end: nothing to follow there
        elif self.virtual_size.height <= self.container_size.height:
            if self.is_anchored:  # Textual's anchor would leave a gap above
                self.anchor(False)
                self.scroll_home(animate=False, immediate=True)
            self._short = True
        elif not self.is_anchored and (self._short or self.follows):
            self._short = False
            self.anchor()
        self._reach_goal()
        self._move_window()

    def latest(self) -> None:
        """Scroll to the end and follow it again."""
        if self._below:
            count = len(self.entries)
            self._mount_window(count - HOME, count)
        self.scroll_end(animate=False)

    def _move_window(self) -> None:
        mounted = self.mounted
        if not mounted or not (mounted[0].size and mounted[-1].size):
            return  # not laid out yet
        if self.app.animator.is_being_animated(self, "scroll_y"):
            return  # it would go on to where that line was before
        first, last = len(self._above), len(self._above) + len(mounted)
        page = self.size.height
        top = self.scroll_offset.y
        near_top, near_bottom = top < page, self.max_scroll_y - top < page
        wanted_first = max(0, first - _STEP) if near_top else first
        wanted_last = min(last + _STEP, len(self.entries)) if near_bottom else last
        if len(mounted) > HOME + _STEP and not self.screen.selections:
            spare = len(mounted) - HOME
            for from_top in (True, False) if 2 * top > self.max_scroll_y else (False, True):  # the farther end first
                if from_top and not near_top:
                    gone = list(islice(takewhile(self._is_far, mounted), spare))
                    wanted_first += len(gone)
                elif not from_top and not near_bottom:
                    gone = list(islice(takewhile(self._is_far, reversed(mounted)), spare))
                    wanted_last -= len(gone)
                else:
                    continue
                spare -= len(gone)
        if (wanted_first, wanted_last) != (first, last):
            self._mount_window(wanted_first, wanted_last)

    def _is_far(self, entry: Entry) -> bool:
        lines, top, page = entry.virtual_region, self.scroll_offset.y, self.size.height
        return not entry.has_focus and (lines.bottom < top - _FAR * page or lines.y > top + (1 + _FAR) * page)

    def _mount_window(self, first: int, last: int) -> None:
        """Mount exactly the entries first..last. Those that stay keep their widgets and their place on the screen."""
        entries = self.entries
        first, last = max(0, first), min(last, len(entries))
        wanted, mounted = entries[first:last], set(self.mounted)
        stay = [entry for entry in wanted if entry in mounted]
        start = wanted.index(stay[0]) if stay else 0
        self._above = [entry.successor() if entry in mounted else entry for entry in entries[:first]]
        self._below = [entry.successor() if entry in mounted else entry for entry in entries[last:]]
        if start:
            self.mount_all(wanted[:start], before=stay[0])
        self.mount_all(wanted[start + len(stay) :])
        self.remove_children([entry for entry in mounted if entry.replaced])
        if self._below:
            self.anchor(False)

    def arrange(self, size: Size, optimal: bool = False) -> DockArrangeResult:
        """Where the entries go.

        Unless the end is followed, the first entry in view stays where it is on the screen, whatever came, went or grew
        above it: the scroll position moves with it, before anything is drawn.
        """
        before, after = self._arranged, super().arrange(size, optimal)
        self._arranged = after
        if before is None or before is after or (self.is_anchored and self.follows):
            return after
        places = {placement.widget: placement.region.y for placement in after.placements}
        for placement in before.placements:
            if placement.region.bottom > self.scroll_y and placement.widget in places:
                self._shift(places[placement.widget] - placement.region.y)
                break
        return after

    def _shift(self, lines: int) -> None:
        """Scroll without validation, as the size of what scrolls is not known before the end of this layout."""
        if lines:
            y = max(0, self.scroll_y + lines)
            self.set_reactive(Widget.scroll_y, y)
            self.set_reactive(Widget.scroll_target_y, y)
            self.vertical_scrollbar.position = y

    # The message cursor and the search

    def step(self, from_entry: Entry | None, step: int, *, to_end: bool = False) -> Entry | None:
        """The entry to go to from another (None: from below the last), mounted. None when the way leads out below."""
        entries = [entry for entry in self.entries if entry.can_focus]
        if not entries:
            return None
        place = entries.index(from_entry) if from_entry in entries else len(entries)
        place = (0 if step < 0 else len(entries) - 1) if to_end else max(0, place + step)
        return self.reveal(entries[place]) if place < len(entries) else None

    def reveal(self, entry: Entry) -> Entry:
        """Mount the entry with its neighbours, if it is not. Returns the mounted one."""
        entry = entry.current
        if not entry.is_attached:
            place = self.entries.index(entry)
            self._mount_window(place - HOME // 2, place + HOME // 2)
            self._goal = entry, None
        return entry

    def find(self, query: Query) -> list[Find]:
        """Everything that the query finds, oldest first: in what is not mounted and in folded thinking, too."""
        return [
            (entry, (source, number))
            for entry in self.entries
            for source, text in enumerate(entry.sources)
            for number in range(query.count(text))
        ]

    def from_view(self) -> list[Entry]:
        """The entries from the top of the view on."""
        top = self.scroll_offset.y
        return [*(entry for entry in self.mounted if entry.virtual_region.bottom > top), *self._below]

    def mark(self, query: Query | None, chosen: Find | None = None) -> None:
        """Mark what the query finds, now and in what is still to come; None: nothing any more."""
        self._query = query
        if query is None:
            self._unfolded = None  # and it stays so
        at = chosen[0].current if chosen is not None else None
        for entry in self.entries:
            entry.mark(query, chosen[1] if chosen is not None and entry is at else None)

    def scroll_to_find(self, find: Find) -> None:
        """Bring one find into view. What it is in is unfolded until another one is gone to."""
        entry, hit = self.reveal(find[0]), find[1]
        if self._unfolded is not None and self._unfolded.current is not entry:
            self._unfolded.current.fold()
            self._unfolded = None
        if entry.unfold(hit[0]):
            self._unfolded = entry
        self._goal = entry, hit
        self.call_after_refresh(self._reach_goal)

    def _reach_goal(self) -> None:
        if self._goal is None or not self._goal[0].current.size:
            return
        entry, hit = self._goal[0].current, self._goal[1]
        self._goal = None
        y = entry.virtual_region.y + (entry.line_of(hit) if hit is not None else 0)
        if not self.scroll_y <= y < self.scroll_y + self.size.height:
            self.scroll_to(y=y - self.size.height // 3, animate=False, immediate=True)


def entry_for(message: Message) -> Entry:
    """The entry that shows a message."""
    if message.role == "user":
        return UserMessage(message)
    return SummaryMessage(message) if message.role == "summary" else AssistantMessage(message)
