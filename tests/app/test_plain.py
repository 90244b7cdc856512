"""One shot and line mode, from arguments to what is written where, over a scripted model."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chats import talk
from scripted import Line, Scripted, scripted

from qwen3_chat.app import cli, plain, streams
from qwen3_chat.app.chat import model as chat_model
from qwen3_chat.app.chat.history import History, Store
from qwen3_chat.app.chat.model import ChatModel
from qwen3_chat.engine import why_no_gpu

Run = Callable[..., int]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, chat_checkpoint: Path) -> Run:
    """`run(scene, *arguments, stdin="")`: the command in this process, on a scripted model. Returns its exit code."""

    def run(scene: Scripted, *arguments: str, stdin: bytes = b"") -> int:
        monkeypatch.setattr(ChatModel, "load", lambda *_: scene.model)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        return cli.main(["--model", str(chat_checkpoint), *arguments])

    return run


def test_the_answer_alone_is_on_stdout(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    scene = scripted("<think>\nHm.\n</think>\n\nHello,\n\n世界\n")
    assert run(scene, "-p", "Hi") == 0
    assert capsys.readouterr() == ("Hello,\n\n世界\n", "")
    assert scene.engine.closed


@pytest.mark.parametrize(
    ("arguments", "stdin", "question"),
    [
        (["-p", "Hi"], b"", "Hi"),
        (["-p"], b"Hi\n", "Hi"),
        (["-p", "Summarise:"], "a\nb é\n".encode(), "Summarise:\n\na\nb é"),
        (["--print", "Hi", "--system", "Be brief."], b"", "Hi"),
    ],
)
def test_argument_and_stdin_are_joined(run: Run, arguments: list[str], stdin: bytes, question: str) -> None:
    scene = scripted("Hello")
    assert run(scene, *arguments, stdin=stdin) == 0
    sent = scene.tokenizer.decode(scene.engine.requests[0][0])
    system = "system\nBe brief.\n" if "--system" in arguments else ""
    assert sent == f"{system}user\n{question}\nassistant\n"


def test_every_sampling_flag_reaches_the_engine(run: Run) -> None:
    scene = scripted("Hello")
    flags = (
        "--temperature 0 --top-p 0.5 --top-k 3 --min-p 0.1 --presence-penalty 1.5 --repetition-penalty 1.1 "
        "--seed 9 --max-tokens 50"
    )
    assert run(scene, "-p", "Hi", *flags.split()) == 0
    sampling = scene.engine.requests[0][1]
    assert (sampling.temperature, sampling.top_p, sampling.top_k, sampling.min_p) == (0, 0.5, 3, 0.1)
    assert (sampling.presence_penalty, sampling.repetition_penalty) == (1.5, 1.1)
    assert (sampling.seed, sampling.max_new_tokens) == (9, 50)


@pytest.mark.parametrize(("flag", "temperature"), [("--think", 0.6), ("--no-think", 0.7)])
def test_thinking_is_switched(run: Run, flag: str, temperature: float) -> None:
    scene = scripted("Hello")
    assert run(scene, "-p", "Hi", flag) == 0
    assert scene.engine.requests[0][1].temperature == temperature


@pytest.mark.parametrize(
    ("mode", "flag", "what"), [("never", "--think", "never thinks"), ("always", "--no-think", "always thinks")]
)
def test_a_switch_that_the_model_lacks_is_a_usage_error(
    run: Run, capsys: pytest.CaptureFixture[str], mode: Any, flag: str, what: str
) -> None:
    scene = scripted("Hello", mode=mode)
    assert run(scene, "-p", "Hi", flag) == 2
    assert capsys.readouterr() == ("", f"qwen3-chat: {flag}: scripted {what}; leave the flag out\n")
    assert scene.engine.closed


def test_json_is_one_object_with_everything(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(scripted("<think>\nHm.\n</think>\n\nHé"), "-p", "Hi", "--format", "json") == 0
    out, err = capsys.readouterr()
    assert err == ""
    record = json.loads(out)
    assert len(record.pop("chat")) == 32  # what -r takes
    assert 0 <= record.pop("seed") < 2**32  # drawn, and shown so that the reply can be had again
    assert record == {
        "answer": "Hé",
        "thinking": "Hm.",
        "finish_reason": "stop",
        "prompt_tokens": 21,
        "new_tokens": len("\nHm.\n\n\nHé".encode()) + 3,
        "thinking_tokens": 7,
        "model": "scripted",
        "load_s": 0.25,
        "first_token_s": 0.038,
        "prefill_s": 0.03,
        "decode_s": 0.5,
        "prefill_tokens_per_s": 900.0,
        "tokens_per_s": 41.0,
    }
    assert "é" in out
    assert out.count("\n") == 1


def test_json_shows_the_seed_that_was_given(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(scripted("Hello"), "-p", "Hi", "--format", "json", "--seed", "5") == 0
    assert json.loads(capsys.readouterr().out)["seed"] == 5


def test_the_context_s_end_is_no_failure(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(scripted("Hello, world", context=26), "-p", "Hi", "--format", "json") == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["answer"], record["finish_reason"]) == ("Hello", "length")


def test_a_failed_reply_is_exit_code_1_with_the_part_that_came(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(scripted(Line("Half", end="error")), "-p", "Hi") == 1
    assert capsys.readouterr() == ("Half\n", "qwen3-chat: device cpu:0 failed: scripted\n")
    assert run(scripted(Line("Half", end="error")), "-p", "Hi", "--format", "json") == 1
    assert capsys.readouterr().out == ""


def test_a_prompt_beyond_the_context_is_exit_code_5(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(scripted(context=10), "-p", "Hi") == 5
    assert capsys.readouterr() == ("", "qwen3-chat: the prompt has 21 tokens, the context 10\n")


def test_speed_is_told_on_stderr_to_who_asks(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(scripted("Hello"), "-p", "Hi", "-v", "--seed", "3") == 0
    out, told = capsys.readouterr()
    assert out == "Hello\n"
    assert told.splitlines()[-1] == "6 tokens, first token 38 ms, 41.0 tokens/s, reused 0, seed 3"
    if reason := why_no_gpu():
        assert told.splitlines()[0] == f"running on cpu:0: {reason}"


def test_a_surprise_is_one_line_and_a_traceback_only_on_demand(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def surprise(*_: object) -> None:
        raise ValueError("two\nlines \x1b[31m")

    monkeypatch.setattr(streams, "load", surprise)
    assert run(scripted(), "-p", "Hi") == 1
    line = "qwen3-chat: unexpected ValueError: two lines  [31m (please report it, with what --debug shows)\n"
    assert capsys.readouterr() == ("", line)
    assert run(scripted(), "-p", "Hi", "--debug") == 1
    err = capsys.readouterr().err
    assert err.startswith("Traceback")
    assert err.endswith(line)


def events(out: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The events of the tokens, and the last line."""
    *tokens, summary = map(json.loads, out.splitlines())
    return tokens, summary


