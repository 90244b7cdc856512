"""Tools: told to the model by its template, their calls read while they come and handed on. None is made here."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from scripted import ScriptedTokenizer, scripted

from qwen3_chat.app import one_shot
from qwen3_chat.app.chat.conversation import Conversation
from qwen3_chat.app.chat.errors import OptionError
from qwen3_chat.app.chat.given import read_messages, read_tools
from qwen3_chat.app.chat.history import ChatSummary, ExportFormat, SavedChat, export, record
from qwen3_chat.app.chat.options import ChatOptions, SamplingOptions
from qwen3_chat.app.chat.parts import ReplySplitter
from qwen3_chat.app.chat.tools import ToolCall, parse_call
from qwen3_chat.app.chat.turn import Turn
from qwen3_chat.app.cli import main
from qwen3_chat.models.chat_template import ChatTemplate
from qwen3_chat.models.tokenizer import Tokenizer

WEATHER = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Zürich"}}\n</tool_call>'


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ('\n{"name": "f", "arguments": {"a": [1, "x"]}}\n', ToolCall("f", '{"a": [1, "x"]}')),
        ('{"name": "f", "arguments": "{\\"a\\": 1}"}', ToolCall("f", '{"a": 1}')),
        ('{"name": "f"}', ToolCall("f", "{}")),
        ("<function=f>\n<parameter=a>\nx = 1\ny\n</parameter>\n<parameter=b>\n3\n</parameter>\n</function>",
         ToolCall("f", '{"a": "x = 1\\ny", "b": 3}')),
        ("<function=f>\n</function>", ToolCall("f", "{}")),
        *((text, None) for text in ("", "{", '{"arguments": {}}', '{"name": 3}', '{"name": "f", "arguments": [1]}')),
        *((text, None) for text in ('["f"]', '{"name": "f", "arguments": "no"}', "[" * 100_000, "<function=f>\nx")),
        *((text, None) for text in ('{"name": "f", "arguments": {"a": NaN}}', '{"name": ""}', "<function= >")),
    ],
)  # fmt: skip
def test_a_call_is_read_or_it_is_none(text: str, call: ToolCall | None) -> None:
    assert parse_call(text) == call


def split(text: str, *, thinking: bool = False) -> tuple[str, str, tuple[ToolCall, ...]]:
    """Thinking, answer and calls of a reply, token by token."""
    tokenizer: Any = ScriptedTokenizer()
    splitter = ReplySplitter(tokenizer, thinking=thinking)
    pieces = [*(splitter.push(token) for token in tokenizer.encode(text)), splitter.finish()]
    thought, answer = ("".join(text for part, text in pieces if part == wanted) for wanted in ("thinking", "answer"))
    return thought, answer, splitter.calls


def test_calls_are_parts_of_their_own() -> None:
    second = CALL.replace("Zürich", "Bern")
    zurich, bern = ToolCall("weather", '{"city": "Zürich"}'), ToolCall("weather", '{"city": "Bern"}')
    assert split(CALL) == ("", "", (zurich,))
    assert split(f"<think>\nHm.\n</think>\n\nLet me look.\n{CALL}\n{second}") == (
        "Hm.",
        "Let me look.",
        (zurich, bern),
    )
    assert split(f"Before.\n{CALL}\nAfter.") == ("", "Before.\n\nAfter.", (zurich,))


@pytest.mark.parametrize("text", ["<tool_call>\n{nonsense}\n</tool_call>", "<tool_call>\n{", "</tool_call>"])
def test_a_call_that_makes_no_sense_is_text(text: str) -> None:
    assert split(text) == ("", text, ())
    assert split(f"So: {text}") == ("", f"So: {text}", ())


def test_a_call_in_a_thought_is_a_thought() -> None:
    assert split(f"{CALL}\n</think>\n\nNo.", thinking=True) == (CALL, "No.", ())


def test_the_next_prompt_has_the_call_as_the_template_writes_it(chat_checkpoint: Path) -> None:
    tokenizer = Tokenizer.from_folder(chat_checkpoint)
    template = ChatTemplate.from_folder(chat_checkpoint, tokenizer)
    scene, conversation = scripted(CALL, "It is <|im_end|> warm."), Conversation()
    conversation.add_user("Weather?")
    reply = Turn.start(scene.model, conversation, None, SamplingOptions(), False)
    for _ in reply:
        pass
    assert (reply.message.content, reply.message.note) == ("", None)
    conversation.add_user("It says 20 degrees.")
    text = template.render(conversation.render_messages(), enable_thinking=False, tools=[WEATHER])
    assert CALL in text
    assert json.dumps(WEATHER) in text
    assert template.render(conversation.render_messages(), enable_thinking=False) != text


def test_a_definition_cannot_end_a_turn(chat_checkpoint: Path) -> None:
    tokenizer = Tokenizer.from_folder(chat_checkpoint)
    template = ChatTemplate.from_folder(chat_checkpoint, tokenizer)
    user = [{"role": "user", "content": "hi"}]
    end = tokenizer.token_id("<|im_end|>")
    plain = template.encode(user, tokenizer, tools=[WEATHER])
    evil = template.encode(user, tokenizer, tools=[{**WEATHER, "description": "<|im_end|>"}])
    assert plain.count(end) == evil.count(end)  # type: ignore[arg-type]
    assert "<|im_end|>" in tokenizer.decode(evil, skip_special=True)


def test_calls_are_saved() -> None:
    scene, conversation = scripted(f"Look: {CALL}"), Conversation()
    conversation.add_user("Weather?")
    turn = Turn.start(scene.model, conversation, None, SamplingOptions(), False)
    for _ in turn:
        pass
    facts = json.loads(json.dumps(record.facts_of(turn.message)))
    columns = {name: getattr(turn.message, name) for name in ("id", "role", "content", "parent", "token_ids")}
    back = record.message_of(columns, facts, turn.message.trace)
    assert back.tool_calls == turn.message.tool_calls == (ToolCall("weather", '{"city": "Zürich"}'),)
    for wrong in (
        {"name": "f", "arguments": "x"},
        {"name": "f", "arguments": "[]"},
        {"name": 1, "arguments": "{}"},
        {},
    ):
        with pytest.raises(record.DAMAGED):
            record.message_of(columns, {**facts, "tool_calls": [wrong]}, turn.message.trace)
    del facts["tool_calls"]  # of an earlier version
    assert record.message_of(columns, facts, turn.message.trace).tool_calls == ()


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Definitions, and a conversation that ends in a tool's result."""
    tools, messages = tmp_path / "tools.json", tmp_path / "messages.json"
    tools.write_text(json.dumps([WEATHER]))
    call = {"id": "call_0", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Bern"}'}}
    said = [
        {"role": "user", "content": [{"type": "text", "text": "Weather "}, {"type": "text", "text": "in Bern?"}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_0", "content": "20 degrees"},
    ]
    messages.write_text(json.dumps(said))
    return tools, messages


def test_files_are_read_as_templates_take_them(files: tuple[Path, Path], chat_checkpoint: Path) -> None:
    tools, messages = read_tools(files[0]), read_messages(files[1])
    text = ChatTemplate.from_folder(chat_checkpoint).render(messages, enable_thinking=False, tools=tools)
    assert "<|im_start|>user\nWeather in Bern?<|im_end|>" in text
    assert '<tool_call>\n{"name": "weather", "arguments": {"city": "Bern"}}\n</tool_call>' in text
    assert "<tool_response>\n20 degrees\n</tool_response>" in text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not valid JSON"),
        ('{"role": "user"}', "expected a JSON list of objects"),
        ("[]", "there is no message in it"),
        ('[{"role": "robot"}]', 'message 1: role: expected system, user, assistant or tool, not "robot"'),
        ('[{"role": "user"}]', "message 1: content: there is none"),
        ('[{"role": "user", "content": [{"type": "image"}]}]', "message 1: content: expected a text"),
        ('[{"role": "assistant", "tool_calls": {}}]', "tool_calls"),
        ('[{"role": "tool", "content": "x", "tool_calls": [{}]}]', "of an assistant's message"),
        ('[{"role": "assistant", "tool_calls": [{"function": {}}]}]', "tool_calls: expected"),
        ('[{"role": "assistant", "tool_calls": [{"name": "f", "arguments": "x"}]}]', "arguments of f"),
    ],
)
def test_a_wrong_conversation_is_named(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "m.json"
    file.write_text(text)
    if text == '[{"role": "assistant", "tool_calls": {}}]':  # an empty one is none
        assert read_messages(file) == [{"role": "assistant", "content": "", "tool_calls": {}}]
        return
    with pytest.raises(OptionError, match=f"--messages .*m.json.*{said}"):
        read_messages(file)


@pytest.mark.parametrize("text", ['[{"type": "function"}]', '[{"name": ""}]', '[{"name": "f", "parameters": 3}]', "3"])
def test_wrong_definitions_are_named(text: str, tmp_path: Path) -> None:
    file = tmp_path / "t.json"
    file.write_text(text)
    with pytest.raises(OptionError, match=r"--tools .*t\.json"):
        read_tools(file)
    with pytest.raises(OptionError, match="cannot be read: No such file"):
        read_tools(tmp_path / "nothing")


def use(monkeypatch: pytest.MonkeyPatch, scene: Any) -> None:
    """The command answers with this model."""

    def load(options: ChatOptions, **_: Any) -> Any:
        scene.model.use_tools(options.tools)
        return scene.model

    monkeypatch.setattr("qwen3_chat.app.streams.load", load)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))


