"""The transcript: which entries are mounted, what stays in place, the way to those that are not, and finding words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from scene import replies, scene, screen_text, type_text, wait_until, window
from scripted import Line
from textual.widgets import Input

from qwen3_chat.app.chat.conversation import Conversation
from qwen3_chat.app.tui.app import ChatApp
from qwen3_chat.app.tui.render.palette import Palette
from qwen3_chat.app.tui.render.search import Query
from qwen3_chat.app.tui.widgets.assistant_message import AssistantMessage
from qwen3_chat.app.tui.widgets.find_bar import FindBar
from qwen3_chat.app.tui.widgets.note import Note
from qwen3_chat.app.tui.widgets.transcript import HOME, Transcript
from qwen3_chat.app.tui.widgets.user_message import UserMessage

MOST = 2 * HOME  # entries mounted while someone moves about


def history(turns: int, answer: Callable[[int], str] = lambda turn: f"Answer {turn}\n\n- one\n- two") -> Conversation:
    """A chat of that many questions and answers."""
    conversation = Conversation()
    for turn in range(turns):
        conversation.add_user(f"question {turn}")
        reply = conversation.begin_reply()
        reply.content, reply.state = answer(turn), "complete"
    return conversation


async def opened(pilot: Any, conversation: Conversation) -> Transcript:
    """The transcript, with that conversation in it and the end in view."""
    app = pilot.app
    await wait_until(pilot, lambda: app.session.ready)
    app.session.conversation = conversation
    transcript: Transcript = app.chat.query_one(Transcript)
    await transcript.show(conversation.path())
    await wait_until(
        pilot, lambda: transcript.is_anchored and transcript.region.overlaps(transcript.entries[-1].region)
    )
    return transcript


def lines(app: ChatApp) -> list[str]:
    """The transcript's part of the screen, without its scrollbar."""
    region = app.chat.query_one(Transcript).region
    return [line[: region.width - 1].rstrip() for line in screen_text(app).split("\n")[region.y : region.bottom]]


async def test_only_the_newest_of_a_long_chat_are_mounted() -> None:
    app = window(scene())
    async with app.run_test(size=(80, 24)) as pilot:
        transcript = await opened(pilot, history(200))
        assert len(transcript.entries) == 400
        assert len(transcript.mounted) == HOME
        await wait_until(pilot, lambda: "Answer 199" in screen_text(app))


async def test_scrolling_up_reaches_the_beginning_and_down_the_end() -> None:
    app = window(scene())
    async with app.run_test(size=(80, 24)) as pilot:
        transcript = await opened(pilot, history(80))
        seen: set[str] = set()
        for key, goal in (("pageup", "question 0"), ("pagedown", "Answer 79")):
            for _ in range(200):
                await pilot.press(key)
                seen.update(lines(app))
                assert len(transcript.mounted) <= MOST
                if any(goal in line for line in lines(app)):
                    break
            await wait_until(pilot, lambda goal=goal: any(goal in line for line in lines(app)))
        await pilot.press("pagedown")
        assert {f" ❯ question {turn}" for turn in range(80)} <= seen
        await wait_until(pilot, lambda: transcript.is_anchored and transcript.follows)


async def test_what_is_in_view_stays_while_entries_are_mounted_above() -> None:
    app = window(scene())
    async with app.run_test(size=(80, 24)) as pilot:
        transcript = await opened(pilot, history(100))
        first, seen = transcript.mounted[0], transcript.mounted[3]
        transcript.scroll_to(y=10, animate=False, immediate=True)
        place = seen.virtual_region.y - 10  # under the upper edge
        await wait_until(pilot, lambda: transcript.mounted[0] is not first and transcript.mounted[0].size)
        await wait_until(pilot, lambda: transcript.scroll_y > 10)
        assert seen.virtual_region.y - transcript.scroll_y == place


async def test_what_is_in_view_stays_while_an_entry_above_unfolds() -> None:
    conversation = history(10)
    conversation.path()[1].thinking = "Let me see.\n" * 30
    app = window(scene())
    async with app.run_test(size=(80, 24)) as pilot:
        transcript = await opened(pilot, conversation)
        await pilot.press("pageup")
        await wait_until(pilot, lambda: not transcript.follows)
        before, y = lines(app), transcript.scroll_y
        replies(app)[0].toggle_thinking()
        await wait_until(pilot, lambda: transcript.scroll_y == y + 30)
        assert lines(app) == before


