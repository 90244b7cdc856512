"""The command in processes of its own: usage, signals, and what is imported on the way."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from processes import COMMAND, LIMIT_S, run, scripted_command

ERROR_PREFIX = "qwen3-chat: "


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--temperature", "-1"], "--temperature"),
        (["--temperature", "nan"], "--temperature"),
        (["--temperature", "warm"], "--temperature"),
        (["--top-p", "0"], "--top-p"),
        (["--top-p", "1.01"], "--top-p"),
        (["--top-k", "-1"], "--top-k"),
        (["--top-k", "1.5"], "--top-k"),
        (["--min-p", "2"], "--min-p"),
        (["--presence-penalty", "3"], "--presence-penalty"),
        (["--repetition-penalty", "0"], "--repetition-penalty"),
        (["--seed", "-1"], "--seed"),
        (["--seed", str(2**64)], "--seed"),
        (["--max-tokens", "0"], "--max-tokens"),
        (["--context", "0"], "--context"),
        (["--context", "1"], "--context"),
        (["--context", "many"], "--context"),
        (["--threads", "0"], "--threads"),
        (["--weights", "int3"], "--weights"),
        (["--kv", "f16"], "--kv"),
        (["--devices", "gpu"], "--devices"),
        (["--devices", "cpu:0,"], "--devices"),
        (["--devices", "cpu:0,cpu:0"], "--devices"),
        (["--think", "--no-think"], "--no-think"),
        (["-p", "Hi", "--plain"], "--plain"),
        (["-p", "Hi", "--format", "xml"], "--format"),
        (["--format", "json"], "--format"),
        (["-x"], "-x"),
        (["-p", "Hi", "-x", "--format", "json"], "--format"),
        (["-c", "-r", "abc"], "-r"),
        (["-r"], "-r"),
        (["-p"], "-p"),
        (["-p", "  "], "-p"),
        (["--model"], "--model"),
        (["--modle", "x"], "--modle"),
        (["stray"], "stray"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_names_the_flag(arguments: list[str], names: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(ERROR_PREFIX)
    assert done.stderr.count("\n") == 1
    assert names in done.stderr


def test_input_that_is_no_text_is_wrong_usage() -> None:
    done = run("-p", stdin=b"ab\xff")
    assert (done.returncode, done.stdout) == (2, "")
    assert "standard input: not UTF-8 text: byte 2 is 0xff" in done.stderr
    for flag in ("-p", "--system"):
        done = run(*[argument.decode(errors="surrogateescape") for argument in (flag.encode(), b"a\xff")])
        assert (done.returncode, done.stdout) == (2, "")
        assert flag in done.stderr


def test_help_and_version() -> None:
    done = run("--help")
    assert (done.returncode, done.stderr) == (0, "")
    for flag in (
        "--model",
        "--print",
        "--format",
        "--system",
        "--no-think",
        "--temperature",
        "--devices",
        "--resume",
        "bench",
        "sessions",
    ):
        assert flag in done.stdout
    done = run("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("qwen3-chat ")


HEAVY = ("torch", "transformers", "textual", "numpy", "tokenizers", "jinja2")


@pytest.mark.parametrize(
    ("statement", "forbidden"),
    [
        ("from qwen3_chat.app.cli import main; main(['--version'])", HEAVY),
        ("from qwen3_chat.app.cli import main; main(['--help'])", HEAVY),
        ("from qwen3_chat.app.cli import main; main(['--model', '/no/such/folder'])", HEAVY),
        # What a screen imports before it is drawn:
        ("from qwen3_chat.app.chat import budget, conversation, model, options, parts, turn", HEAVY),
        ("from qwen3_chat.app import one_shot, plain, sessions", HEAVY),
        ("from qwen3_chat.app.cli import main; main(['sessions', 'list'])", HEAVY),
        ("from qwen3_chat.app.cli import main; main(['config', 'show'])", (*HEAVY, "tomlkit", "shtab")),
        ("from qwen3_chat.app.cli import main; main(['completions', 'bash'])", HEAVY),
        ("from qwen3_chat.app.cli import main; main(['doctor'])", HEAVY[:3]),
        ("import qwen3_chat.engine, qwen3_chat.models.checkpoint, qwen3_chat.models.tokenizer", HEAVY[:3]),
    ],
)
def test_nothing_heavy_is_imported(statement: str, forbidden: tuple[str, ...]) -> None:
    program = f"import sys\n{statement}\nsys.stderr.write(' '.join(sys.modules))"
    done = run(command=(sys.executable, "-c", program))
    assert done.returncode == 0, done.stderr
    imported = {name.partition(".")[0] for name in done.stderr.split()}
    assert imported.isdisjoint(forbidden), imported & set(forbidden)


def popen(line: str, *arguments: str, model: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*scripted_command(line), "--model", str(model), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize("output", ["text", "json", "jsonl"])
def test_ctrl_c_keeps_the_partial_answer(output: str, chat_checkpoint: Path) -> None:
    line = "Line('<think>Hm.</think>Once upon', end='wait')"
    with popen(line, "-p", "Hi", "--format", output, model=chat_checkpoint) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == b"idle\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, err) == (130, b"")
    if output == "text":
        assert out == b"Once upon\n"
    else:
        record = json.loads(out.splitlines()[-1])
        assert (record["answer"], record["thinking"], record["finish_reason"]) == ("Once upon", "Hm.", "cancelled")


def test_a_reader_that_leaves_is_no_error(chat_checkpoint: Path) -> None:
    with popen("'many words ' * 50_000", "-p", "Hi", model=chat_checkpoint) as process:
        assert process.stdout is not None
        assert process.stdout.read(4) == b"many"
        process.stdout.close()
        assert process.stderr is not None
        err = process.stderr.read()
        process.wait(timeout=LIMIT_S)
    assert (process.returncode, err) == (0, b"")


def test_a_reader_that_was_never_there_is_no_error() -> None:
    for arguments in (["--help"], ["--version"]):
        with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.close()
            _, err = process.communicate(timeout=LIMIT_S)
        assert (process.returncode, err) == (0, b""), arguments


def test_output_that_cannot_be_written_is_one_line(chat_checkpoint: Path) -> None:
    command = shlex.join([*scripted_command("'Hello'"), "--model", str(chat_checkpoint)])
    for arguments in ("-p Hi", "-p Hi --format json"):
        done = run(command=("sh", "-c", f"{command} {arguments} >/dev/full"))
        assert (done.returncode, done.stderr) == (1, "qwen3-chat: No space left on device\n"), arguments


def test_closed_streams_are_no_error(chat_checkpoint: Path) -> None:
    command = shlex.join([*scripted_command("'Hello'"), "--model", str(chat_checkpoint)])
    for arguments, out in (("-p Hi <&-", "Hello\n"), ("-p Hi >&-", ""), ("<&-", "You: \n"), ("-p Hi 2>&-", "Hello\n")):
        done = run(command=("sh", "-c", f"{command} {arguments}"))
        assert (done.returncode, done.stdout, done.stderr) == (0, out, ""), arguments


def test_an_ascii_stream_still_gets_its_json(chat_checkpoint: Path) -> None:
    command = scripted_command("'caf\\u00e9'")
    done = run(
        "--model", str(chat_checkpoint), "-p", "Hi", "--format", "json",
        command=command, env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii()
    assert json.loads(done.stdout)["answer"] == "café"
    done = run("--model", str(chat_checkpoint), "-p", "Hi", command=command, env={"PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stdout, done.stderr) == (0, "caf?\n", "")
