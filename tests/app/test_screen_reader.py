"""Line mode on a real terminal, word for word: what a screen reader has to read out."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import LIMIT_S

PROGRAM = """
import sys
sys.path.insert(0, {tests!r})
from scripted import Line, scripted
from qwen3_chat.app.chat.model import ChatModel
from qwen3_chat.engine import Progress
scene = scripted("<think>Pairs.</think>Two dimensions make a plane. A plane can turn.", "It is **one**:\\n\\n1. yes")
scene.model.name = "scripted"
def load(path, options, progress):
    for done in range(5):
        progress(Progress("map", done, 4))
    progress(Progress("warm-up", 1, 1))
    return scene.model
ChatModel.load = load
from qwen3_chat.app.cli import main
sys.exit(main())
"""

TRANSCRIPT = """\
Loading the model: map.
Loading the model: warm-up.
Talking to scripted. Ctrl+C stops a reply, Ctrl+D leaves.
You: Why pairs?
The assistant is thinking.
Assistant: Two dimensions make a plane. A plane can turn.
You: And one?
Assistant: It is **one**:

1. yes
You:\x20
"""
PASTING = re.compile(r"\x1b\[\?2004[hl]\r?")  # readline asks the terminal to mark what is pasted; nothing is drawn


class Terminal:
    """A program on a pseudo terminal."""

    def __init__(self, command: list[str]) -> None:
        self._fd, theirs = os.openpty()
        environment = {**os.environ, "TERM": "xterm-256color", "LINES": "24", "COLUMNS": "80"}
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
        )
        os.close(theirs)
        self.written = b""

    def read_until(self, text: str | None, times: int = 1) -> None:
        """Until that text was written so many times; None: until the program ends."""
        end = time.monotonic() + LIMIT_S
        while text is None or self.written.count(text.encode()) < times:
            ready, _, _ = select.select([self._fd], [], [], max(0.0, end - time.monotonic()))
            assert ready, self.written
            try:
                new = os.read(self._fd, 1 << 16)
            except OSError:  # Linux: the other side is closed
                new = b""
            if not new:
                assert text is None, self.written
                return
            self.written += new

    def type(self, text: bytes) -> None:
        os.write(self._fd, text)

    def close(self) -> int:
        self.read_until(None)
        os.close(self._fd)
        return self.process.wait(timeout=LIMIT_S)


@pytest.mark.parametrize("how", ["flag", "setting"])
def test_whole_sentences_without_a_sign_or_a_line_that_changes(how: str, chat_checkpoint: Path, homes: Path) -> None:
    if how == "setting":
        (homes / "config" / "qwen3-chat").mkdir(parents=True)
        (homes / "config" / "qwen3-chat" / "config.toml").write_text("[screen]\nplain = true\n")
    program = PROGRAM.format(tests=str(Path(__file__).parent))
    flags = ["--plain"] if how == "flag" else []
    terminal = Terminal([sys.executable, "-c", program, "--model", str(chat_checkpoint), *flags])
    terminal.read_until("You: ")
    terminal.type(b"Why pairs?\r")
    terminal.read_until("You: ", 2)
    terminal.type(b"And one?\r")
    terminal.read_until("You: ", 3)
    terminal.type(b"\x04")
    assert terminal.close() == 0
    heard = PASTING.sub("", terminal.written.decode()).replace("\r\n", "\n")
    assert heard == TRANSCRIPT
    assert heard.isascii()
