"""`qwen3-chat bench`: figures that follow from each other, for a person, a program and a page."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from processes import run

FAST = ("--prompt", "70", "--generate", "5", "--depth", "10", "--repeats", "2")
SPLICE = Path(__file__).parents[2] / ".ci" / "splice.py"


def measured(checkpoint: Path, *arguments: str) -> dict[str, Any]:
    done = run("bench", "--model", str(checkpoint), *FAST, "--json", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert isinstance(report, dict)
    return report


def test_json_is_one_object_of_figures_that_agree(chat_checkpoint: Path) -> None:
    report = measured(chat_checkpoint, "--devices", "cpu:0,cpu:1")
    for figure in (
        "load_s", "first_token_s", "prefill_tokens_per_s", "prefill_share", "decode_tokens_per_s", "decode_share",
        "layer_ns", "read_gb_per_s", "fp32_gflop_per_s",
    ):  # fmt: skip
        assert report[figure] > 0
    assert "variants" not in report
    assert report["devices"] == ["cpu:0", "cpu:1"]
    assert report["prefill_ratio"] == report["decode_ratio"] == 1  # to itself
    assert report["start_s"] > report["load_s"] + report["first_token_s"]
    assert report["checkpoint_bytes"] == sum(file.stat().st_size for file in chat_checkpoint.glob("*.safetensors"))
    assert report["peak_rss_bytes"] > report["weights_bytes"] > 0
    assert report["probe_share"] > 0
    verbs = {"norm_qkv", "attention", "all_reduce", "norm_head", "sample"}
    assert set(report["verb_ns"]) == set(report["prefill_verb_ns"]) >= verbs
    assert len(report["layers_ns"]) == 2
    assert min(report["layers_ns"]) <= report["layer_ns"] <= max(report["layers_ns"])


@pytest.mark.parametrize("tied", [True, False])
def test_a_token_reads_the_weights_but_no_table_of_embeddings(checkpoint: Callable[..., Path], tied: bool) -> None:
    report = measured(checkpoint(tokenizer=True, tied=tied))
    table = 0 if tied else 4 * 384 * 64
    keys_and_values = 4 * 2 * 2 * 2 * 16  # f32, both, layers, KV heads, head dimension
    assert report["bytes_per_token"] == report["weights_bytes"] - table + (10 + 5 // 2) * keys_and_values


def test_variants_are_measured_side_by_side(chat_checkpoint: Path) -> None:
    report = measured(
        chat_checkpoint, "--weights", "f32", "--weights", "bf16", "--devices", "cpu:0", "--devices", "cpu:0,cpu:1"
    )
    variants = report.pop("variants")
    assert variants[0] == report
    assert [(variant["weights"], len(variant["devices"])) for variant in variants] == [
        ("f32", 1), ("f32", 2), ("bf16", 1), ("bf16", 2),
    ]  # fmt: skip
    assert variants[2]["bytes_per_token"] < 0.6 * variants[0]["bytes_per_token"]
    for variant in variants:  # what the others hold is not counted
        assert 0 < variant["peak_rss_bytes"] < 2 * report["peak_rss_bytes"]
        assert variant["decode_ratio"] > 0
        assert variant["prefill_ratio"] > 0


def test_the_table_names_what_was_measured(chat_checkpoint: Path) -> None:
    done = run("bench", "--model", str(chat_checkpoint), *FAST, "--devices", "cpu:0", "--devices", "cpu:0,cpu:1")
    assert (done.returncode, done.stderr) == (0, "")
    for line in (
        "f32 cpu:0", "f32 cpu:0,cpu:1", "load", "first token", "prefill 70", "decode at 10", "to f32 cpu:0",
        "peak memory", "profiler", "attention",
    ):  # fmt: skip
        assert line in done.stdout


def test_a_page_gets_the_command_and_a_table_but_no_path(chat_checkpoint: Path) -> None:
    done = run("bench", f"--model={chat_checkpoint}", *FAST, "--markdown")
    assert (done.returncode, done.stderr) == (0, "")
    command, _, table = done.stdout.partition("\n\n")
    model = f"--model={chat_checkpoint.name}"
    assert command.startswith(f"`qwen3-chat bench {model} {' '.join(FAST)}`, medians of 2 rounds, on ")
    assert str(chat_checkpoint.parent) not in done.stdout
    lines = [line for line in table.splitlines() if line.startswith("|")]
    assert lines[0] == "| | f32 cpu:0 |"
    assert all(line.count("|") == 3 for line in lines)
    assert any(line.startswith("| decode at 10, tokens/s | ") for line in lines)


@pytest.mark.parametrize(
    ("arguments", "code", "names"),
    [
        (("--prompt", "0"), 2, "--prompt"),
        (("--devices", "cpu:0", "--devices", "tpu:0"), 2, "--devices"),
        (("--json", "--markdown"), 2, "--markdown"),
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


PAGE = "# Page\n\n<!-- measured: begin -->\n{}<!-- measured: end -->\n\nMore.\n"


@pytest.mark.parametrize(
    ("before", "content", "after"),
    [
        (PAGE.format("old\n"), "new\n", PAGE.format("new\n")),
        (PAGE.format(""), "\na\n\nb\n\n", PAGE.format("a\n\nb\n")),
        (PAGE.format("old\n"), "", None),
        ("no marks\n", "new\n", None),
        (PAGE.format("") * 2, "new\n", None),
        ("<!-- measured: end -->\n<!-- measured: begin -->\n", "new\n", None),
    ],
)
def test_a_page_takes_the_figures_between_its_marks(
    tmp_path: Path, before: str, content: str, after: str | None
) -> None:
    page = tmp_path / "page.md"
    page.write_text(before)
    command = [sys.executable, SPLICE, page, "measured"]
    done = subprocess.run(command, input=content, capture_output=True, text=True, check=False)
    assert done.returncode == (0 if after else 1)
    assert page.read_text() == (after or before)
    assert bool(done.stderr) == (after is None)
