"""config.json -> Qwen3Config, every field checked, in both of its spellings.

Published files write `rope_theta`, `rope_scaling` and `torch_dtype`, transformers 5 `rope_parameters` and `dtype`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from qwen3_chat.models.errors import ConfigError
from qwen3_chat.models.experts import Experts
from qwen3_chat.models.files import checkpoint_folder, describe, file_exists, is_integer, read_json
from qwen3_chat.models.quantization import Quantization
from qwen3_chat.models.rope_scaling import YarnScaling, parse_rope_scaling

ARCHITECTURES = {"Qwen3ForCausalLM": "qwen3", "Qwen3MoeForCausalLM": "qwen3_moe"}  # and their model types
DTYPES = ("float32", "float16", "bfloat16")
MAX_INT = 2**31 - 1  # the engine's integers
MAX_LAYERS = 2**16  # of a model whose layers are looked at one by one

MOST_STRETCH = 4  # the factor up to which Qwen3 was tried with YaRN
_LISTED = " and ".join(ARCHITECTURES)
_PROMPT_AND_REPLY = {40960: 32768}  # max_position_embeddings of the first releases -> what they were trained on

_INTEGERS = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "intermediate_size",
    "max_position_embeddings",
)


@dataclass(frozen=True, slots=True)
class Qwen3Config:
    """The shape of a Qwen3 model.

    Attributes:
        vocab_size: rows of the embedding, padding rows included.
        intermediate_size: neurons of the MLP of layers without experts.
        max_position_embeddings: tokens, prompt and reply together.
        rope_theta: base of the rotary frequencies.
        rope_scaling: how they are stretched for a longer context; None: not at all.
        tie_word_embeddings: the embedding is the output head, too.
        dtype: "float32", "float16" or "bfloat16".
        eos_token_ids: ids that end a reply; empty if the model never says that it is done.
        quantization: how matrices are stored that are quantized; None if none is.
        experts: those of the sparse layers; None for a dense model.

    Raises:
        ConfigError: a field is out of range, or two contradict each other.
    """

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    intermediate_size: int
    max_position_embeddings: int
    rms_norm_eps: float
    rope_theta: float
    tie_word_embeddings: bool
    dtype: str
    eos_token_ids: tuple[int, ...]
    rope_scaling: YarnScaling | None = None
    quantization: Quantization | None = None
    experts: Experts | None = None

    def __post_init__(self) -> None:
        for name in _INTEGERS:
            value = getattr(self, name)
            if not is_integer(value) or not 1 <= value <= MAX_INT:
                raise ConfigError(f"{name} is {describe(value)}, expected a whole number from 1 to {MAX_INT}")
        for name in ("rms_norm_eps", "rope_theta"):
            value = getattr(self, name)
            if not _is_finite(value) or value <= 0:
                raise ConfigError(f"{name} is {describe(value)}, expected a finite number above 0")
        if not isinstance(self.tie_word_embeddings, bool):
            raise ConfigError(f"tie_word_embeddings is {describe(self.tie_word_embeddings)}, expected true or false")
        if self.dtype not in DTYPES:
            raise ConfigError(f"dtype is {describe(self.dtype)}, expected one of {', '.join(DTYPES)}")
        if self.num_attention_heads % self.num_key_value_heads:
            raise ConfigError(
                f"num_attention_heads ({self.num_attention_heads}) is not a multiple of "
                f"num_key_value_heads ({self.num_key_value_heads})"
            )
        if self.head_dim % 2:
            raise ConfigError(f"head_dim is {self.head_dim}, expected an even number: RoPE rotates pairs")
        dense = self.experts.dense_layers if self.experts else ()
        if dense and max(dense) >= self.num_hidden_layers:
            raise ConfigError(f"layer {max(dense)} has no experts, but num_hidden_layers is {self.num_hidden_layers}")
        for eos in self.eos_token_ids:
            if not is_integer(eos) or not 0 <= eos < self.vocab_size:
                raise ConfigError(
                    f"eos_token_id is {describe(eos)}, expected ids from 0 to {self.vocab_size - 1} (vocab_size - 1)"
                )

    @property
    def sparse_layers(self) -> int:
        """How many layers have experts."""
        return self.num_hidden_layers - len(self.experts.dense_layers) if self.experts else 0

    def is_sparse(self, layer: int) -> bool:
        """Whether that layer has experts instead of one MLP."""
        return self.experts is not None and layer not in self.experts.dense_layers

    @property
    def longest_context(self) -> int:
        """Tokens, prompt and reply together, that the rotary frequencies are good for as they are."""
        scaled = self.rope_scaling.longest_context if self.rope_scaling else 0
        return max(self.max_position_embeddings, scaled)

    @property
    def most_context(self) -> int:
        """The most that `for_context` takes."""
        return self.longest_context if self.rope_scaling else MOST_STRETCH * self._trained_context

    @property
    def _trained_context(self) -> int:
        return _PROMPT_AND_REPLY.get(self.max_position_embeddings, self.max_position_embeddings)

    def for_context(self, tokens: int) -> Qwen3Config:
        """The same model for a context of so many tokens: with YaRN if they are more than it was made for.

        The stretch is as small as it can be, since it is there for short texts, too, and does them some harm.

        Raises:
            ConfigError: the frequencies would be stretched further than this model bears.
        """
        if tokens <= self.longest_context:
            return self
        if tokens > self.most_context:
            raise ConfigError(
                f"a context of {tokens} tokens is more than the {self.most_context} that this model can be taken to"
            )
        scaling = YarnScaling(tokens / self._trained_context, self._trained_context)
        return replace(self, rope_scaling=scaling, max_position_embeddings=tokens)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, source: str) -> Qwen3Config:
        """Check the content of a config.json; `source` is the file's name in errors.

        Raises:
            ConfigError: another architecture, a field that is missing, malformed or contradictory, or a feature that is
                not supported yet.
        """
        try:
            sparse = _check_supported(data)
            layer_count = _required(data, "num_hidden_layers")
            if sparse and (not is_integer(layer_count) or not 1 <= layer_count <= MAX_LAYERS):
                raise ConfigError(
                    f"num_hidden_layers is {describe(layer_count)}, expected a whole number from 1 to {MAX_LAYERS}"
                )
            rope_theta, rope_scaling = _rope(data)
            quantization = data.get("quantization_config")
            _check_layer_types(data.get("layer_types"), layer_count)
            return cls(
                **{name: _required(data, name) for name in _INTEGERS},
                rms_norm_eps=_number(data, "rms_norm_eps"),
                rope_theta=rope_theta,
                rope_scaling=rope_scaling,
                tie_word_embeddings=data.get("tie_word_embeddings", False),
                dtype=_dtype(data),
                eos_token_ids=_eos_ids(data),
                quantization=None if quantization is None else Quantization.from_config(quantization),
                experts=Experts.from_config(data, layer_count) if sparse else None,
            )
        except ConfigError as error:
            raise ConfigError(f"{source}: {error}") from None

    @classmethod
    def from_folder(cls, path: str | Path) -> Qwen3Config:
        """Read a checkpoint folder's config.json; the eos ids of its generation_config.json, if any, win.

        Raises:
            CheckpointError: there is no such folder.
            ConfigError: as `from_dict`, or a file cannot be read.
        """
        folder = checkpoint_folder(path)
        file = folder / "config.json"
        if not file_exists(file, ConfigError):
            raise ConfigError(
                f"{file}: no such file; a checkpoint folder holds config.json, tokenizer.json and weights"
            )
        data = read_json(file, ConfigError)
        config = cls.from_dict(data, source=str(file))
        generation_file = folder / "generation_config.json"
        if not file_exists(generation_file, ConfigError):
            return config
        generation = read_json(generation_file, ConfigError)
        if generation.get("eos_token_id") is None:
            return config
        return cls.from_dict(
            {**data, "eos_token_id": generation["eos_token_id"]},
            source=str(generation_file),
        )


@dataclass(frozen=True, slots=True)
class GenerationDefaults:
    """The sampling settings a checkpoint recommends; None where its generation_config.json is silent.

    Attributes:
        temperature: 0 where the file says `do_sample: false`.
    """

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    presence_penalty: float | None = None
    repetition_penalty: float | None = None

    @classmethod
    def from_folder(cls, path: str | Path) -> GenerationDefaults:
        """Read generation_config.json, if the folder has one.

        Raises:
            CheckpointError: there is no such folder.
            ConfigError: the file is malformed, or a value is out of its range.
        """
        file = checkpoint_folder(path) / "generation_config.json"
        if not file_exists(file, ConfigError):
            return cls()
        data = read_json(file, ConfigError)
        top_k = data.get("top_k")
        if top_k is not None and (not is_integer(top_k) or not 0 <= top_k <= MAX_INT):
            raise ConfigError(f"{file}: top_k is {describe(top_k)}, expected a whole number from 0")
        do_sample = data.get("do_sample")
        if do_sample is not None and not isinstance(do_sample, bool):
            raise ConfigError(f"{file}: do_sample is {describe(do_sample)}, expected true or false")

        def within(name: str, low: float, high: float, *, open_low: bool = False) -> float | None:
            value = data.get(name)
            if value is None:
                return None
            if not _is_finite(value) or not low <= value <= high or (open_low and value == low):
                range_text = f"{'above' if open_low else 'from'} {low:g}" + (f" to {high:g}" if high < math.inf else "")
                raise ConfigError(f"{file}: {name} is {describe(value)}, expected a number {range_text}")
            return float(value)

        temperature = within("temperature", 0, math.inf)
        return cls(
            temperature=0.0 if do_sample is False else temperature,
            top_k=top_k,
            top_p=within("top_p", 0, 1, open_low=True),
            min_p=within("min_p", 0, 1),
            presence_penalty=within("presence_penalty", -2, 2),
            repetition_penalty=within("repetition_penalty", 0, math.inf, open_low=True),
        )


def _check_supported(data: Mapping[str, Any]) -> bool:
    """Whether `data` describes a mixture of experts; raise unless it is a Qwen3, dense or not."""
    architectures = data.get("architectures")
    model_type = data.get("model_type")
    if architectures is not None and (
        not isinstance(architectures, list) or not all(isinstance(name, str) for name in architectures)
    ):
        raise ConfigError(f"architectures is {describe(architectures)}, expected a list of names")
    if not architectures and model_type is None:
        raise ConfigError(f"architectures is missing, expected {_LISTED}")
    known = [name for name in architectures or () if name in ARCHITECTURES]
    if architectures and not known:
        raise ConfigError(f"architectures is {describe(architectures)}; only {_LISTED} are supported")
    types = tuple(ARCHITECTURES.values())
    if model_type is not None and model_type not in types:
        raise ConfigError(f"model_type is {describe(model_type)}; only {' and '.join(types)} are supported")
    if known and model_type not in (None, ARCHITECTURES[known[0]]):
        raise ConfigError(f"architectures is {describe(architectures)}, but model_type is {describe(model_type)}")
    sparse = (model_type or ARCHITECTURES[known[0]]) == "qwen3_moe"
    for name in ("num_experts", "num_local_experts"):
        if not sparse and data.get(name) is not None:
            raise ConfigError(f"{name} is {describe(data[name])}, but a {types[0]} model is dense and has no experts")
    for name, expected in (("hidden_act", "silu"), ("attention_bias", False), ("use_sliding_window", False)):
        value = data.get(name)
        if value is not None and (type(value) is not type(expected) or value != expected):
            raise ConfigError(f"{name} is {describe(value)}, which is not supported yet, expected {describe(expected)}")
    return sparse


def _check_layer_types(layer_types: object, layer_count: object) -> None:
    if layer_types is None:
        return
    if not isinstance(layer_types, list):
        raise ConfigError(f"layer_types is {describe(layer_types)}, expected a list of names")
    if len(layer_types) != layer_count:
        raise ConfigError(
            f"layer_types has {len(layer_types)} entries, but num_hidden_layers is {describe(layer_count)}"
        )
    for kind in layer_types:
        if kind != "full_attention":
            raise ConfigError(
                f'layer_types holds {describe(kind)}, which is not supported yet, only "full_attention" is'
            )


def _rope(data: Mapping[str, Any]) -> tuple[float, YarnScaling | None]:
    """The one rope_theta and the one scaling of all places where a config may write them."""
    thetas: dict[str, float] = {}
    scalings: dict[str, YarnScaling] = {}
    if data.get("rope_theta") is not None:
        thetas["rope_theta"] = _number(data, "rope_theta")
    for field in ("rope_parameters", "rope_scaling"):
        rope = data.get(field)
        if rope is None:
            continue
        if not isinstance(rope, Mapping):
            raise ConfigError(f"{field} is {describe(rope)}, expected an object")
        if rope.get("rope_theta") is not None:
            thetas[f"{field}.rope_theta"] = _number(rope, "rope_theta", prefix=f"{field}.")
        if scaling := parse_rope_scaling(rope, field):
            scalings[field] = scaling
    if not thetas:
        raise ConfigError("rope_theta is missing (rope_theta, or rope_parameters.rope_theta)")
    first = next(iter(thetas))
    for name, value in thetas.items():
        if value != thetas[first]:
            raise ConfigError(f"{name} is {value:g}, but {first} is {thetas[first]:g}")
    if len(set(scalings.values())) > 1:
        raise ConfigError("rope_parameters and rope_scaling describe different YaRN scalings")
    return thetas[first], next(iter(scalings.values()), None)


def _dtype(data: Mapping[str, Any]) -> str:
    old, new = data.get("torch_dtype"), data.get("dtype")
    if old is not None and new is not None and old != new:
        raise ConfigError(f"torch_dtype is {describe(old)}, but dtype is {describe(new)}")
    dtype = new if old is None else old
    if dtype is None:
        return "float32"  # what PyTorch makes of silence
    if dtype not in DTYPES:
        name = "dtype" if old is None else "torch_dtype"
        raise ConfigError(f"{name} is {describe(dtype)}, expected one of {', '.join(DTYPES)}")
    return str(dtype)


def _eos_ids(data: Mapping[str, Any]) -> tuple[int, ...]:
    eos = data.get("eos_token_id")
    if eos is None:
        return ()
    ids = eos if isinstance(eos, list) else [eos]
    for value in ids:  # before they are hashed
        if not is_integer(value):
            raise ConfigError(f"eos_token_id is {describe(eos)}, expected an id or a list of ids")
    return tuple(dict.fromkeys(ids))


def _required(data: Mapping[str, Any], name: str) -> Any:
    if data.get(name) is None:
        raise ConfigError(f"{name} is missing")
    return data[name]


def _number(data: Mapping[str, Any], name: str, *, prefix: str = "") -> float:
    value = _required(data, name)
    if not _is_finite(value):
        raise ConfigError(f"{prefix}{name} is {describe(value)}, expected a finite number above 0")
    return float(value)


def _is_finite(value: object) -> bool:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond float's range
        return False
