"""The command in a process of its own, as a person or a pipe runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

COMMAND = (sys.executable, "-c", "import sys; from qwen3_chat.app.cli import main; sys.exit(main())")
LIMIT_S = 120  # a hang is a failure, too

# The same command over a scripted model: everything is real but the engine.
SCRIPTED = """
import sys
sys.path.insert(0, {tests!r})
from scripted import Line, scripted
from qwen3_chat.app.chat.model import ChatModel
scene = scripted({line})
scene.engine.on_idle = lambda: print("idle", file=sys.stderr, flush=True)
ChatModel.load = lambda *_: scene.model
from qwen3_chat.app.cli import main
sys.exit(main())
"""


def scripted_command(line: str) -> Sequence[str]:
    """The command on a model that replies with the `Line` (or text) which this Python expression makes."""
    return (sys.executable, "-c", SCRIPTED.format(tests=str(Path(__file__).parent), line=line))


def run(
    *arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None, command: Sequence[str] = COMMAND
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, without a terminal; its output decoded."""
    done = subprocess.run(
        [*command, *arguments],
        input=stdin,
        capture_output=True,
        timeout=LIMIT_S,
        env={**os.environ, **(env or {})},
        check=False,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())
