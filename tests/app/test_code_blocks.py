"""Code in Markdown."""

from __future__ import annotations

import pytest

from qwen3_chat.app.chat.code_blocks import CodeBlock, code_blocks, fenced


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        ("no code", []),
        ("```py\nx\n```", [CodeBlock("py", "x")]),
        (
            "a\n\n```\none\n\ntwo\n```\nb\n~~~sh title\n```\n~~~\n",
            [CodeBlock("", "one\n\ntwo"), CodeBlock("sh", "```")],
        ),
        ("````\n```\ninner\n```\n````", [CodeBlock("", "```\ninner\n```")]),
        ("  ```\n  x\n    y\n  ```", [CodeBlock("", "x\n  y")]),
        ("```py\nunfinished", [CodeBlock("py", "unfinished")]),
        ("inline ``` is none", []),
        ("``` `x` ```", []),
    ],
)
def test_blocks_are_found(text: str, blocks: list[CodeBlock]) -> None:
    assert code_blocks(text) == blocks


@pytest.mark.parametrize("code", ["x", "```\nx\n```", "a ````` b", ""])
def test_what_is_fenced_is_one_block(code: str) -> None:
    assert code_blocks(fenced(code, "py")) == [CodeBlock("py", code)]
