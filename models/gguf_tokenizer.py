"""Tokenizer and chat template from the metadata of a GGUF file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers

from qwen3_chat.models.chat_template import ChatTemplate
from qwen3_chat.models.errors import CheckpointError
from qwen3_chat.models.files import describe
from qwen3_chat.models.tokenizer import Tokenizer

# Qwen2's and Qwen3's, whose name in tokenizer.ggml.pre is "qwen2".
_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_NORMAL, _CONTROL, _USER_DEFINED, _UNUSED = 1, 3, 4, 5  # in tokenizer.ggml.token_type


def read_tokenizer(metadata: Mapping[str, Any], source: str) -> Tokenizer:
    """The tokenizer of a file, whose name is `source`.

    Raises:
        CheckpointError: the metadata hold none, or another than Qwen's byte-level BPE.
    """
    kind, words = metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre")
    if kind != "gpt2" or words != "qwen2":
        raise CheckpointError(
            f"{source}: tokenizer.ggml.model is {describe(kind)} and tokenizer.ggml.pre {describe(words)}, "
            "expected gpt2 and qwen2, as Qwen3's"
        )
    tokens, merges = (
        _texts(metadata, "tokenizer.ggml.tokens", source),
        _texts(metadata, "tokenizer.ggml.merges", source),
    )
    kinds = metadata.get("tokenizer.ggml.token_type", [_NORMAL] * len(tokens))
    if not isinstance(kinds, list) or len(kinds) != len(tokens):
        raise CheckpointError(f"{source}: tokenizer.ggml.token_type is not one for each of {len(tokens)} tokens")
    vocabulary = {token: id for id, (token, kind) in enumerate(zip(tokens, kinds, strict=True)) if kind != _UNUSED}
    pairs = [(left, right) for left, _, right in (merge.partition(" ") for merge in merges)]
    wrong = next((merge for merge in merges if merge.count(" ") != 1), None)
    if wrong is not None:
        raise CheckpointError(f"{source}: tokenizer.ggml.merges holds {describe(wrong)}, expected two tokens")
    try:
        tokenizer = tokenizers.Tokenizer(models.BPE(vocab=vocabulary, merges=pairs))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # the library's panics are no Exceptions
        raise CheckpointError(f"{source}: tokenizer.ggml is no tokenizer: {error}") from error
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(tokenizers.Regex(_WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    for wanted, add in ((_CONTROL, tokenizer.add_special_tokens), (_USER_DEFINED, tokenizer.add_tokens)):
        added = [token for token, kind in zip(tokens, kinds, strict=True) if kind == wanted]
        add([tokenizers.AddedToken(token, normalized=False) for token in added])
    return Tokenizer(tokenizer, source=source)


def read_template(metadata: Mapping[str, Any], source: str, tokenizer: Tokenizer) -> ChatTemplate:
    """The chat template of a file, or the fallback if it has none.

    Raises:
        CheckpointError: the metadata hold no list of tokens.
        TemplateError: it does not compile.
    """
    text = metadata.get("tokenizer.chat_template")
    if not isinstance(text, str):
        return ChatTemplate.fallback(tokenizer)
    tokens = _texts(metadata, "tokenizer.ggml.tokens", source)
    variables = {
        f"{name}_token": tokens[id]
        for name, key in (("bos", "bos"), ("eos", "eos"), ("pad", "padding"), ("unk", "unknown"))
        if isinstance(id := metadata.get(f"tokenizer.ggml.{key}_token_id"), int) and 0 <= id < len(tokens)
    }
    return ChatTemplate(text, source=f"{source}: tokenizer.chat_template", variables=variables)


def _texts(metadata: Mapping[str, Any], key: str, source: str) -> list[str]:
    value = metadata.get(key)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise CheckpointError(f"{source}: {key} is {describe(value)}, expected a list of texts")
    return value