@pytest.mark.parametrize("chunk", [1, 3, 1000])
@pytest.mark.parametrize("text", ["<think>\nHm.\n</think>\n\nHé, 世界", "Hello  \n", "\n\n", "half \ufffd"])
def test_jsonl_is_one_event_a_token_and_a_summary(
    run: Run, capsys: pytest.CaptureFixture[str], text: str, chunk: int
) -> None:
    scene = scripted(text, chunk=chunk)
    assert run(scene, "-p", "Hi", "--format", "jsonl") == 0
    out, err = capsys.readouterr()
    assert err == ""
    tokens, summary = events(out)
    assert len(tokens) == summary["new_tokens"]
    for part, field in (("answer", "answer"), ("thinking", "thinking")):
        assert "".join(event["text"] for event in tokens if event["part"] == part) == summary[field]
    assert [event["id"] for event in tokens] == [*scene.tokenizer.encode(text), 2]  # the last is the end of the turn
    assert all(set(event) == {"id", "text", "logprob", "ns", "part"} for event in tokens)
    assert (tokens[0]["logprob"], tokens[0]["ns"]) == (-0.5, 1_000_000)


def test_jsonl_of_a_failed_reply_has_the_tokens_that_came(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(scripted(Line("Half", end="error")), "-p", "Hi", "--format", "jsonl") == 1
    out, err = capsys.readouterr()
    assert "".join(json.loads(line)["text"] for line in out.splitlines()) == "Half"
    assert err == "qwen3-chat: device cpu:0 failed: scripted\n"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("Try this:\n\n```py\nprint(1)\n```\n\nor\n\n```\nother\n```\n", "print(1)\n"),
        ("1. List\n\n   ~~~sh\n   ls\n     -l\n   ~~~\n", "ls\n  -l\n"),
        ("````\n```\ninner\n```\n````", "```\ninner\n```\n"),
        ("```\nno end", "no end\n"),
        ("<think>\n```\nnot this\n```\n</think>\n\n```\nthis\n```", "this\n"),
    ],
)
def test_x_prints_the_first_code_block(run: Run, capsys: pytest.CaptureFixture[str], answer: str, code: str) -> None:
    assert run(scripted(answer), "-p", "Hi", "-x") == 0
    assert capsys.readouterr() == (code, "")