async def test_the_cursor_reaches_what_is_not_mounted() -> None:
    app = window(scene())
    async with app.run_test(size=(80, 24)) as pilot:
        transcript = await opened(pilot, history(150))
        await pilot.press("alt+up", "g")
        await wait_until(pilot, lambda: lines(app)[1].startswith("▎❯ question 0"))
        assert app.focused is transcript.entries[0]
        assert len(transcript.mounted) <= MOST
        await pilot.press("j", "y")
        assert app.clipboard.startswith("Answer 0")
        await pilot.press("G")
        await wait_until(pilot, lambda: app.focused is transcript.entries[-1])
        for number in range(298, 235, -1):
            await pilot.press("k")
            await wait_until(pilot, lambda number=number: app.focused is transcript.entries[number])
            await wait_until(pilot, lambda number=number: transcript.shows(transcript.entries[number]))
        assert len(transcript.mounted) <= MOST


async def test_a_reply_goes_on_while_its_widget_is_gone() -> None:
    app = window(scene(Line("begun " + "word " * 400 + "ended", "wait"), context=1 << 14, chunk=40))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, history(150))
        await type_text(pilot, "go on")
        await pilot.press("enter")
        await wait_until(pilot, lambda: "begun" in screen_text(app))
        reply = replies(app)[-1]
        await pilot.press("alt+up", "g", "escape")
        await wait_until(pilot, lambda: not reply.is_attached)
        assert reply.current is replies(app)[-1]
        await wait_until(pilot, lambda: app.session.turn and app.session.turn.message.content.endswith("ended"))
        await pilot.press("ctrl+end")
        await wait_until(pilot, lambda: "ended▌" in screen_text(app))
        await pilot.press("escape")
        await wait_until(pilot, lambda: "■ stopped" in screen_text(app))


async def test_a_note_for_a_chat_that_is_scrolled_away_waits_at_its_end() -> None:
    app = window(scene())
    async with app.run_test(size=(80, 24)) as pilot:
        transcript = await opened(pilot, history(150))
        await pilot.press("alt+up", "g", "escape")
        await wait_until(pilot, lambda: transcript._below)
        before = lines(app)
        await transcript.add(Note("info", "a note"))
        await pilot.pause()
        assert lines(app)[2:] == before[2:]
        assert transcript.entries[-1].copy_text == "a note"
        await pilot.press("ctrl+end")
        await wait_until(pilot, lambda: "· a note" in screen_text(app))


async def test_another_branch_keeps_the_widgets_of_what_it_shares() -> None:
    conversation = history(20)
    app = window(scene())
    async with app.run_test(size=(80, 24)) as pilot:
        transcript = await opened(pilot, conversation)
        before = transcript.entries
        other = conversation.regenerate(conversation.path()[31].id)
        other.content, other.state = "The other answer.", "complete"
        await transcript.show(conversation.path())
        assert transcript.entries[:31] == before[:31]
        assert [entry.message for entry in transcript.entries] == conversation.path()
        await wait_until(pilot, lambda: "The other answer." in screen_text(app))
        conversation.sibling(other.id, 1)
        await transcript.show(conversation.path())
        assert transcript.entries[:31] == before[:31]
        assert len(transcript.entries) == 40
        await transcript.clear()
        assert transcript.entries == []


# Finding


async def test_words_are_found_in_what_is_not_mounted_and_in_folded_thinking() -> None:
    conversation = history(150)
    path = conversation.path()
    path[1].thinking = "Perhaps a **heffalump** would do.\n" + "Or not.\n" * 30
    path[140].content = "What about the Heffalump?"
    app = window(scene())
    async with app.run_test(size=(80, 24)) as pilot:
        transcript = await opened(pilot, conversation)
        await pilot.press("ctrl+f", *"heffalump")
        await wait_until(pilot, lambda: "2 of 2" in screen_text(app))
        await wait_until(pilot, lambda: "❯ What about the Heffalump?" in screen_text(app))
        await pilot.press("enter")
        await wait_until(pilot, lambda: "1 of 2" in screen_text(app))
        await wait_until(pilot, lambda: "Perhaps a **heffalump** would do." in screen_text(app))
        assert replies(app)[0].unfolded
        assert len(transcript.mounted) <= MOST
        await pilot.press("up")
        await wait_until(pilot, lambda: "What about the Heffalump?" in screen_text(app))
        assert not replies(app)[0].unfolded
        await pilot.press("escape")
        assert not app.chat.query_one(FindBar).display
        await pilot.press(*"hi")
        assert app.chat.query_one(FindBar).is_open is False
        assert "What about the Heffalump?" in screen_text(app)


def marks(app: ChatApp) -> list[str]:
    """What is underlined on the screen, line by line, and in capitals what is chosen."""
    found, chosen = [], Palette.of(app).found(chosen=True).bgcolor
    for entry in app.chat.query_one(Transcript).mounted:
        for y in range(entry.size.height):
            for segment in entry.render_line(y):
                if segment.style is not None and segment.style.underline:
                    found.append(segment.text.upper() if segment.style.bgcolor == chosen else segment.text.lower())
    return found


