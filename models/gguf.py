"""A Qwen3 model in one GGUF file or in splits of one: its configuration, weights, tokenizer and chat template."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from qwen3_chat.models.chat_template import ChatTemplate
from qwen3_chat.models.checkpoint import Checkpoint, Spelling, check_count, check_tensors, close_files, model_slots
from qwen3_chat.models.config import GenerationDefaults, Qwen3Config
from qwen3_chat.models.errors import CheckpointError, ConfigError
from qwen3_chat.models.experts import MOST_EXPERTS, Experts
from qwen3_chat.models.files import GGUF_ENDING, describe, file_exists
from qwen3_chat.models.formats.gguf import GgufFile
from qwen3_chat.models.gguf_tokenizer import read_template, read_tokenizer
from qwen3_chat.models.rope_scaling import YarnScaling, parse_rope_scaling
from qwen3_chat.models.tensors import Layout, Part, Stored, TensorEntry
from qwen3_chat.models.tokenizer import Tokenizer

ARCHITECTURES = ("qwen3", "qwen3moe")

BITS = {"Q8_0": 8, "Q4_0": 4, "Q4_K": 4, "Q5_K": 5, "Q6_K": 6}
FLOATS = ("F32", "F16", "BF16")

# A layer's tensors, and those outside the layers: our module -> GGUF's.
_LAYER_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "mlp.gate": "ffn_gate_inp",
}
# All experts of a layer in one tensor [experts, out, in]: our last name -> GGUF's.
_EXPERT_NAMES = {"gate_proj": "ffn_gate_exps", "up_proj": "ffn_up_exps", "down_proj": "ffn_down_exps"}
_GLOBAL_NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
_OUR_LAYER_NAMES = {theirs: ours for ours, theirs in _LAYER_NAMES.items()}
_OUR_EXPERT_NAMES = {theirs: ours for ours, theirs in _EXPERT_NAMES.items()}
_OUR_GLOBAL_NAMES = {theirs: ours for ours, theirs in _GLOBAL_NAMES.items()}

_SPLIT_NAME = re.compile(r"(.*)-(\d{5})-of-(\d{5})\.gguf")

_END_KEYS = ("eos_token_id", "eot_token_id", "eom_token_id")
_END_TOKENS = ("<|im_end|>", "<|endoftext|>")  # each ends a Qwen3 reply, and a file names but one of them


class GgufModel:
    """An open GGUF file with what is in it. Use it in a `with`, or call `close()`.

    Attributes:
        path: the file, of several splits the first.
        config: as a config.json would have it.
    """

    def __init__(self, path: str | Path) -> None:
        """Map the file, and the other splits if there are some.

        Raises:
            CheckpointError: a file is missing or malformed.
            ConfigError: it holds another architecture, or its metadata contradict each other.
        """
        self.path = _first_split(Path(path).expanduser())
        first = GgufFile(self.path)
        opened = [first]
        try:
            opened += [GgufFile(split) for split in _other_splits(self.path, first.metadata)]
            self._metadata = first.metadata
            self._files: dict[str, Stored] = {}
            for file in opened:
                for entry in file.entries.values():
                    for ours, part in _our_entries(entry):
                        if ours in self._files:
                            raise CheckpointError(
                                f"{file.path}: tensor {entry.name!r} is also in {self._files[ours].file.path.name}"
                            )
                        self._files[ours] = Stored(file, part)
            self.config = self._read_config()
        except BaseException:
            for file in opened:
                file.close()
            raise

    def checkpoint(self) -> Checkpoint:
        """The weights, checked; closing them closes the files.

        Raises:
            CheckpointError: a tensor is missing, unknown, wrongly shaped or of a type that is not supported.
        """
        layouts: dict[str, Layout] = {}
        keys = f"{self._architecture}.block_count", f"{self._architecture}.expert_count"
        check_count(self.path, self.config, len(self._files), *keys)
        for name, slot in model_slots(self.config).items():
            stored = self._files.get(name)
            if stored is None or stored.entry.dtype in FLOATS:
                continue
            if stored.entry.dtype not in BITS or len(slot.shape) != 2:
                raise CheckpointError(
                    f"{stored.where}: type {stored.entry.dtype} is not supported for it; "
                    f"{', '.join(FLOATS if len(slot.shape) != 2 else (*FLOATS, *BITS))} are"
                )
            if stored.entry.shape != slot.shape:
                raise CheckpointError(
                    f"{stored.where}: shape {list(stored.entry.shape)}, but the metadata make it {list(slot.shape)}"
                )
            rows, nbytes = slot.shape[0], stored.entry.nbytes
            values = Part(stored, (rows, nbytes // rows), "U8")
            layouts[name] = Layout(
                stored.entry.dtype.lower(), slot.shape, {"values": values}, bits=BITS[stored.entry.dtype]
            )
        spelling = Spelling(configuration="the metadata", tensor=_their_name)
        check_tensors(self.path, self.config, self._files, layouts, ignored=set(), spelling=spelling)
        return Checkpoint(self.path, self.config, self._files, layouts)

    def tokenizer(self) -> Tokenizer:
        """The tokenizer.

        Raises:
            CheckpointError: the metadata hold none, or another than Qwen's byte-level BPE.
        """
        return read_tokenizer(self._metadata, str(self.path))

    def template(self, tokenizer: Tokenizer) -> ChatTemplate:
        """The chat template, or the fallback if there is none.

        Raises:
            TemplateError: it does not compile.
        """
        return read_template(self._metadata, str(self.path), tokenizer)

    def defaults(self) -> GenerationDefaults:
        """GGUF files recommend no sampling settings that Qwen3's writers fill in."""
        return GenerationDefaults()

    def close(self) -> None:
        """Let go of the files."""
        close_files(self._files)

    def __enter__(self) -> GgufModel:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _read_config(self) -> Qwen3Config:
        try:
            return self._config_of_metadata()
        except ConfigError as error:
            raise ConfigError(f"{self.path}: {error}") from None

    def _config_of_metadata(self) -> Qwen3Config:
        self._architecture = self._metadata.get("general.architecture")
        if self._architecture not in ARCHITECTURES:
            raise ConfigError(
                f"general.architecture is {describe(self._architecture)}; only {' and '.join(ARCHITECTURES)} are "
                "supported"
            )
        embedding = self._files.get("model.embed_tokens.weight")
        if embedding is None or len(embedding.entry.shape) != 2:
            raise CheckpointError(f"{self.path}: tensor 'token_embd.weight' is missing")
        head_dim = self._number("attention.key_length")
        for name in ("attention.value_length", "rope.dimension_count"):
            other = self._optional(name, head_dim)
            if other != head_dim:
                raise ConfigError(
                    f"{self._key(name)} is {describe(other)}, but {self._key('attention.key_length')} is {head_dim}"
                )
        experts = self._experts()
        return Qwen3Config(
            vocab_size=embedding.entry.shape[0],
            hidden_size=self._number("embedding_length"),
            num_hidden_layers=self._number("block_count"),
            num_attention_heads=self._number("attention.head_count"),
            num_key_value_heads=self._number("attention.head_count_kv"),
            head_dim=head_dim,
            intermediate_size=self._number("feed_forward_length"),
            experts=experts,
            max_position_embeddings=self._number("context_length"),
            rms_norm_eps=self._number("attention.layer_norm_rms_epsilon"),
            rope_theta=self._number("rope.freq_base"),
            tie_word_embeddings="lm_head.weight" not in self._files,
            dtype="float32",
            eos_token_ids=self._end_ids(),
            rope_scaling=self._rope_scaling(),
        )

    def _experts(self) -> Experts | None:
        """Those of every layer that has no single MLP."""
        if self._architecture != "qwen3moe":
            return None
        gate = re.compile(r"model\.layers\.(\d+)\.mlp\.gate_proj\.weight")
        single = filter(None, map(gate.fullmatch, self._files))
        return Experts(
            count=self._number("expert_count"),
            per_token=self._number("expert_used_count"),
            intermediate_size=self._number("expert_feed_forward_length"),
            dense_layers=tuple(sorted(int(layer[1]) for layer in single)),
        )

    def _rope_scaling(self) -> YarnScaling | None:
        kind = self._optional("rope.scaling.type")
        if kind in (None, "none"):
            return None
        if kind != "yarn":
            raise ConfigError(
                f'{self._key("rope.scaling.type")} is {describe(kind)}, which is not supported, only "yarn" is'
            )
        attention = self._optional("rope.scaling.attn_factor", 1)
        if attention != 1:
            raise ConfigError(
                f"{self._key('rope.scaling.attn_factor')} is {describe(attention)}, which is not supported, only 1 is"
            )
        scaling = {
            "rope_type": "yarn",
            "factor": self._number("rope.scaling.factor"),
            "original_max_position_embeddings": self._number("rope.scaling.original_context_length"),
            **{name: self._optional(f"rope.scaling.yarn_{name}") for name in ("beta_fast", "beta_slow")},
        }
        return parse_rope_scaling({k: v for k, v in scaling.items() if v is not None}, self._key("rope.scaling"))

    def _end_ids(self) -> tuple[int, ...]:
        ids = [self._metadata.get(f"tokenizer.ggml.{key}") for key in _END_KEYS]
        tokens = self._metadata.get("tokenizer.ggml.tokens")
        if isinstance(tokens, list):
            ids += [tokens.index(token) for token in _END_TOKENS if token in tokens]
        return tuple(dict.fromkeys(id for id in ids if id is not None))

    def _key(self, name: str) -> str:
        return f"{self._architecture}.{name}"

    def _optional(self, name: str, default: Any = None) -> Any:
        """A metadata value of the architecture's, or the default."""
        return self._metadata.get(self._key(name), default)

    def _number(self, name: str) -> Any:
        """A metadata value of the architecture's that must be there; Qwen3Config checks what it is."""
        if self._key(name) not in self._metadata:
            raise ConfigError(f"{self._key(name)} is missing")
        return self._metadata[self._key(name)]


