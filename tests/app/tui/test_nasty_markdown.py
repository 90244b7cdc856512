"""Whole documents of what models write, and of what goes wrong in them: in any chunks, at any width, in any colours."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.strip import Strip

from qwen3_chat.app.tui.render.markdown import GrowingMarkdown
from qwen3_chat.app.tui.render.palette import DARK, LIGHT, Palette

PALETTE = Palette.from_theme(DARK)
BIDI = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

NASTY = {
    "fences": "```py\nx = '''\n\n~~~\n'''\n```\ntext\n~~~\n```\nnever closed\n\n- a\n",
    "nested fences": "- a\n  ```py\n  x = 1\n\n  y = 2\n  ```\n\n  text\n- b\n\n      indented\n\n> ```\n> q\n\nend",
    "lists": "- a\n- b\n\n- loose\n  1. x\n     - y\n  2. z\n* other\n+ third\n1) one\n\n\n2) two\n- [ ] open",
    "tables": "| a | 中文 |\n|:-:|---|\n| 1 | 2 |\n| `x|y` | 👩‍👩‍👧 |\ntext | not\n\n| broken\n|-\n\n|x|\n|-|\n",
    "links": "[a][b] [c] ![i](/j) <http://x.example> www.x.example\n\n[b]: /u 'a\nlong title'\n[c]: <v>\n\n[a][b]\n",
    "quotes": "> a\nlazy\n> > b\n>\n> - c\n>   d\n\n> e\n---\nf\n===\n",
    "east asian": "# 标题\n\n使用旋转位置编码的原因，是因为**二维旋转**是编码相位的`最小`实线性映射。日本語、한국어。\n"
    * 2,
    "emoji": "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 ✈️ 🇩🇪🇫🇷\n\n- 👩🏽‍💻 x\n\n| 👨‍👩‍👧 | e\u0301\u0302 |\n|-|-|\n| ☑️ | a\u0300 |\n",
    "combining": "Ze\u0301ro \u0301 क्षि ก็ العربية \u202eevil\u202c \u2066x\u2069 \x1b[2J \x07 \x9b \x00\n",
    "maths": "a $x^2$ \\(y_1\\)\n\n$$\n\\frac{a}{b}\n- c\n$$\n\n\\[\nnever closed\n\n*b* \\[z\\] $$x$$ y\n",
    "html": "<div>\n*a*\n</div>\n<!-- c -->\n<think>\n\n[/foo] [red]x[/] &lt;&amp;\n<br>\n",
    "long": "x" * 300
    + "\n\nhttps://x.example/"
    + "path/" * 40
    + "\n\n- "
    + "y" * 200
    + "\n\n|"
    + "z" * 90
    + "|\n|-|\n",
}


def strips(text: GrowingMarkdown, width: int, palette: Palette = PALETTE) -> list[Strip]:
    done, tail = text.strips(palette, width)
    return done + tail


def lines(text: str, width: int) -> list[str]:
    return [strip.text.rstrip() for strip in strips(GrowingMarkdown(text), width)]


@pytest.mark.parametrize("name", NASTY)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_chunking_renders_as_one_shot_at_every_step(name: str, data: st.DataObject) -> None:
    text = NASTY[name]
    width = data.draw(st.sampled_from([8, 24, 80]))
    cuts = sorted({*data.draw(st.lists(st.integers(1, len(text)), max_size=8)), len(text)})
    growing = GrowingMarkdown()
    for start, end in zip([0, *cuts], cuts, strict=False):
        growing.append(text[start:end])
        assert strips(growing, width) == strips(GrowingMarkdown(text[:end]), width)


@pytest.mark.parametrize("name", NASTY)
@pytest.mark.parametrize("width", [4, 8, 24, 80])
def test_no_line_is_too_wide_and_nothing_steers_the_terminal(name: str, width: int) -> None:
    for strip in strips(GrowingMarkdown(NASTY[name]), width):
        assert sum(cell_len(segment.text) for segment in strip) == strip.cell_length == width
        assert not any(unicodedata.category(character) == "Cc" for character in strip.text)
        assert not set(strip.text) & BIDI


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("- [ ] open\n- [x] **done**\n- [y] not", ["☐ open", "☑ done", "• [y] not"]),
        ("1. [x] one\n2. two", ["1. ☑ one", "2. two"]),
        ("- a\n  - b\n    1. c\n- d", ["• a", "  • b", "    1. c", "• d"]),
        ("[ ] no list", ["[ ] no list"]),
    ],
)
def test_lists(text: str, shown: list[str]) -> None:
    assert lines(text, 30) == shown


def test_a_table_shrinks_and_its_cells_wrap() -> None:
    text = "| name | 说明 |\n|---|---:|\n| alpha beta gamma | 使用旋转位置编码 |\n| b | 短 |\n"
    assert lines(text, 40) == [
        "name                           说明",
        "───────────────────────────────────",
        "alpha beta gamma   使用旋转位置编码",
        "b                                短",
    ]
    assert lines(text, 20) == [
        "name            说明",
        "────────────────────",
        "alpha       使用旋转",
        "beta        位置编码",
        "gamma",
        "",
        "b                 短",
    ]


def test_a_long_word_is_cut_where_the_line_ends() -> None:
    assert lines("see https://x.example/" + "a" * 20, 20) == ["see", "https://x.example/aa", "a" * 18]


def test_code_is_coloured_by_its_language_and_by_the_theme() -> None:
    looks = []
    for theme in (DARK, LIGHT):
        code = strips(GrowingMarkdown("```python\ndef name(): pass  # why\n```\n"), 40, Palette.from_theme(theme))[1]
        looks.append({segment.text: segment.style.color for segment in code if segment.style is not None})
        assert looks[-1]["def"] != looks[-1]["name"] != looks[-1]["# why"]
    assert looks[0]["def"] != looks[1]["def"]


def test_code_of_an_unknown_language_is_shown_plainly() -> None:
    assert lines("```nosuchlanguage\na  b\n```", 20) == [" nosuchlanguage", " a  b"]
