"""Every flag arrives: from the command line in the options, and from the options in the engine."""

from __future__ import annotations

from pathlib import Path

from qwen3_chat.app.chat.model import ChatModel
from qwen3_chat.app.chat.options import ChatOptions, EngineOptions, SamplingOptions
from qwen3_chat.app.flags import build_parser, chat_options, settings


def parsed(*arguments: str) -> ChatOptions:
    flags = build_parser().parse_args(arguments)
    return chat_options(flags, settings(flags))


def test_every_flag_is_an_option() -> None:
    flags = (
        "--model m --system Brief --no-think -v --debug --temperature 0.5 --top-p 0.25 --top-k 7 --min-p 0.125 "
        "--presence-penalty 1.5 --repetition-penalty 1.25 --seed 9 --max-tokens 11 --thinking-budget 13 "
        "--devices cpu:0,cpu:1 --weights f16 --kv f32 --context 99 --threads 3"
    )
    assert parsed(*flags.split()) == ChatOptions(
        model=Path("m"),
        engine=EngineOptions(devices="cpu:0,cpu:1", weights="f16", kv="f32", context=99, threads=3),
        sampling=SamplingOptions(
            temperature=0.5,
            top_p=0.25,
            top_k=7,
            min_p=0.125,
            presence_penalty=1.5,
            repetition_penalty=1.25,
            seed=9,
            max_tokens=11,
            thinking_budget=13,
        ),
        thinking=False,
        system="Brief",
        verbose=True,
        debug=True,
    )
    assert parsed("--model", "m", "--think").thinking is True


def test_without_flags_nothing_is_decided() -> None:
    assert parsed("--model", "m") == ChatOptions(model=Path("m"))
    assert parsed().is_demo


def test_every_engine_option_reaches_the_engine(chat_checkpoint: Path) -> None:
    options = EngineOptions(devices="cpu:0,cpu:1", weights="f16", kv="f32", context=100, threads=3)
    with ChatModel.load(chat_checkpoint, options) as model:
        engine = model.engine
        found = (",".join(engine.devices), engine.weights, engine.kv, engine.context, engine.threads)
        assert found == (options.devices, options.weights, options.kv, options.context, options.threads)
    with ChatModel.load(chat_checkpoint) as model:
        engine = model.engine
        assert (engine.devices, engine.weights, engine.kv, engine.context) == (("cpu:0",), "f32", "f32", 512)
