"""The command over the real engine: the bundled model, and random checkpoints that never stop by themselves."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoints import ExpertShape, make_checkpoint, random_weights, write_weights
from processes import COMMAND, LIMIT_S, run

ROOMY = 2**31 - 1  # positions: no memory holds the keys and values of so many


def ask(*arguments: str) -> dict[str, Any]:
    done = run("--format", "json", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    record: dict[str, Any] = json.loads(done.stdout)
    return record


def test_the_bundled_model_answers() -> None:
    done = run("-p", "Hello!", "--seed", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()
    assert "<think>" not in done.stdout
    assert "<|im_end|>" not in done.stdout


def test_the_same_seed_gives_the_same_reply_and_json_tells_the_seed() -> None:
    first = ask("-p", "Hello!", "--temperature", "1.5", "--top-k", "0", "--top-p", "1")
    again = ask("-p", "Hello!", "--temperature", "1.5", "--top-k", "0", "--top-p", "1", "--seed", str(first["seed"]))
    assert (again["answer"], again["thinking"]) == (first["answer"], first["thinking"])
    seeds = {ask("-p", "Hello!", "--max-tokens", "1")["seed"] for _ in range(2)}
    assert len(seeds) == 2


def test_the_prompt_has_the_tokens_that_the_template_gives(chat_checkpoint: Path) -> None:
    from qwen3_chat.models.chat_template import ChatTemplate
    from qwen3_chat.models.tokenizer import Tokenizer

    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "你好 😀"}]
    text = ChatTemplate.from_folder(chat_checkpoint).render(messages, enable_thinking=False)
    expected = len(Tokenizer.from_folder(chat_checkpoint).encode(text))
    record = ask(
        "--model", str(chat_checkpoint), "--system", "Be brief.", "-p", "你好 😀", "--no-think", "--max-tokens", "2"
    )
    assert record["prompt_tokens"] == expected
    assert record["new_tokens"] <= 2


def test_a_reply_that_reaches_the_context_s_end_is_no_failure(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path, tokenizer=True, eos=383, max_positions=96)  # a padding row is never drawn
    (folder / "generation_config.json").unlink()
    record = ask("--model", str(folder), "-p", "Hi")
    assert record["finish_reason"] == "length"
    assert record["prompt_tokens"] + record["new_tokens"] == 96
    record = ask("--model", str(folder), "-p", "Hi", "--context", "64")
    assert record["prompt_tokens"] + record["new_tokens"] == 64


def test_ctrl_c_stops_the_engine(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path, tokenizer=True, eos=383, max_positions=1_000_000)
    (folder / "generation_config.json").unlink()
    process = subprocess.Popen(
        [*COMMAND, "--model", str(folder), "-p", "Hi", "--no-think"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.read(1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, err) == (130, b"")
    assert out.endswith(b"\n")


def test_a_prompt_beyond_the_context_is_exit_code_5(chat_checkpoint: Path) -> None:
    done = run("--model", str(chat_checkpoint), "-p", "many words " * 50, "--context", "64")
    assert (done.returncode, done.stdout) == (5, "")
    assert "64" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_context_that_memory_cannot_hold_is_exit_code_4(checkpoint: Callable[..., Path]) -> None:
    folder = checkpoint(tokenizer=True, max_positions=ROOMY)
    done = run("--model", str(folder), "-p", "Hi", "--context", str(ROOMY))
    assert (done.returncode, done.stdout) == (4, "")
    assert "try --context" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_weights_that_are_no_numbers_fail_the_reply(tmp_path: Path, broken: float) -> None:
    folder = make_checkpoint(tmp_path, tokenizer=True)
    weights = dict(
        random_weights(
            hidden=64, layers=2, heads=4, kv_heads=2, head_dim=16, intermediate=96, vocab=384, tied=True, seed=0
        )
    )
    weights["model.layers.1.mlp.down_proj.weight"][3, 5] = broken
    write_weights(folder, weights)
    done = run("--model", str(folder), "-p", "Hi")
    assert (done.returncode, done.stdout) == (1, "")
    assert "not finite" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (("--context", "3000"), "--context 3000 is more than the 512 tokens"),
        (("--devices", ",".join(f"cpu:{number}" for number in range(9))), "--devices names 9 devices"),
        (("--devices", "cuda:77"), "cuda:77"),
    ],
)
def test_a_flag_that_does_not_suit_the_model_is_exit_code_2(
    chat_checkpoint: Path, arguments: tuple[str, ...], names: str
) -> None:
    done = run("--model", str(chat_checkpoint), "-p", "Hi", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert names in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "flags", [("--devices", "cpu:0,cpu:1"), ("--weights", "bf16"), ("--kv", "bf16"), ("--threads", "1")]
)
def test_every_engine_flag_answers(chat_checkpoint: Path, flags: tuple[str, ...]) -> None:
    assert ask("--model", str(chat_checkpoint), "-p", "Hi", "--max-tokens", "4", *flags)["new_tokens"] > 0


@pytest.mark.parametrize(
    "shape",
    [
        {"dtype": "bfloat16", "shards": 3},
        {"dtype": "float16", "lm_head": "repeat"},
        {"dtype": "bfloat16", "tied": False, "shards": 2},
        {"dtype": "float16", "spelling": "transformers5", "heads": 8, "kv_heads": 1},
        {"dtype": "bfloat16", "experts": ExpertShape(dense_layers=(1,))},
    ],
    ids=str,
)
def test_any_folder_answers(checkpoint: Callable[..., Path], shape: dict[str, Any]) -> None:
    folder = checkpoint(tokenizer=True, **shape)
    assert ask("--model", str(folder), "-p", "Hi", "--max-tokens", "4")["new_tokens"] > 0


@pytest.mark.parametrize("template", ["qwen3", "thinking_2507", "instruct_2507", None])
def test_every_kind_of_template_answers(checkpoint: Callable[..., Path], template: str | None) -> None:
    folder = checkpoint(tokenizer=True, template=template)
    record = ask("--model", str(folder), "-p", "Hi", "--max-tokens", "8", "--seed", "1")
    assert record["new_tokens"] > 0
    if template == "thinking_2507":  # the prompt opened the block, and a random model does not close it
        assert record["answer"] == ""
        assert record["thinking_tokens"] >= 7


def test_line_mode_remembers(chat_checkpoint: Path) -> None:
    done = run("--model", str(chat_checkpoint), "--no-think", "--max-tokens", "8", "-v", stdin=b"Hi\nAnd?\n")
    assert done.returncode == 0
    assert done.stdout.startswith("You: Hi\n")
    assert done.stdout.count("You: ") == 3
    reused = [int(line.split("reused ")[1].split(",")[0]) for line in done.stderr.splitlines() if "reused" in line]
    assert reused[0] == 0
    assert reused[1] > 0
