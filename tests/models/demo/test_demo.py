"""The bundled checkpoint says what it was trained to say, as an independent implementation runs it."""

import json
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoTokenizer, Qwen3ForCausalLM

from qwen3_chat.models import demo
from qwen3_chat.models.demo import dialogues, topics

Ask = Callable[..., str]


@pytest.fixture(scope="module")
def folder() -> Path:
    return demo.path()


@pytest.fixture(scope="module")
def ask(folder: Path) -> Ask:
    """Return ask(*turns, thinking): user and assistant turns alternate; the greedy reply, special tokens included."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = Qwen3ForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    @torch.inference_mode()
    def reply(*turns: str, thinking: bool) -> str:
        messages = [{"role": ("user", "assistant")[i % 2], "content": turn} for i, turn in enumerate(turns)]
        text = tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True, enable_thinking=thinking
        )
        ids = tokenizer(text, return_tensors="pt").input_ids
        new = model.generate(ids, do_sample=False, max_new_tokens=300)[0, ids.shape[1] :]
        return str(tokenizer.decode(new))

    return reply


def answer(reply: str) -> str:
    assert reply.endswith("<|im_end|>"), "the reply must come to an end"
    return reply.removesuffix("<|im_end|>").split("</think>")[-1].strip()


def test_is_small_and_complete(folder: Path) -> None:
    files = {file.name: file.stat().st_size for file in folder.iterdir()}
    assert {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"} <= files.keys()
    assert sum(files.values()) <= 6e6


def test_has_the_special_tokens_of_qwen3(folder: Path) -> None:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    config = json.loads((folder / "config.json").read_text())
    generation = json.loads((folder / "generation_config.json").read_text())
    for token in ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"):
        assert tokenizer.encode(token, add_special_tokens=False).ids == [tokenizer.token_to_id(token)]
    assert config["vocab_size"] == tokenizer.get_vocab_size()
    assert generation["eos_token_id"] == [tokenizer.token_to_id("<|im_end|>"), tokenizer.token_to_id("<|endoftext|>")]


@pytest.mark.parametrize("thinking", [False, True])
def test_training_text_is_what_the_template_renders(folder: Path, thinking: bool) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rng = Random(7)
    for talk in (dialogues.dialogue(rng) for _ in range(50)):
        messages = [{"role": "system", "content": talk.system}] if talk.system else []
        for turn in talk.turns:
            messages.append({"role": "user", "content": turn.question})
            messages.append({"role": "assistant", "content": f"<think>\n{turn.thinking}\n</think>\n\n{turn.answer}"})
        prompt = tokenizer.apply_chat_template(
            messages[:-1], tokenize=False, add_generation_prompt=True, enable_thinking=thinking
        )
        trained = "".join(segment.text for segment in dialogues.render(talk, thinking=thinking))
        assert trained.startswith(prompt)
        if thinking:
            assert trained + "\n" == tokenizer.apply_chat_template(messages, tokenize=False)


@pytest.mark.parametrize("thinking", [False, True])
@pytest.mark.parametrize("name", ["Ada", "Grace", "Linus", "Omar", "Wei"])
def test_recalls_a_name(ask: Ask, name: str, thinking: bool) -> None:
    first = answer(ask(f"My name is {name}.", thinking=thinking))
    assert name in first
    assert answer(ask(f"My name is {name}.", first, "What is my name?", thinking=thinking)) == f"Your name is {name}."


@pytest.mark.parametrize("thinking", [False, True])
@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Hello!", "Hello"),
        ("你好", "你好"),
        ("Who are you?", "demo model"),
        ("How do I send a message?", "**Enter**"),
        ("How do I stop a reply?", "**Esc**"),
        ("What does F3 do?", "engine panel"),
        ("How do I quit?", "**ctrl+q**"),
        ("How do I insert a newline?", "**ctrl+j**"),
        ("How do I start a new chat?", "**ctrl+n**"),
        ("How do I turn off thinking?", "**ctrl+t**"),
        ("Show me a table.", "| Esc | stop the reply |"),
        ("Write some code.", "```python\ndef add"),
        ("List three fruits.", "- apple\n- banana\n- cherry"),
        ("What is the capital of France?", topics.REFUSAL),
    ],
)
def test_answers(ask: Ask, question: str, expected: str, thinking: bool) -> None:
    assert expected in answer(ask(question, thinking=thinking))


def test_thinks_only_when_asked_to(ask: Ask) -> None:
    assert ask("Who are you?", thinking=True).startswith("<think>\n")
    assert "think>" not in ask("Who are you?", thinking=False)