def _our_entries(entry: TensorEntry) -> Iterator[tuple[str, TensorEntry]]:
    """A GGUF tensor under its published name; one of all experts as one matrix for each, which lie side by side."""
    experts = re.fullmatch(r"blk\.(\d+)\.(ffn_\w+_exps)\.weight", entry.name)
    known = experts and experts[2] in _OUR_EXPERT_NAMES
    if not experts or not known or len(entry.shape) != 3 or 0 in entry.shape or entry.shape[0] > MOST_EXPERTS:
        yield _our_name(entry.name), entry
        return
    count, *shape = entry.shape
    size = entry.nbytes // count
    for expert in range(count):
        begin = entry.begin + expert * size
        name = f"model.layers.{experts[1]}.mlp.experts.{expert}.{_OUR_EXPERT_NAMES[experts[2]]}.weight"
        yield name, TensorEntry(f"{entry.name}[{expert}]", entry.dtype, tuple(shape), begin, begin + size)


def _our_name(name: str) -> str:
    """A GGUF tensor's published name; one that has none stays as it is."""
    layer = re.fullmatch(r"blk\.(\d+)\.(\w+)\.weight", name)
    if layer and layer[2] in _OUR_LAYER_NAMES:
        return f"model.layers.{layer[1]}.{_OUR_LAYER_NAMES[layer[2]]}.weight"
    return _OUR_GLOBAL_NAMES.get(name, name)