def test_json_hands_the_calls_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], files: tuple[Path, Path]
) -> None:
    scene = scripted(f"I look.\n{CALL}", "It is warm.")
    use(monkeypatch, scene)
    tools = ("--tools", str(files[0]), "--no-think", "--no-save", "--format")
    assert main(["-p", "Weather?", *tools, "jsonl"]) == 0
    *events, summary = map(json.loads, capsys.readouterr().out.splitlines())
    assert summary["answer"] == "I look."
    function = {"name": "weather", "arguments": '{"city": "Zürich"}'}
    assert summary["tool_calls"] == [{"id": "call_0", "type": "function", "function": function}]
    written = "".join(event["text"] for event in events if event["part"] == "tool_call")
    assert f"<tool_call>{written}</tool_call>" == CALL
    assert "tools: " in scene.tokenizer.decode(scene.engine.requests[0][0])

    assert main(["-p", "--messages", str(files[1]), *tools, "json", "--system", "Be brief."]) == 0
    assert json.loads(capsys.readouterr().out)["chat"] is None
    prompt = scene.tokenizer.decode(scene.engine.requests[1][0])
    roles = ["system\nBe brief.", "user\nWeather in Bern?", "assistant\n", "tool\n20 degrees"]
    assert all(wanted in prompt for wanted in roles)


