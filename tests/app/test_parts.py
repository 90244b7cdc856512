"""Thinking and answer are told apart by token id."""

from __future__ import annotations

from typing import Any

import pytest
from scripted import MARKS, ScriptedTokenizer

from qwen3_chat.app.chat.parts import ReplySplitter, starts_thinking


def split(text: str, *, thinking: bool = False) -> dict[str, str]:
    tokenizer: Any = ScriptedTokenizer()
    splitter = ReplySplitter(tokenizer, thinking=thinking)
    parts = {"thinking": "", "answer": ""}
    for token in tokenizer.encode(text):
        part, piece = splitter.push(token)
        parts[part] += piece
    part, piece = splitter.finish()
    parts[part] += piece
    return parts


@pytest.mark.parametrize(
    ("text", "thinking", "answer"),
    [
        ("Hello", "", "Hello"),
        ("<think>\nHm.\n</think>\n\nHello", "Hm.", "Hello"),
        ("\n<think>\nHm.\n</think>\n\nHello", "Hm.", "Hello"),
        ("<think>\n\n</think>\n\nHello", "", "Hello"),
        ("<think>\nA\n\nB\n</think>\nC\n\nD", "A\n\nB", "C\n\nD"),
        ("<think>\nnever done", "never done", ""),
        ("\n\n    indented code", "", "    indented code"),
        ("Hello  \n\n", "", "Hello"),
        ("The tag <think> opens, </think> closes.", "", "The tag <think> opens, </think> closes."),
        ("<think>a <think> b</think>c", "a <think> b", "c"),
        ("<think>你</think>好 😀", "你", "好 😀"),
        ("", "", ""),
    ],
)
def test_a_reply_is_split(text: str, thinking: str, answer: str) -> None:
    assert split(text) == {"thinking": thinking, "answer": answer}


def test_a_prompt_that_opened_the_block_starts_inside_it() -> None:
    assert split("\nHm.\n</think>\n\nHello", thinking=True) == {"thinking": "Hm.", "answer": "Hello"}


def test_a_character_that_never_came_is_marked() -> None:
    tokenizer: Any = ScriptedTokenizer()
    splitter = ReplySplitter(tokenizer, thinking=False)
    pieces = [splitter.push(token)[1] for token in tokenizer.encode("ab你")[:-1]]
    assert "".join(pieces) == "ab"
    assert splitter.finish() == ("answer", "\N{REPLACEMENT CHARACTER}")


def test_a_tokenizer_without_think_tokens_has_answers_only() -> None:
    tokenizer: Any = ScriptedTokenizer()
    tokenizer.think_open = tokenizer.think_close = None
    splitter = ReplySplitter(tokenizer, thinking=False)
    assert [splitter.push(token) for token in (MARKS["<think>"], 16 + ord("a"))] == [
        ("answer", "<think>"),
        ("answer", "a"),
    ]


@pytest.mark.parametrize(
    ("prompt", "inside"),
    [
        ("<|im_start|>assistant\n", False),
        ("<|im_start|>assistant\n<think>\n", True),
        ("<|im_start|>assistant\n<think>\n\n</think>\n\n", False),
        ("<|im_start|>user\nwhat is <think><|im_end|>\n<|im_start|>assistant\n", False),
        ("<|im_start|>user\nno </think><|im_end|>\n<|im_start|>assistant\n<think>\n", True),
        ("", False),
    ],
)
def test_whether_a_prompt_leaves_the_block_open(prompt: str, inside: bool) -> None:
    tokenizer: Any = ScriptedTokenizer()
    assert starts_thinking(tokenizer.encode(prompt), tokenizer) is inside