def _their_name(name: str) -> str:
    """What a published tensor is called in, or is part of, in a GGUF file."""
    expert = re.fullmatch(r"model\.layers\.(\d+)\.mlp\.experts\.(\d+)\.(\w+)\.weight", name)
    if expert and expert[3] in _EXPERT_NAMES:
        return f"blk.{expert[1]}.{_EXPERT_NAMES[expert[3]]}.weight[{expert[2]}]"
    layer = re.fullmatch(r"model\.layers\.(\d+)\.(.+)\.weight", name)
    if layer and layer[2] in _LAYER_NAMES:
        return f"blk.{layer[1]}.{_LAYER_NAMES[layer[2]]}.weight"
    return _GLOBAL_NAMES.get(name, name)


def _first_split(path: Path) -> Path:
    """The first of the files that `path` is one of."""
    split = _SPLIT_NAME.fullmatch(path.name)
    return path if split is None else path.with_name(f"{split[1]}-00001-of-{split[3]}{GGUF_ENDING}")


def _other_splits(first: Path, metadata: Mapping[str, Any]) -> list[Path]:
    """The files behind the first one."""
    split = _SPLIT_NAME.fullmatch(first.name)
    named, said = int(split[3]) if split else 1, metadata.get("split.count", 1)
    if said != named and said > 1:
        raise CheckpointError(
            f"{first}: is one of {said} splits, whose names end in -00001-of-{said:05}{GGUF_ENDING} and so on"
        )
    paths = (
        [first.with_name(f"{split[1]}-{number:05}-of-{split[3]}{GGUF_ENDING}") for number in range(2, named + 1)]
        if split
        else []
    )
    for path in paths:
        if not file_exists(path, CheckpointError):
            raise CheckpointError(f"{path}: no such file, but {first.name} is one of {named}: a split is missing")
    return paths