def test_x_without_a_code_block_prints_nothing(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(scripted("Use `ls`."), "-p", "Hi", "-x") == 1
    assert capsys.readouterr() == ("", "qwen3-chat: the reply has no code block\n")
    assert run(scripted(Line("```\nrm -r", end="error")), "-p", "Hi", "-x") == 1
    assert capsys.readouterr() == ("", "qwen3-chat: device cpu:0 failed: scripted\n")


def test_line_mode_is_a_conversation(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    scene = scripted("<think>\nHm.\n</think>\n\nHello. How are you?\nI am well.", "Bye.")
    assert run(scene, stdin=b"Hi\n\nAnd?\n") == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out == (
        "You: Hi\nThe assistant is thinking.\nAssistant: Hello. How are you?\nI am well.\n"
        "You: \nYou: And?\nAssistant: Bye.\nYou: \n"
    )
    assert scene.tokenizer.decode(scene.engine.requests[1][0]).startswith("user\nHi\nassistant\nHello. How")
    assert scene.engine.background[0] == scene.engine.requests[1][0][: len(scene.engine.background[0])]  # read ahead
    assert scene.engine.closed


def test_line_mode_lets_a_reply_go_on(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with History(Store()) as history:
        conversation = talk("Tell me")
        reply = conversation.begin_reply()
        reply.content, reply.thought = "Once upon", False
        history.save(conversation)
        history.store.close()  # as a kill does
    scene = scripted(" a time.")
    assert run(scene, "-c", stdin=b"/continue\n") == 0
    assert capsys.readouterr().out == (
        "Going on with a chat of 2 messages. The last ones were:\nYou: Tell me\nAssistant: Once upon\n"
        "The reply was interrupted. Type /continue to let it go on.\n"
        "You: /continue\nAssistant:  a time.\nYou: \n"
    )
    with Store() as store:
        assert store.load(store.chats()[0].id).conversation.path()[-1].content == "Once upon a time."
    assert run(scripted(), stdin=b"/continue\n") == 1
    assert "There is no reply that could go on.\n" in capsys.readouterr().out


def test_line_mode_writes_whole_sentences(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr(streams, "write", lambda _, text: written.append(text))
    assert run(scripted("One is 1.5. Two! 三。四"), "--plain", stdin=b"Hi\n") == 0
    assert written == ["Hi\n", "Assistant: One is 1.5. ", "Two! ", "三。", "四", "\n", "\n"]


def test_line_mode_goes_on_after_a_failure(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    scene = scripted(Line("Half", end="error"), "Whole", context=200)
    assert run(scene, stdin=b"Hi\n" + b"x" * 300 + b"\nHi\n") == 1
    out = capsys.readouterr().out
    assert "Assistant: Half\nError: device cpu:0 failed: scripted.\n" in out
    assert "This does not fit: 346 tokens, and the context has 200.\n" in out
    assert "Assistant: Whole\n" in out
    assert len(scene.engine.requests) == 2


def test_line_mode_warns_when_little_is_left(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(scripted("Hello, world", context=26), stdin=b"Hi\n") == 0
    out = capsys.readouterr().out
    assert "The context is nearly full: 5 tokens are left to reply.\n" in out
    assert "Note: cut short: the context of 26 tokens is full.\n" in out


@pytest.mark.parametrize(("terminals", "term", "front"), [
    (("stdin", "stdout", "stderr"), "xterm", "tui"), (("stdin", "stdout", "stderr"), "dumb", "plain"),
    (("stdin", "stderr"), "xterm", "plain"), (("stdout", "stderr"), "xterm", "plain"),
    (("stdin", "stdout"), "xterm", "plain"), ((), "xterm", "plain"),
])  # fmt: skip
def test_the_full_screen_needs_a_terminal(
    monkeypatch: pytest.MonkeyPatch, chat_checkpoint: Path, terminals: tuple[str, ...], term: str, front: str
) -> None:
    opened: list[str] = []
    tui = type(sys)("qwen3_chat.app.tui")
    tui.run = lambda options, settings: opened.append("tui") or 0  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "qwen3_chat.app.tui", tui)
    monkeypatch.setattr("qwen3_chat.app.tui", tui, raising=False)
    monkeypatch.setattr(plain, "repl", lambda options: opened.append("plain") or 0)
    monkeypatch.setenv("TERM", term)
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, Terminal() if name in terminals else io.StringIO())
    assert cli.main(["--model", str(chat_checkpoint)]) == 0
    assert opened == [front]


def test_control_characters_do_not_reach_a_terminal() -> None:
    terminal, pipe = Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        streams.write(stream, "a\x1b]52;c;eA==\x07b\tc\n\x9b2J")
    assert terminal.getvalue() == "a]52;c;eA==b\tc\n2J"
    assert pipe.getvalue() == "a\x1b]52;c;eA==\x07b\tc\n\x9b2J"  # data stay as they are


def test_the_models_of_this_test_are_found_where_the_command_looks() -> None:
    assert streams.ChatModel is chat_model.ChatModel
