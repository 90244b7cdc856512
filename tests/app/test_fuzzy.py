"""A few letters and the files they mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from qwen3_chat.app.chat.fuzzy import best, files_below, score

NAMES = [
    "app/chat/turn.py",
    "app/tui/screens/chat.py",
    "tests/app/test_chat.py",
    "README.md",
    "engine_cpp/ops/rope.cpp",
]


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("chat.py", "app/tui/screens/chat.py"),
        ("turn", "app/chat/turn.py"),
        ("RM", "README.md"),
        ("chturn", "app/chat/turn.py"),
        ("testchat", "tests/app/test_chat.py"),
        ("rope", "engine_cpp/ops/rope.cpp"),
    ],
)
def test_the_best_fit_is_first(query: str, first: str) -> None:
    assert best(query, NAMES, 3)[0] == first


def test_letters_must_come_in_order() -> None:
    assert score("yp", "a.py") is None
    assert best("zzz", NAMES, 3) == []


def test_without_letters_short_names_are_first() -> None:
    assert best("", NAMES, 2) == ["README.md", "app/chat/turn.py"]


def test_case_folding_that_changes_lengths_changes_no_places() -> None:
    assert score("strasse", "straße/x") is None
    assert score("x", "straße/x") is not None


def test_listing_leaves_out_what_nobody_means(tmp_path: Path) -> None:
    for name in ("b.txt", "a/c.txt", ".git/config", "node_modules/x.js", "a/__pycache__/x.pyc", "a/.hidden"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert files_below(tmp_path) == ["b.txt", "a/c.txt"]
    assert files_below(tmp_path, most=1) == ["b.txt"]
    assert files_below(tmp_path / "none") == []
