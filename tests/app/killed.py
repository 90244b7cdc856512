"""A program that is started to be killed: it forks one process for every line it reads, quickly, with all imports done.

A line is a folder and a named pipe. The process answers a question in one shot, with its chats in the folder and its
standard output into the pipe; its clock is the number of tokens that it has drained, a thousandth of a second each.
"""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path
from typing import Any

CHUNK = 5  # tokens a poll
TEXT = "".join(f"{number:07d} " for number in range(4000))  # 32000 tokens, 32 s of that clock
PIPE_BYTES = 4096  # what the process may be ahead of its reader: it never ends before it is killed


def main() -> None:
    """Serve until standard input ends."""
    sys.path.insert(0, str(Path(__file__).parent))
    import scripted

    from qwen3_chat.app import cli, one_shot
    from qwen3_chat.app.chat import model
    from qwen3_chat.app.chat.history import open_chat
    from qwen3_chat.models import demo

    drained = 0

    class Generation(scripted.ScriptedGeneration):
        def drain(self, max: int | None = None) -> list[Any]:
            nonlocal drained
            tokens = super().drain(max)
            drained += len(tokens)
            return tokens

    def answer(folder: str, pipe: str) -> None:
        # First of all: whatever fails from here on, the reader sees an end.
        sys.stdin, sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY)), os.fdopen(os.open(pipe, os.O_WRONLY), "w")
        fcntl.fcntl(sys.stdout, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        scripted.ScriptedGeneration = Generation  # type: ignore[misc]
        scene = scripted.scripted(TEXT, context=1 << 16, chunk=CHUNK)
        model.ChatModel.load = lambda *_: scene.model  # type: ignore[method-assign,assignment]
        one_shot.open_chat = lambda options: open_chat(options, lambda: drained / 1000)
        os.environ["XDG_DATA_HOME"] = folder
        cli.main(["--model", str(demo.path()), "-p", "Tell me"])

    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            answer(*line.split())
            os._exit(0)
        print(child, flush=True)
        os.waitpid(child, 0)
        print("ended", flush=True)


if __name__ == "__main__":
    main()
