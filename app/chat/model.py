"""One loaded checkpoint with all that a chat needs of it: engine, tokenizer, template, defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from qwen3_chat.app.chat.errors import OptionError
from qwen3_chat.app.chat.memory import free_memory, plan
from qwen3_chat.app.chat.options import EngineOptions
from qwen3_chat.app.chat.parts import starts_thinking

if TYPE_CHECKING:
    from qwen3_chat.engine import Engine, KVCache, Progress
    from qwen3_chat.models.chat_template import ChatTemplate
    from qwen3_chat.models.config import GenerationDefaults, Qwen3Config
    from qwen3_chat.models.tokenizer import Tokenizer

__all__ = ["COMPLETES", "ChatModel", "ThinkingMode", "preflight", "with_devices"]

COMPLETES = "It has no chat template: it goes on with your text instead of answering."
ThinkingMode = Literal["switch", "always", "never"]


def preflight(path: Path) -> None:
    """Look at a checkpoint without importing anything heavy, so that a bad path never opens a screen.

    Raises CheckpointError or ConfigError whose one line says what was looked for. Weights, tokenizer and template are
    checked while loading.
    """
    from qwen3_chat.models.config import Qwen3Config
    from qwen3_chat.models.errors import CheckpointError
    from qwen3_chat.models.files import GGUF_ENDING, file_exists, is_gguf

    if is_gguf(path):
        from qwen3_chat.models.formats.gguf import GgufFile

        GgufFile(path.expanduser()).close()
        return
    folder = path.expanduser()
    if not (folder / "config.json").exists() and (files := sorted(folder.glob(f"*{GGUF_ENDING}"))):
        raise CheckpointError(f"{folder}: holds no config.json, but {files[0].name}: name the file, --model {files[0]}")
    Qwen3Config.from_folder(path)
    if not file_exists(folder / "tokenizer.json", CheckpointError):
        raise CheckpointError(f"{folder / 'tokenizer.json'}: no such file; copy it from where the weights come from")
    if not any(folder.glob("*.safetensors")) and not (folder / "model.safetensors.index.json").is_file():
        raise CheckpointError(f"{folder}: holds no *.safetensors file; the weights belong beside config.json")


@dataclass(eq=False)
class ChatModel:
    """A loaded checkpoint. Close it (or use `with`) to give the memory back."""

    engine: Engine
    tokenizer: Tokenizer
    template: ChatTemplate
    config: Qwen3Config
    defaults: GenerationDefaults
    path: Path
    name: str  # for people: the folder's name; the demo says that it is one
    is_demo: bool
    file_bytes: int  # of the weights' files
    stop_ids: tuple[int, ...] | None = field(default=None, init=False)  # that end a reply; None: the checkpoint's own
    tools: tuple[Mapping[str, Any], ...] = field(default=(), init=False)  # that every prompt tells of
    thinking_mode: ThinkingMode  # has a switch; thinks whatever one asks (2507 Thinking); never thinks (Instruct)

    @classmethod
    def load(
        cls,
        path: Path | str,
        options: EngineOptions | None = None,
        progress: Callable[[Progress], bool | None] | None = None,
    ) -> ChatModel:
        """Check files, template and memory, then load the engine. Blocks: call it from a worker thread under a screen.

        `progress` gets engine.Progress(stage, done, total) in bytes; returning False cancels (Cancelled is raised).
        Raises ConfigError, CheckpointError, TemplateError (unusable checkpoint), OptionError (a flag this checkpoint
        cannot honour), OutOfMemory (with what is needed, what is free and a flag to try), DeviceError.
        """
        from qwen3_chat.models import demo
        from qwen3_chat.models.chat_template import ChatTemplate
        from qwen3_chat.models.source import open_model

        path = Path(path).expanduser()
        preflight(path)
        with open_model(path) as source:
            checkpoint = source.checkpoint()
            config, counts, file_bytes = checkpoint.config, checkpoint.counts, checkpoint.file_bytes
            defaults = source.defaults()
            tokenizer = source.tokenizer()
            tokenizer.check_fits(config)
            template = source.template(tokenizer)
        if template.is_fallback and tokenizer.token_id("<|im_end|>") not in config.eos_token_ids:
            template = ChatTemplate.completion()  # nobody has taught it to end a turn
        thinking_mode = _thinking_mode(template, tokenizer)

        from qwen3_chat.engine import Engine  # a broken checkpoint was reported without it

        options = with_devices(options or EngineOptions(), config)
        memory = plan(config, counts, options, free_memory(options.devices))
        engine = Engine.load(
            path,
            devices=options.devices,
            weights=options.weights,
            kv=options.kv,
            context=memory.context,
            threads=options.threads,
            kv_budget=memory.kv_budget,
            progress=progress,
        )
        is_demo = path.resolve() == demo.path().resolve()
        model = cls(
            engine=engine,
            tokenizer=tokenizer,
            template=template,
            config=engine.config or config,
            defaults=defaults,
            path=path,
            name="demo model" if is_demo else _name(path),
            is_demo=is_demo,
            thinking_mode=thinking_mode,
            file_bytes=file_bytes,
        )
        end = template.turn_end(tokenizer)
        if end is not None and end not in model.config.eos_token_ids:  # fine-tunes often forget to say so
            model.stop_ids = (*model.config.eos_token_ids, end)
        return model

    @property
    def completes(self) -> bool:
        """It goes on with a text, as base models do, instead of answering."""
        return self.template.is_completion

    @property
    def context(self) -> int:
        """Tokens that prompt and reply may take together."""
        return self.engine.context

    def thinks(self, wanted: bool | None) -> bool:
        """Whether a reply will think when `wanted` is asked for (None: no wish; then it thinks if it can)."""
        if self.thinking_mode == "switch":
            return wanted is not False
        return self.thinking_mode == "always"

    def check_thinking(self, wanted: bool | None) -> None:
        """Raise OptionError, naming the flag, if the model cannot do as --think or --no-think asked."""
        if wanted is not None and self.thinks(wanted) != wanted:
            flag, habit = ("--think", "never thinks") if wanted else ("--no-think", "always thinks")
            raise OptionError(f"{flag}: {self.name} {habit}; leave the flag out")

    def use_tools(self, tools: Sequence[Mapping[str, Any]]) -> None:
        """Tell the model of these functions in every prompt from now on. Raises OptionError if its template has no way.

        A tool is as in OpenAI's API: {"type": "function", "function": {"name": ..., "parameters": a JSON schema}}.
        """
        probe = [{"role": "user", "content": "Hello"}]
        if tools and self.template.render(probe, tools=tools) == self.template.render(probe):
            raise OptionError(
                f"--tools: the chat template of {self.name} does not tell it of tools; leave the flag out"
            )
        self.tools = tuple(tools)

    def prompt_ids(self, messages: Sequence[Mapping[str, Any]], thinking: bool) -> list[int]:
        """Token ids of these messages as a prompt, up to where the reply begins. Raises TemplateError."""
        return self.template.encode(messages, self.tokenizer, enable_thinking=thinking, tools=self.tools)

    def history_ids(self, messages: Sequence[Mapping[str, Any]], thinking: bool) -> list[int]:
        """What every prompt that goes on from these messages begins with, whatever is said next. Raises TemplateError.

        It ends before the last control token that two such prompts share: behind it, words could still merge.
        """
        one, other = (self.prompt_ids([*messages, {"role": "user", "content": draft}], thinking) for draft in "ab")
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
        while shared and one[shared] not in self.tokenizer.special_ids:
            shared -= 1
        return one[:shared]

    def new_cache(self) -> KVCache:
        """An empty KV cache; one per conversation."""
        return self.engine.new_cache()

    def close(self) -> None:
        """Stop the engine and free its memory. The model cannot be used afterwards."""
        self.engine.close()

    def __enter__(self) -> ChatModel:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def with_devices(options: EngineOptions, config: Qwen3Config) -> EngineOptions:
    """The options with the devices that "auto" stands for, and with what GPUs keep."""
    if options.devices == "auto":
        from qwen3_chat.engine import Qwen3Meta, default_devices, gpu_obstacle

        gpus = gpu_obstacle(Qwen3Meta.from_config(config), options.weights) is None
        devices = default_devices(config.num_attention_heads, options.threads, gpus=gpus)
        options = replace(options, devices=",".join(devices))
    if options.devices.startswith("cuda") and options.weights == "auto":
        options = replace(options, weights="bf16")
    return options


def _thinking_mode(template: ChatTemplate, tokenizer: Tokenizer) -> ThinkingMode:
    """What the template makes of the switch, found by trying it; a template that cannot render is noticed here."""
    messages = [{"role": "user", "content": "Hello"}]
    with_thinking = template.render(messages, enable_thinking=True)
    without = template.render(messages, enable_thinking=False)
    if tokenizer.think_open is None or tokenizer.think_close is None:
        return "never"
    if with_thinking != without:
        return "switch"
    return "always" if starts_thinking(tokenizer.encode(with_thinking), tokenizer) else "never"


def _name(path: Path) -> str:
    """The folder's or the GGUF file's name; in a hub cache a folder's is a hash, and the name two folders up.

    There it is as in models--Qwen--Qwen3-0.6B.
    """
    from qwen3_chat.models.files import is_gguf

    if is_gguf(path):
        return path.stem
    folder = path.resolve()
    if folder.parent.name == "snapshots":
        return folder.parent.parent.name.rpartition("--")[2]
    return folder.name
