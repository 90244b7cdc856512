"""Relatives of Qwen3: releases that always or never think, Coder, base models, fine-tunes with tokens of their own."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from checkpoints import make_checkpoint

from qwen3_chat.app.chat.conversation import Conversation
from qwen3_chat.app.chat.history.titles import can_entitle
from qwen3_chat.app.chat.model import ChatModel
from qwen3_chat.app.chat.options import SamplingOptions
from qwen3_chat.app.chat.parts import ReplySplitter
from qwen3_chat.app.chat.summary import NothingToSummarise, start_summary
from qwen3_chat.app.chat.turn import Turn
from qwen3_chat.app.cli import main
from qwen3_chat.models.errors import CheckpointError

SHORT = SamplingOptions(max_tokens=12, seed=3)
END, BLANK = "<|im_end|>", "<|endoftext|>"


def reply_of(model: ChatModel, sampling: SamplingOptions = SHORT, thinking: bool | None = None) -> Turn:
    conversation = Conversation()
    conversation.add_user("Once upon a time")
    turn = Turn.start(model, conversation, model.new_cache(), sampling, thinking)
    for _ in turn:
        pass
    return turn


def prompt_of(model: ChatModel, *texts: str) -> str:
    conversation = Conversation()
    for place, text in enumerate(texts):
        if place % 2:
            reply = conversation.begin_reply()
            reply.content, reply.state = text, "complete"
        else:
            conversation.add_user(text)
    return model.tokenizer.decode(model.prompt_ids(conversation.render_messages(), True), skip_special=False)


def test_thinking_2507_begins_in_its_thought(checkpoint: Callable[..., Path]) -> None:
    with ChatModel.load(checkpoint(tokenizer=True, template="thinking_2507")) as model:
        assert (model.thinking_mode, model.thinks(None), model.thinks(False)) == ("always", True, True)
        turn = reply_of(model)
        close = model.tokenizer.think_close
        said = turn.message.token_ids
        thought = said[: said.index(close)] if close in said else said  # type: ignore[arg-type]
        assert turn.message.thinking == model.tokenizer.decode(thought).strip("\n").rstrip()
        assert turn.message.content == "" or close in said
        # A block that the reply closes is closed; earlier ones are not sent again.
        splitter = ReplySplitter(model.tokenizer, thinking=True)
        pieces = [splitter.push(token) for token in model.tokenizer.encode("Hm.\n</think>\n\nYes.")]
        assert ("".join(t for p, t in pieces if p == "thinking"), splitter.part) == ("Hm.", "answer")
        assert prompt_of(model, "a", "<think>\nHm.\n</think>\n\nb", "c").count("<think>") == 1


def test_instruct_2507_has_no_switch(checkpoint: Callable[..., Path]) -> None:
    with ChatModel.load(checkpoint(tokenizer=True, template="instruct_2507")) as model:
        assert (model.thinking_mode, model.thinks(None), model.thinks(True)) == ("never", False, False)
        assert "<think>" not in prompt_of(model, "hi")
        assert reply_of(model).thinking is False


def test_coder_reads_tools_and_writes_calls_in_tags(checkpoint: Callable[..., Path]) -> None:
    with ChatModel.load(checkpoint(tokenizer=True, template="qwen3_coder")) as model:
        assert model.thinking_mode == "never"
        parameters = {"type": "object", "properties": {"code": {"type": "string", "enum": ["a", "b"]}, "n": {}}}
        model.use_tools([{"type": "function", "function": {"name": "run", "parameters": parameters}}])
        conversation = Conversation()
        conversation.add_user("Run it")
        reply = conversation.begin_reply()
        splitter = ReplySplitter(model.tokenizer, thinking=False)
        written = "\n<tool_call>\n<function=run>\n<parameter=code>\nif a:\n  b()\n</parameter>\n<parameter=n>\n3\n"
        written += "</parameter>\n</function>\n</tool_call>"
        for token in model.tokenizer.encode(written):
            splitter.push(token)
        reply.tool_calls, reply.state = splitter.calls, "complete"
        assert json.loads(reply.tool_calls[0].arguments) == {"code": "if a:\n  b()", "n": 3}
        conversation.add_user("It printed 1")
        prompt = model.tokenizer.decode(model.prompt_ids(conversation.render_messages(), False), skip_special=False)
        assert "<function>\n<name>run</name>" in prompt
        assert '<enum>["a", "b"]</enum>' in prompt
        assert f"<|im_start|>assistant\n{written}<|im_end|>" in prompt


def base(folder: Path, **changes: Any) -> Path:
    """A model without a chat template, that ends at <|endoftext|> alone."""
    made = make_checkpoint(folder, tokenizer=True, template=None, **changes)
    tokens = json.loads((made / "tokenizer.json").read_text())["added_tokens"]
    (blank,) = (token["id"] for token in tokens if token["content"] == BLANK)
    (made / "generation_config.json").write_text(json.dumps({"eos_token_id": blank}))
    return made


def test_a_base_model_goes_on_with_the_text(tmp_path: Path) -> None:
    with ChatModel.load(base(tmp_path)) as model:
        assert model.completes
        assert (model.thinking_mode, model.stop_ids, can_entitle(model)) == ("never", None, False)
        assert prompt_of(model, "Once upon a time") == "Once upon a time"
        assert prompt_of(model, "Once", " upon", "A time") == "Once upon\n\nA time"
        turn = reply_of(model)
        assert turn.prompt_ids == model.tokenizer.encode("Once upon a time")
        with pytest.raises(NothingToSummarise, match="only goes on with texts"):
            start_summary(model, Conversation(), None, SHORT)


def test_a_model_that_ends_its_turns_has_the_usual_template(tmp_path: Path) -> None:
    """Its file was left out, as it often is in conversions."""
    with ChatModel.load(make_checkpoint(tmp_path, tokenizer=True, template=None)) as model:
        assert not model.completes
        assert prompt_of(model, "hi") == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"


def test_the_command_continues_the_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = base(tmp_path)
    flags = ["--model", str(folder), "--no-save", "--seed", "3", "--max-tokens", "12"]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))
    assert main([*flags, "-p", "Once upon a time", "--format", "json"]) == 0
    record = json.loads(capsys.readouterr().out)
    with ChatModel.load(folder) as model:
        assert record["answer"] == reply_of(model).message.content
        assert record["prompt_tokens"] == len(model.tokenizer.encode("Once upon a time"))


@pytest.mark.parametrize("ends", [[BLANK], []])
def test_a_turn_ends_where_the_template_ends_it(ends: list[str], tmp_path: Path) -> None:
    """Fine-tunes often forget to say so, or have the list of the base model."""
    made = make_checkpoint(tmp_path, tokenizer=True)
    ids = {token["content"]: token["id"] for token in json.loads((made / "tokenizer.json").read_text())["added_tokens"]}
    (made / "generation_config.json").write_text(json.dumps({"eos_token_id": [ids[token] for token in ends]}))
    config = json.loads((made / "config.json").read_text())
    (made / "config.json").write_text(json.dumps({**config, "eos_token_id": [ids[token] for token in ends] or None}))
    with ChatModel.load(made) as model:
        assert model.stop_ids == (*(ids[token] for token in ends), ids[END])
        turn = reply_of(model)
        assert turn.sampling.stop_ids == model.stop_ids


def test_published_ends_need_nothing_more(chat_checkpoint: Path) -> None:
    with ChatModel.load(chat_checkpoint) as model:
        assert model.stop_ids is None


def with_tokens(folder: Path, *tokens: tuple[str, bool], vocab: int) -> Path:
    made = make_checkpoint(folder, tokenizer=True, vocab=vocab)
    file = made / "tokenizer.json"
    tokenizer = json.loads(file.read_text())
    first = max(token["id"] for token in tokenizer["added_tokens"]) + 1
    for place, (content, special) in enumerate(tokens):
        sample = {**tokenizer["added_tokens"][0], "id": first + place, "content": content, "special": special}
        tokenizer["added_tokens"].append(sample)
    file.write_text(json.dumps(tokenizer))
    return made


def test_added_tokens_of_a_fine_tune(tmp_path: Path) -> None:
    folder = with_tokens(tmp_path, ("<|mine|>", True), ("<note>", False), vocab=384)
    with ChatModel.load(folder) as model:
        mine, note = (model.tokenizer.token_id(token) for token in ("<|mine|>", "<note>"))
        assert mine is not None and note == mine + 1 == model.tokenizer.vocab_size - 1
        splitter = ReplySplitter(model.tokenizer, thinking=False)
        ids = [*model.tokenizer.encode("a"), mine, note, *model.tokenizer.encode("b")]
        assert "".join(text for _, text in (*map(splitter.push, ids), splitter.finish())) == "a<note>b"
        assert mine not in model.prompt_ids([{"role": "user", "content": "<|mine|>"}], False)  # a person's words
        assert reply_of(model).sampling.vocab_limit == model.tokenizer.vocab_size


def test_more_added_tokens_than_rows_are_another_models(tmp_path: Path) -> None:
    folder = with_tokens(tmp_path, *((f"<|{n}|>", True) for n in range(200)), vocab=384)
    with pytest.raises(CheckpointError, match="belong to different models"):
        ChatModel.load(folder)