async def test_finds_are_marked_where_they_are_shown() -> None:
    answer = (
        "An **apple** a day.\n\n| apple |\n|---|\n| an\u00a0apple |\n\n```\nApple()\n```\n\n没有苹果的"
        + "一" * 35
        + "苹果"
    )
    app = window(scene())
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, history(12, lambda turn: answer if turn == 11 else "No fruit."))
        await pilot.press("ctrl+f", *"apple")
        await wait_until(pilot, lambda: "of 4" in screen_text(app))
        await wait_until(pilot, lambda: marks(app) == ["APPLE", "apple", "apple", "apple"])
        await pilot.press("down", "down")
        await wait_until(pilot, lambda: marks(app) == ["apple", "apple", "APPLE", "apple"])
        app.chat.query_one(Input).value = "苹果"
        await wait_until(pilot, lambda: "of 2" in screen_text(app))
        await wait_until(pilot, lambda: marks(app) == ["苹果", "苹果"])
        app.chat.query_one(Input).value = "nowhere"
        await wait_until(pilot, lambda: "not found" in screen_text(app))
        assert marks(app) == []
        await pilot.press("enter", "up", "escape")
        app.chat.query_one(Input).value = "apple"  # closed: nothing is looked for
        await pilot.pause()
        assert marks(app) == []


async def test_a_find_stays_chosen_while_the_chat_grows() -> None:
    app = window(scene("An apple."))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot, history(12, lambda turn: f"apple {turn}"))
        await type_text(pilot, "one apple")
        await pilot.press("ctrl+f", *"apple", "down", "down")
        place = app.chat.query_one(FindBar)._chosen
        assert place is not None
        app.chat.prompt.area.action_prompt_send()
        await wait_until(pilot, lambda: app.session.ready and len(replies(app)) == 13)
        await pilot.press("down", "up")
        assert app.chat.query_one(FindBar)._chosen == (place[0].current, place[1])
        await wait_until(pilot, lambda: "of 14" in screen_text(app))


@pytest.mark.parametrize(
    ("query", "source", "count"),
    [
        ("foo", "foo Foo FOO", 3),
        ("a b", "a  b, a\nb, ab", 2),
        ("bold text", "**bold** text and `bold` *text*", 2),
        ("**bold", "**bold** bold", 1),
        ("# x", "# x", 1),
        ("x", "## x", 1),
        ("[/foo]", "[/foo] (foo)", 1),
        ("", "anything", 0),
        ("  ", "anything", 0),
        ("\\", "a\\b", 1),
    ],
)
def test_words_in_a_source(query: str, source: str, count: int) -> None:
    assert Query(query).count(source) == count


def test_words_that_go_on_in_the_next_line() -> None:
    spans = Query("two words").spans(["• these two", "  words, two words"])
    assert [[(span.line, span.start, span.end) for span in found] for found in spans] == [
        [(0, 8, 11), (1, 2, 7)],
        [(1, 9, 18)],
    ]


# Selecting


async def dragged(pilot: Any, start: tuple[Any, int, int], end: tuple[Any, int, int]) -> str:
    """What is selected by pressing the mouse at one cell of an entry and letting it go at another."""
    await pilot.mouse_down(start[0], offset=start[1:])
    await pilot.hover(end[0], offset=end[1:])
    await pilot.mouse_up(end[0], offset=end[1:])
    await wait_until(pilot, lambda: pilot.app.screen.get_selected_text())
    return str(pilot.app.screen.get_selected_text())


async def test_a_selection_has_no_signs_bars_or_labels() -> None:
    answer = "First.\n\n> quoted\n> 引用\n\n```py\nif x:\n    y()\n```\n\nLast."
    app = window(scene())
    async with app.run_test(size=(80, 30)) as pilot:
        transcript = await opened(pilot, history(12, lambda turn: answer))
        question, reply = transcript.mounted[-2:]
        assert isinstance(question, UserMessage)
        assert isinstance(reply, AssistantMessage)
        text = await dragged(pilot, (reply, 0, 0), (reply, 6, 9))
        assert text == "First.\n\nquoted\n引用\n\nif x:\n    y()\n\nLast"
        await pilot.press("ctrl+c")
        assert app.clipboard == text
        app.screen.clear_selection()
        text = await dragged(pilot, (question, 12, 0), (reply, 8, 2))
        assert text == "11\nFirst.\n\nquo"


async def test_a_selection_outlives_the_end_of_the_window() -> None:
    app = window(scene())
    async with app.run_test(size=(80, 24)) as pilot:
        transcript = await opened(pilot, history(150))
        reply = transcript.mounted[-1]
        text = await dragged(pilot, (reply, 3, 0), (reply, 12, 0))
        await pilot.press(*["pageup"] * 30)
        await pilot.pause()
        assert app.screen.get_selected_text() == text
