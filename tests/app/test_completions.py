"""The script for a shell, and what bash really makes of it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from processes import LIMIT_S, run

from qwen3_chat.app.commands import COMMANDS
from qwen3_chat.app.completions import SHELLS

# What bash does when somebody presses tab behind these words.
TAB = """
source "$1"
shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
COMP_LINE="$*"
COMP_POINT=${#COMP_LINE}
complete -p qwen3-chat | grep -o -- '-F [^ ]*' | cut -c 4- > function
"$(cat function)" qwen3-chat "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    done = run("completions", "bash")
    assert (done.returncode, done.stderr) == (0, "")
    path = tmp_path_factory.mktemp("completions") / "qwen3-chat.bash"
    path.write_text(done.stdout)
    return path


def completed(script: Path, *words: str) -> set[str]:
    bash = shutil.which("bash")
    assert bash is not None
    (script.parent / "file.gguf").touch()
    done = subprocess.run(
        [bash, "-c", TAB, "bash", str(script), "qwen3-chat", *words],
        capture_output=True, text=True, timeout=LIMIT_S, check=True, cwd=script.parent,
    )  # fmt: skip
    return {word.strip() for word in done.stdout.splitlines()} - {""}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--temp",), {"--temperature"}),
        (("--no-",), {"--no-think", "--no-save", "--no-motion"}),
        (("--weights", "int"), {"int8", "int4"}),
        (("--theme", "c"), {"contrast"}),
        (("se",), {"sessions"}),
        (("sessions", "ex"), {"export"}),
        (("sessions", "export", "--form"), {"--format"}),
        (("sessions", "export", "--format", "m"), {"md"}),
        (("config", ""), {"path", "show"}),
        (("completions", "f"), {"fish"}),
        (("bench", "--rep"), {"--repeats"}),
        (("--model", "file"), {"file.gguf"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bash_completes(words: tuple[str, ...], expected: set[str], script: Path) -> None:
    assert completed(script, *words) >= expected
    assert all(word.startswith(words[-1]) for word in completed(script, *words))


def test_bash_completes_every_command(script: Path) -> None:
    assert completed(script, "") >= {command.name for command in COMMANDS}


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_gets_a_script_with_commands_and_flags(shell: str) -> None:
    done = run("completions", shell)
    assert (done.returncode, done.stderr) == (0, "")
    for word in ("qwen3-chat", "temperature", "sessions", "doctor", "contrast"):
        assert word in done.stdout
