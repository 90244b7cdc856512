"""Files that a message mentions: found while typing, counted, sent."""

from __future__ import annotations

from pathlib import Path

import pytest
from scene import (
    ask,
    idle,
    notes,
    press_text,
    prompt_text,
    replies,
    scene,
    screen_text,
    texts,
    type_text,
    wait_until,
    window,
)

from qwen3_chat.app.tui.widgets.menu import Menu


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "rotary.py").write_text("theta = 1e6\n")
    (tmp_path / "notes.md").write_text("# Notes\n")
    (tmp_path / "weights.bin").write_bytes(b"\x00\x01")
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def test_a_file_is_completed_counted_and_sent(folder: Path) -> None:
    made = scene("I see.")
    app = window(made)
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until(pilot, lambda: app.session.ready)
        await press_text(pilot, "read @rot")
        await wait_until(pilot, lambda: "❯ src/rotary.py" in screen_text(app))
        await pilot.press("tab")
        assert prompt_text(app) == "read @src/rotary.py "
        sent = "read @src/rotary.py\n\nsrc/rotary.py:\n```py\ntheta = 1e6\n```"
        budget = app.session.measure(sent)
        assert budget is not None
        await wait_until(pilot, lambda: f"1 file · {budget.draft_tokens} tok · fits" in screen_text(app))
        await pilot.press("enter")
        await wait_until(pilot, lambda: idle(app) and replies(app))
        assert texts(app)[0] == sent
        assert len(made.engine.requests[0][0]) == budget.prompt_tokens
        await pilot.press("up")
        assert prompt_text(app) == "read @src/rotary.py"  # the history has what was typed


async def test_a_path_of_another_folder_is_completed_folder_by_folder(folder: Path) -> None:
    (folder / "src" / "a file.txt").write_text("x")
    app = window(scene())
    async with app.run_test(size=(80, 24)) as pilot:
        await press_text(pilot, f"@{folder}/sr")
        await wait_until(pilot, lambda: app.chat.query_one(Menu).chosen is not None)
        await pilot.press("tab")
        assert prompt_text(app) == f"@{folder}/src/"
        await press_text(pilot, "afi")
        await pilot.press("tab")
        assert prompt_text(app) == f'@"{folder}/src/a file.txt" '


async def test_the_arrows_choose_and_a_click_takes(folder: Path) -> None:
    app = window(scene())
    async with app.run_test(size=(80, 24)) as pilot:
        menu = app.chat.query_one(Menu)
        await press_text(pilot, "@")
        await wait_until(pilot, lambda: menu.offer is not None and len(menu.offer.items) == 3)
        first = menu.chosen
        await pilot.press("down")
        assert menu.chosen != first
        await pilot.press("up", "up", "up")
        assert menu.chosen is not None
        assert menu.chosen != first
        await pilot.press("escape")
        assert menu.chosen is None
        assert prompt_text(app) == "@"
        await press_text(pilot, "not")
        await wait_until(pilot, lambda: "❯ notes.md" in screen_text(app))
        await pilot.click(menu, offset=(3, 0))
        await wait_until(pilot, lambda: prompt_text(app) == "@notes.md ")


@pytest.mark.parametrize(
    ("mentioned", "said"),
    [("@weights.bin", "is binary; only text can be sent"), ("@src", "is a folder; mention the files")],
)
async def test_what_cannot_be_attached_is_said_before_and_when_it_is_sent(
    mentioned: str, said: str, folder: Path
) -> None:
    made = scene("Never.")
    app = window(made)
    async with app.run_test(size=(100, 24)) as pilot:
        await wait_until(pilot, lambda: app.session.ready)
        await type_text(pilot, f"what is {mentioned} ?")
        await wait_until(pilot, lambda: said in screen_text(app))
        await pilot.press("enter")
        await wait_until(pilot, lambda: notes(app))
        assert said in notes(app)[0].why
        assert prompt_text(app) == f"what is {mentioned} ?"
        assert made.engine.requests == []


async def test_what_is_no_file_is_text(folder: Path) -> None:
    app = window(scene("A decorator."))
    async with app.run_test(size=(80, 24)) as pilot:
        await ask(pilot, "what does @dataclass do?")
        assert texts(app)[0] == "what does @dataclass do?"
