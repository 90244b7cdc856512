"""SIGKILL at any moment of a reply: the question is there, and of the reply all but the last second."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from killed import CHUNK, TEXT

from qwen3_chat.app.chat.history import Store
from qwen3_chat.app.chat.history.keeping import INTERVAL_S

KILLS = 40
SECOND = 1000  # tokens, by the clock of `killed`


@pytest.fixture
def server() -> Iterator[subprocess.Popen[str]]:
    program = Path(__file__).with_name("killed.py")
    with subprocess.Popen(
        [sys.executable, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def answer_and_kill(server: subprocess.Popen[str], folder: Path, pipe: Path, seen: int) -> str:
    """Start a reply, kill its process once `seen` characters have come; all that has come."""
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(f"{folder} {pipe}\n")
    server.stdin.flush()
    child = int(server.stdout.readline())
    with pipe.open("rb", buffering=0) as output:
        text = b""
        while len(text) < seen:
            bite = output.read(1 + seen % 97)  # small, so that the other one is anywhere when it is killed
            assert bite, "the reply has ended by itself"
            text += bite
        os.kill(child, signal.SIGKILL)
        text += output.readall()
    assert server.stdout.readline() == "ended\n"
    return text.decode()


def test_a_kill_loses_at_most_the_last_second(server: subprocess.Popen[str], tmp_path: Path) -> None:
    assert INTERVAL_S * SECOND + CHUNK < SECOND
    moments = random.SystemRandom()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    home = tmp_path / "home"
    kept_something = 0
    for kill in range(1, KILLS + 1):
        seen = moments.randrange(1, 6 * SECOND)
        text = answer_and_kill(server, home, pipe, seen)
        assert TEXT.startswith(text)
        database = home / "qwen3-chat" / "chats.db"
        with Store(database) as store:
            chats = store.chats()
            assert len(chats) == kill
            question, *replies = store.load(chats[0].id).conversation.path()
        assert question.content == "Tell me"
        if not replies:  # killed between its first words and their first save
            assert len(text) <= SECOND
            continue
        (reply,) = replies
        assert (reply.role, reply.state) == ("assistant", "interrupted")
        assert TEXT.startswith(reply.content)
        lost = len(text) - len(reply.content)
        assert lost <= SECOND, f"killed after {seen} characters: {len(text)} were shown, {len(reply.content)} are kept"
        assert len(reply.token_ids) == len(reply.trace) >= len(reply.content)
        kept_something += len(reply.content) > 0
    assert kept_something > KILLS // 2
    db = sqlite3.connect(database)
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert db.execute("SELECT count(*) FROM pieces").fetchone() == (0,)
    db.execute("INSERT INTO search (search) VALUES ('integrity-check')")  # raises if the index does not fit its text
    db.close()
