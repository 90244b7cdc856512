"""Messages -> prompt, by the checkpoint's own Jinja template, with what people write kept apart from control tokens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from qwen3_chat.models.errors import TemplateError
from qwen3_chat.models.files import checkpoint_folder, file_exists, read_json, read_text
from qwen3_chat.models.template_sandbox import SandboxedTemplate
from qwen3_chat.models.tokenizer import Tokenizer

Message = Mapping[str, Any]

# For checkpoints without a template: Qwen3's turns, the think blocks of earlier replies left out.
FALLBACK = """\
{%- for message in messages %}
    {%- set content = message.content %}
    {%- if message.role == 'assistant' and '</think>' in content %}
        {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
    {%- endif %}
    {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if can_think and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}
"""

# For base models, which were never taught turns: one text, to which each reply is added where it ended.
COMPLETION = """\
{%- for message in messages -%}
    {%- if not loop.first and message.role != 'assistant' %}{{ '\\n\\n' }}{% endif -%}
    {{- message.content -}}
{%- endfor -%}
"""

_NAMED_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_PROBE = ({"role": "user", "content": "?"},)
_REPLY = "Yes."
_PRIVATE_USE = range(0xF0000, 0xFFFFE)  # code points that no text has a meaning for


class ChatTemplate:
    """A chat template, ready to render.

    Attributes:
        is_fallback: the checkpoint has none, and this is `FALLBACK`.
        is_completion: this is `COMPLETION`, which has no turns.
    """

    def __init__(
        self, text: str, *, source: str, variables: Mapping[str, Any] | None = None, is_fallback: bool = False
    ) -> None:
        """Compile a template; `variables` are given to every rendering.

        Raises:
            TemplateError: it does not compile; `source` says in the message where it is from.
        """
        self.is_fallback = is_fallback
        self.is_completion = text is COMPLETION
        self._source = source
        self._variables = {**(variables or {}), "documents": None}
        self._characters = frozenset(text)
        self._template = SandboxedTemplate(text, source)

    @classmethod
    def from_folder(cls, path: str | Path, tokenizer: Tokenizer | None = None) -> ChatTemplate:
        """The template of a checkpoint folder: chat_template.jinja, else tokenizer_config.json's, else the fallback.

        Args:
            tokenizer: tells the fallback whether the model knows `<think>`; without it, it does.

        Raises:
            CheckpointError: there is no such folder.
            TemplateError: a file cannot be read, or the template does not compile.
        """
        folder = checkpoint_folder(path)
        config_file, template_file = folder / "tokenizer_config.json", folder / "chat_template.jinja"
        config = read_json(config_file, TemplateError) if file_exists(config_file, TemplateError) else {}
        variables = dict(_named_tokens(config))
        if file_exists(template_file, TemplateError):
            return cls(read_text(template_file, TemplateError), source=str(template_file), variables=variables)
        text = _chosen(config.get("chat_template"), str(config_file))
        if text is not None:
            return cls(text, source=str(config_file), variables=variables)
        return cls.fallback(tokenizer)

    @classmethod
    def fallback(cls, tokenizer: Tokenizer | None = None) -> ChatTemplate:
        """The template for checkpoints without one; it can think if the tokenizer, where given, knows `<think>`."""
        can_think = tokenizer is None or None not in (tokenizer.think_open, tokenizer.think_close)
        return cls(FALLBACK, source="fallback", variables={"can_think": can_think}, is_fallback=True)

    @classmethod
    def completion(cls) -> ChatTemplate:
        """The template of models that go on with a text instead of answering it."""
        return cls(COMPLETION, source="completion")

    def turn_end(self, tokenizer: Tokenizer) -> int | None:
        """The special token that ends an assistant's turn, after which another side speaks; None if there is none."""
        probe = [*_PROBE, {"role": "assistant", "content": _REPLY}]
        try:
            _, found, rest = self.render(probe, add_generation_prompt=False, enable_thinking=False).rpartition(_REPLY)
        except TemplateError:  # it wants something else first; the first real prompt says what
            return None
        ends = [token for token, special in tokenizer.added_tokens.items() if special and rest.startswith(token)]
        return tokenizer.token_id(max(ends, key=len)) if found and ends else None

    @cached_property
    def can_think(self) -> bool:
        """Whether thinking can be switched: the prompt depends on the switch."""
        try:
            return self.render(_PROBE, enable_thinking=True) != self.render(_PROBE, enable_thinking=False)
        except TemplateError:  # it wants more than one question; the first real prompt says what
            return False

    def render(
        self,
        messages: Sequence[Message],
        *,
        add_generation_prompt: bool = True,
        enable_thinking: bool = True,
        tools: Sequence[Mapping[str, Any]] = (),
    ) -> str:
        """The prompt's text, as transformers' `apply_chat_template` renders it.

        Args:
            messages: each with "role" and "content"; plain JSON-like data.
            add_generation_prompt: end with the opening of the assistant's turn.
            tools: functions that the model may call, as OpenAI's API has them.

        Raises:
            TemplateError: the template refuses the messages, fails, or exceeds its bounds.
        """
        return self._render(_plain(messages), add_generation_prompt, enable_thinking, _plain_value(tools))

    def encode(
        self,
        messages: Sequence[Message],
        tokenizer: Tokenizer,
        *,
        add_generation_prompt: bool = True,
        enable_thinking: bool = True,
        tools: Sequence[Mapping[str, Any]] = (),
    ) -> list[int]:
        """The prompt's ids: those of `render`, except that control tokens come from the template alone.

        What a message or a tool's definition says can spell out `<|im_end|>`, and the model reads these letters; it
        cannot end its turn. In the assistant's messages only the special tokens are letters: `<think>` and
        `<tool_call>` there are its own.

        To that end the spellings are replaced by private-use characters before rendering, and read as ordinary text
        after it, so the template may strip and split the content as it likes.

        Raises:
            TemplateError: as `render`.
        """
        plain, plain_tools = _plain(messages), _plain_value(tools)
        protected = [token for token in tokenizer.added_tokens if token]
        written = "".join(_texts([plain, plain_tools]))
        used = [token for token in protected if token in written]
        if not used:
            text = self._render(plain, add_generation_prompt, enable_thinking, plain_tools)
            return tokenizer.encode_prompt(text, {})
        characters = set(written) | self._characters
        free = (chr(code) for code in _PRIVATE_USE if chr(code) not in characters)
        stand_ins = dict(zip(sorted(used, key=len, reverse=True), free, strict=False))
        if len(stand_ins) < len(used):
            raise TemplateError(
                "a message uses every private-use character, so its control tokens cannot be kept apart"
            )
        of_assistant = {token: mark for token, mark in stand_ins.items() if tokenizer.added_tokens[token]}
        marked = [
            {
                key: value if key == "role" else _replaced(value, of_assistant if role == "assistant" else stand_ins)
                for key, value in message.items()
            }
            for message in plain
            for role in [message.get("role")]
        ]
        text = self._render(marked, add_generation_prompt, enable_thinking, _replaced(plain_tools, stand_ins))
        return tokenizer.encode_prompt(text, {mark: token for token, mark in stand_ins.items()})

    def _render(
        self, messages: list[dict[str, Any]], add_generation_prompt: bool, enable_thinking: bool, tools: list[Any]
    ) -> str:
        text = self._template.render(
            **self._variables,
            messages=messages,
            tools=tools or None,
            add_generation_prompt=add_generation_prompt,
            enable_thinking=enable_thinking,
        )
        if not text and messages and add_generation_prompt:
            raise TemplateError(f"{self._source}: the chat template makes an empty prompt of the messages")
        return text


def _chosen(templates: object, source: str) -> str | None:
    """tokenizer_config.json's `chat_template`: a text, or a list of named ones of which "default" counts."""
    if templates is None or isinstance(templates, str):
        return templates
    if not isinstance(templates, list) or not all(
        isinstance(item, dict) and isinstance(item.get("name"), str) and isinstance(item.get("template"), str)
        for item in templates
    ):
        raise TemplateError(f"{source}: chat_template is neither a text nor a list of objects with name and template")
    by_name = {item["name"]: item["template"] for item in templates}
    if len(by_name) < len(templates):
        raise TemplateError(f"{source}: chat_template holds two templates of the same name")
    if "default" in by_name:
        return str(by_name["default"])
    if len(by_name) == 1:
        return str(next(iter(by_name.values())))
    raise TemplateError(f'{source}: chat_template has none named "default" among {sorted(by_name)}')


def _named_tokens(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The tokens that tokenizer_config.json names, which templates may use, such as `eos_token`."""
    for name in _NAMED_TOKENS:
        token = config.get(name)
        if isinstance(token, dict):
            token = token.get("content")
        if isinstance(token, str):
            yield name, token


def _plain(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """A copy of the messages as plain data, so that a template meets no object of ours.

    Raises:
        TemplateError: they hold anything else.
    """
    plain = _plain_value(messages)
    if not isinstance(plain, list) or not all(isinstance(message, dict) for message in plain):
        raise TemplateError("messages are not a list of objects with role and content")
    return plain


def _plain_value(value: object) -> Any:
    if value is None or type(value) in (str, bool, int, float):
        return value
    if isinstance(value, str):  # an enumeration's member, say
        return str.__str__(value)
    if isinstance(value, Mapping):
        return {str(key): _plain_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain_value(item) for item in value]
    raise TemplateError(f"a message holds a {type(value).__name__}, which is no text, number, list or object")


def _texts(value: object) -> Iterator[str]:
    """Every text inside plain data, keys included, each ended by a character that no token spans."""
    if isinstance(value, str):
        yield value + "\0"
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key + "\0"
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _replaced(value: Any, stand_ins: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for token, mark in stand_ins.items():  # the longest first
            value = value.replace(token, mark)
        return value
    if isinstance(value, dict):
        return {_replaced(key, stand_ins): _replaced(item, stand_ins) for key, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, stand_ins) for item in value]
    return value
