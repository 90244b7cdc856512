"""Earlier prompts: kept, private, bounded, found."""

from __future__ import annotations

from pathlib import Path

import pytest

from qwen3_chat.app.chat.prompt_history import LONGEST, PromptHistory


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "prompts.jsonl"


def test_prompts_are_kept_in_order_and_whole(file: Path) -> None:
    history = PromptHistory(file)
    prompts = ["one", 'two\nlines "quoted"', "三 \u2028 \ud800"]
    for prompt in [*prompts, prompts[-1]]:
        history.add(prompt)
    assert PromptHistory(file).prompts == history.prompts == prompts


def test_nobody_else_can_read_them(file: Path) -> None:
    PromptHistory(file).add("secret")
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_the_file_is_bounded(file: Path) -> None:
    history = PromptHistory(file, limit=5)
    for number in range(60):
        history.add(f"prompt {number}")
    assert history.prompts == [f"prompt {number}" for number in range(55, 60)]
    assert PromptHistory(file, limit=5).prompts == history.prompts
    assert len(file.read_text().splitlines()) <= 10
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_very_long_prompt_is_remembered_for_this_run_only(file: Path) -> None:
    history = PromptHistory(file)
    history.add("x" * (LONGEST + 1))
    assert len(history.prompts) == 1
    assert PromptHistory(file).prompts == []


def test_lines_that_are_no_prompts_are_skipped(file: Path) -> None:
    PromptHistory(file).add("good")
    with file.open("ab") as lines:
        lines.write(b'{"no": 1}\nrubbish\n\xff\n""\n"last"\n')
    assert PromptHistory(file).prompts == ["good", "last"]


def test_a_file_that_cannot_be_written_is_said_and_harmless(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    history = PromptHistory(tmp_path / "file" / "prompts.jsonl")
    history.add("one")
    assert history.prompts == ["one"]
    assert history.failure is not None
    assert "prompts.jsonl" in history.failure


def test_nothing_is_kept_without_a_file() -> None:
    history = PromptHistory(None)
    history.add("one")
    assert (history.prompts, history.failure) == (["one"], None)


def test_finding() -> None:
    history = PromptHistory(None)
    for prompt in ("Alpha one", "beta", "alpha two"):
        history.add(prompt)
    assert history.find("ALPHA") == 2
    assert history.find("alpha", before=2) == 0
    assert history.find("alpha", before=0) is None
    assert history.find("") == 2