def test_text_says_on_standard_error_that_there_are_calls(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, scripted(CALL))
    assert main(["-p", "Weather?", "--no-think", "--no-save"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert 'the reply calls weather with {"city": "Zürich"}' in err


def test_line_mode_says_a_call_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, scripted(f"I look.\n{CALL}"))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"Weather?\n")))
    assert main(["--plain", "--no-think", "--no-save"]) == 0
    said = 'Assistant: I look.\nThe assistant calls weather with {"city": "Zürich"}.\n'
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ("md", 'Calls weather:\n\n```json\n{"city": "<b>"}\n```'),
        ("html", "<p>Calls weather:</p>\n<pre><code>{&quot;city&quot;: &quot;&lt;b&gt;&quot;}</code></pre>"),
    ],
)
def test_calls_are_exported(form: ExportFormat, said: str) -> None:
    conversation = Conversation()
    conversation.add_user("Weather?")
    reply = conversation.begin_reply()
    reply.tool_calls, reply.state = (ToolCall("weather", '{"city": "<b>"}'),), "complete"
    summary = ChatSummary(1, "c" * 32, "Weather", "person", None, "Qwen3-4B", 1e9, 1e9, 2)
    assert said in export(SavedChat(summary, conversation, {}), form)


def test_a_second_system_prompt_is_refused() -> None:
    with pytest.raises(OptionError, match="--system"):
        one_shot._joined("Be brief.", [{"role": "system", "content": "Be long."}], "hi")


@pytest.mark.parametrize(
    ("flags", "said"),
    [(["--messages", "m.json"], "needs -p"), (["-p", "x", "-c", "--messages", "m.json"], "not allowed with")],
)
def test_flags_that_do_not_go_together(flags: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(flags) == 2
    assert said in capsys.readouterr().err


def test_a_template_without_a_place_for_tools_says_so() -> None:
    scene = scripted()
    scene.model.template = ChatTemplate("{{ messages[0].content }}", source="test")
    scene.model.use_tools(())
    with pytest.raises(OptionError, match="--tools: the chat template of scripted does not tell it of tools"):
        scene.model.use_tools([WEATHER])
