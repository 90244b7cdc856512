"""The growing Markdown text: any chunking renders as one piece does, no line is too wide, nothing in it is obeyed."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.strip import Strip

from qwen3_chat.app.tui.render.markdown import GrowingMarkdown
from qwen3_chat.app.tui.render.palette import DARK, Palette
from qwen3_chat.app.tui.render.text import break_offsets

PALETTE = Palette.from_theme(DARK)

# What Markdown is made of, in pieces that meet each other in every order and at every chunk boundary.
PIECES = st.sampled_from(
    [
        *("\n", "\n\n", " ", "  ", "    ", "\t", "\r\n", "word", "中文，标点。", "👩‍👩‍👧", "\x1b[31m", "\\", "&amp;"),
        *(
            "- ",
            "* ",
            "1. ",
            "2) ",
            "> ",
            "# ",
            "###",
            "#",
            "---\n",
            "===\n",
            "```",
            "```py\n",
            "~~~\n",
            "<div>",
            "<think>",
        ),
        *("`", "**", "*", "_", "~~", "|", "|-|-|\n", "| a | b |\n", "[a]", "[a]: /url\n", "[a]: ", '"title', "'t\n"),
        *("](x)", "![i](j)", "https://a.example/b "),
        *("$", "$$", "$$\n", "\\(", "\\)", "\\[\n", "\\]\n", "x^2", "\\frac{a}", "[ ] ", "- [x] ", "e\u0301", "\u202e"),
    ]
)
DOCUMENTS = st.lists(PIECES, max_size=40).map("".join)


def plain(text: GrowingMarkdown, width: int) -> list[Strip]:
    done, tail = text.strips(PALETTE, width)
    return done + tail


def chunked(text: str, cuts: list[int]) -> list[str]:
    places = sorted({cut % (len(text) + 1) for cut in cuts})
    return [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]


@settings(max_examples=300, deadline=None)
@given(DOCUMENTS, st.none() | st.lists(st.integers(0, 400), max_size=12), st.sampled_from([12, 40]), st.booleans())
@example("- a\n#b", None, 40, False)  # half a line looks like a heading and would end the list
@example("- ###", None, 12, True)  # what a heading in a list is changes with its marks alone
@example("p\n|a|b|\n|-|-|x\n", None, 40, False)  # half a line looks like the rule of a table
@example("p\n\n[a]: /u\n'title\nmore'\n\n[a]\n", None, 40, False)  # the title of a link that still grows
@example("[a]\n\np\n\n[a]: /u\n", None, 40, True)  # a link defined after its use
def test_any_chunking_renders_as_one_shot(text: str, cuts: list[int] | None, width: int, look_between: bool) -> None:
    growing = GrowingMarkdown()
    for chunk in text if cuts is None else chunked(text, cuts):
        growing.append(chunk)
        if look_between:
            growing.strips(PALETTE, width)
    assert plain(growing, width) == plain(GrowingMarkdown(text), width)


@settings(max_examples=150, deadline=None)
@given(DOCUMENTS, st.integers(4, 60))
def test_every_strip_is_as_wide_as_the_widget(text: str, width: int) -> None:
    for strip in plain(GrowingMarkdown(text), width):
        assert sum(cell_len(segment.text) for segment in strip) == strip.cell_length == width


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=80), st.integers(4, 30))
def test_any_text_renders(text: str, width: int) -> None:
    rendered = "".join(strip.text for strip in plain(GrowingMarkdown(text), width))
    assert "\x1b" not in rendered
    assert "\r" not in rendered


def test_one_character_at_a_time() -> None:
    text = (
        "# T\n\n- a\n- b\n\n  more\n\n1. x\n\n```py\nx = 1\n\ny\n```\n"
        "| a | b |\n|---|---|\n| 1 | 2 |\n\n> q\nlazy\n\nend [a]\n\n[a]: /u\n"
    )
    growing = GrowingMarkdown()
    for length, character in enumerate(text, 1):
        growing.append(character)
        assert plain(growing, 30) == plain(GrowingMarkdown(text[:length]), 30)


def test_finished_blocks_are_not_rendered_again() -> None:
    growing = GrowingMarkdown("one\n\ntwo\n\nthree")
    done, _ = growing.strips(PALETTE, 40)
    first = done[0]
    growing.append(" and more\n\nfour\n")
    assert growing.strips(PALETTE, 40)[0][0] is first


def test_a_link_may_be_defined_after_its_use() -> None:
    growing = GrowingMarkdown("see [a]\n\nmore\n\n")
    assert plain(growing, 40)[0].text.rstrip() == "see [a]"
    growing.append("[a]: http://u.example\n")
    assert plain(growing, 40)[0].text.rstrip() == "see a (http://u.example)"


def test_html_and_console_markup_are_shown_as_they_are() -> None:
    shown = "\n".join(
        strip.text.rstrip() for strip in plain(GrowingMarkdown("<div>a</div> <think> [/foo] [red]b[/]"), 60)
    )
    assert shown == "<div>a</div> <think> [/foo] [red]b[/]"


def test_a_link_shows_where_it_leads() -> None:
    shown = plain(GrowingMarkdown("[bank](http://elsewhere.example)"), 60)[0].text.rstrip()
    assert shown == "bank (http://elsewhere.example)"
    assert plain(GrowingMarkdown("https://here.example"), 60)[0].text.rstrip() == "https://here.example"


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("使用 RoPE 的原因是因为二维旋转", 12, ["使用 RoPE 的", "原因是因为二", "维旋转"]),
        ("这样一行不会，断", 12, ["这样一行不", "会，断"]),
        ("他说「你好」吗", 6, ["他说", "「你", "好」吗"]),
        ("reused 1\u00a0204 of 1\u00a0612", 18, ["reused 1\u00a0204 of", "1\u00a0612"]),
        ("plain words wrap here", 11, ["plain words", "wrap here"]),
        ("abcdefghijkl", 5, ["abcde", "fghij", "kl"]),
    ],
)
def test_lines_break_where_the_script_breaks(text: str, width: int, lines: list[str]) -> None:
    places = [0, *break_offsets(text, width), len(text)]
    assert [text[a:b].rstrip() for a, b in pairwise(places)] == lines
