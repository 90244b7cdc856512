"""`qwen3-chat bench`: figures that follow from each other, for a person and for a program."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from processes import run

FAST = ("--prompt", "70", "--generate", "5", "--depth", "10", "--repeats", "2")


def test_json_is_one_object_of_figures_that_agree(chat_checkpoint: Path) -> None:
    done = run("bench", "--model", str(chat_checkpoint), *FAST, "--json", "--devices", "cpu:0,cpu:1")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    for figure in (
        "load_s",
        "first_token_s",
        "prefill_tokens_per_s",
        "decode_tokens_per_s",
        "layer_ns",
        "read_gb_per_s",
    ):
        assert report[figure] > 0
    assert report["devices"] == ["cpu:0", "cpu:1"]
    assert report["checkpoint_bytes"] == sum(file.stat().st_size for file in chat_checkpoint.glob("*.safetensors"))
    assert report["peak_rss_bytes"] > report["weights_bytes"] > 0
    assert report["bytes_per_token"] > report["weights_bytes"]
    assert 0 < report["probe_share"] < 1
    assert set(report["verb_ns"]) >= {"norm_qkv", "attention", "all_reduce", "norm_head", "sample"}


def test_the_table_names_what_was_measured(chat_checkpoint: Path) -> None:
    done = run("bench", "--model", str(chat_checkpoint), *FAST)
    assert (done.returncode, done.stderr) == (0, "")
    for line in (
        "load",
        "first token",
        "prefill     70 tok",
        "decode at   10 tok",
        "peak memory",
        "profiler",
        "attention",
    ):
        assert line in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "names"),
    [
        (("--prompt", "0"), 2, "--prompt"),
        (("--devices", "tpu:0"), 2, "--devices"),
        (("--model", "/no/such/folder"), 3, "/no/such/folder"),
        (("--prompt", "100000", "--repeats", "1"), 5, "context"),
    ],
)
def test_what_cannot_be_measured_is_one_line(
    arguments: tuple[str, ...], code: int, names: str, chat_checkpoint: Path
) -> None:
    done = run("bench", "--model", str(chat_checkpoint), *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert names in done.stderr
    assert done.stderr.count("\n") == 1
