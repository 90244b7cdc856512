"""Random Qwen3 checkpoints of any shape, written in the published format: the models that the tests run on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

Array = np.ndarray[Any, np.dtype[np.float32]]
Dtype = Literal["float32", "float16", "bfloat16"]

TEMPLATES = Path(__file__).parent / "templates"

SPECIAL_TOKENS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
    "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
    "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip
ADDED_TOKENS = (  # parsed in text as the special ones are, but shown when a reply is decoded
    "<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>",
    "<|file_sep|>", "<tool_response>", "</tool_response>", "<think>", "</think>",
)  # fmt: skip

MERGES = 60
TOKENIZER_SIZE = 256 + MERGES + len(SPECIAL_TOKENS) + len(ADDED_TOKENS)

_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_CORPUS = (
    "The quick brown fox jumps over the lazy dog. What is the name of the user? The answer is in the question.\n",
    "system user assistant\n\nHello, how are you today? I think that the thing is there, and then there is this.\n",
    "你好，世界。你好吗？我很好，谢谢你。",
    "Привет, мир! これは日本語です。 café naïve 😀👍🏽\n",
)


@dataclass(frozen=True)
class ExpertShape:
    """What makes a model a mixture of experts."""

    count: int = 8
    per_token: int = 3
    intermediate: int = 64
    normalised: bool = True
    dense_layers: tuple[int, ...] = ()

    def config(self, spelling: str = "published") -> dict[str, object]:
        """The fields of config.json that say so."""
        return {
            "architectures": ["Qwen3MoeForCausalLM"],
            "model_type": "qwen3_moe",
            ("num_experts" if spelling == "published" else "num_local_experts"): self.count,
            "num_experts_per_tok": self.per_token,
            "moe_intermediate_size": self.intermediate,
            "norm_topk_prob": self.normalised,
            "decoder_sparse_step": 1,
            "mlp_only_layers": list(self.dense_layers),
        }


def make_checkpoint(
    folder: Path,
    *,
    hidden: int = 64,
    layers: int = 2,
    heads: int = 4,
    kv_heads: int = 2,
    head_dim: int = 16,
    intermediate: int = 96,
    vocab: int = 384,
    tied: bool = True,
    lm_head: Literal["auto", "repeat"] = "auto",
    dtype: Dtype = "float32",
    shards: int = 1,
    seed: int = 0,
    spelling: Literal["published", "transformers5"] = "published",
    tokenizer: bool = False,
    template: str | None = "qwen3",
    max_positions: int = 512,
    rope_theta: float = 1e6,
    eps: float = 1e-6,
    eos: int | Sequence[int] | None = None,
    experts: ExpertShape | None = None,
    config_overrides: Mapping[str, object] | None = None,
) -> Path:
    """Write a checkpoint of the given shape into `folder` and return the folder.

    Logits have a standard deviation of about 2, so that their order means something, and no norm weight is 1, so that a
    forgotten norm shows. The same arguments always write the same bytes.

    Args:
        lm_head: "repeat" stores a copy of the tied head in the file, as the published 0.6B does.
        shards: the number of safetensors files; more than one come with an index.
        tokenizer: also write a byte-level BPE of `TOKENIZER_SIZE` ids with Qwen3's added tokens, and its eos ids.
        template: a file name of tests/templates, without ending; None writes no chat template.
        eos: eos ids of config.json. Without any the model never stops by itself.
        experts: makes it a mixture of experts.
        config_overrides: fields that replace those of config.json; None removes one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if tokenizer:
        if vocab < TOKENIZER_SIZE:
            raise ValueError(f"vocab = {vocab} is too small for the tokenizer's {TOKENIZER_SIZE} ids")
        write_tokenizer(folder, template)
        ids = {token: TOKENIZER_SIZE - len(SPECIAL_TOKENS + ADDED_TOKENS) + i for i, token in enumerate(SPECIAL_TOKENS)}
        eos = ids["<|im_end|>"] if eos is None else eos
        _write_json(
            folder / "generation_config.json",
            {
                "do_sample": True,
                "temperature": 0.6,
                "top_k": 20,
                "top_p": 0.95,
                "eos_token_id": [ids["<|im_end|>"], ids["<|endoftext|>"]],
            },
        )
    config: dict[str, object] = {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "eos_token_id": list(eos) if isinstance(eos, Sequence) else eos,
        "head_dim": head_dim,
        "hidden_act": "silu",
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "max_position_embeddings": max_positions,
        "num_attention_heads": heads,
        "num_hidden_layers": layers,
        "num_key_value_heads": kv_heads,
        "rms_norm_eps": eps,
        "sliding_window": None,
        "tie_word_embeddings": tied,
        "use_sliding_window": False,
        "vocab_size": vocab,
    }
    if spelling == "published":
        config |= {"rope_theta": rope_theta, "rope_scaling": None, "torch_dtype": dtype, "max_window_layers": layers}
    else:
        config |= {"rope_parameters": {"rope_type": "default", "rope_theta": rope_theta}, "dtype": dtype}
        config["layer_types"] = ["full_attention"] * layers
    if experts is not None:
        config |= experts.config(spelling)
    for name, value in (config_overrides or {}).items():
        if value is None:
            config.pop(name, None)
        else:
            config[name] = value
    _write_json(folder / "config.json", config)

    tensors = dict(
        random_weights(
            hidden=hidden,
            layers=layers,
            heads=heads,
            kv_heads=kv_heads,
            head_dim=head_dim,
            intermediate=intermediate,
            vocab=vocab,
            tied=tied,
            seed=seed,
            experts=experts,
        )
    )
    if tied and lm_head == "repeat":
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"]
    write_weights(folder, tensors, dtype=dtype, shards=shards)
    return folder


def random_weights(
    *,
    hidden: int,
    layers: int,
    heads: int,
    kv_heads: int,
    head_dim: int,
    intermediate: int,
    vocab: int,
    tied: bool,
    seed: int,
    experts: ExpertShape | None = None,
) -> Iterable[tuple[str, Array]]:
    """Every tensor of the model by its published name, float32, in file order."""
    rng = np.random.default_rng(seed)

    def matrix(rows: int, columns: int, gain: float = 1.0) -> Array:  # keeps the size of what it is applied to
        return rng.standard_normal((rows, columns), dtype=np.float32) * np.float32(gain / columns**0.5)

    def norm(size: int) -> Array:
        return 1 + np.float32(0.3) * rng.standard_normal(size, dtype=np.float32)

    yield "model.embed_tokens.weight", matrix(vocab, hidden, gain=2.0)
    for layer in range(layers):
        prefix = f"model.layers.{layer}."
        yield prefix + "input_layernorm.weight", norm(hidden)
        yield prefix + "self_attn.q_proj.weight", matrix(heads * head_dim, hidden)
        yield prefix + "self_attn.k_proj.weight", matrix(kv_heads * head_dim, hidden)
        yield prefix + "self_attn.v_proj.weight", matrix(kv_heads * head_dim, hidden)
        yield prefix + "self_attn.o_proj.weight", matrix(hidden, heads * head_dim)
        yield prefix + "self_attn.q_norm.weight", norm(head_dim)
        yield prefix + "self_attn.k_norm.weight", norm(head_dim)
        yield prefix + "post_attention_layernorm.weight", norm(hidden)
        mlps = {"mlp.": intermediate}
        if experts is not None and layer not in experts.dense_layers:
            yield prefix + "mlp.gate.weight", matrix(experts.count, hidden, gain=1.5)
            mlps = {f"mlp.experts.{expert}.": experts.intermediate for expert in range(experts.count)}
        for mlp, size in mlps.items():
            yield prefix + mlp + "gate_proj.weight", matrix(size, hidden)
            yield prefix + mlp + "up_proj.weight", matrix(size, hidden)
            yield prefix + mlp + "down_proj.weight", matrix(hidden, size)
    yield "model.norm.weight", norm(hidden)
    if not tied:
        yield "lm_head.weight", matrix(vocab, hidden, gain=2.0)


def write_weights(folder: Path, tensors: Mapping[str, Array], *, dtype: Dtype = "float32", shards: int = 1) -> None:
    """Write float32 tensors as safetensors of `dtype`: one file, or `shards` files and their index."""
    names = list(tensors)
    if not 1 <= shards <= len(names):
        raise ValueError(f"shards = {shards}: {len(names)} tensors fill 1 to {len(names)} files")
    import torch  # the numpy side of the library knows no bfloat16
    from safetensors.torch import save_file

    stored = {name: torch.tensor(tensor, dtype=getattr(torch, dtype)) for name, tensor in tensors.items()}
    if shards == 1:
        save_file(stored, folder / "model.safetensors", {"format": "pt"})
        return
    weight_map: dict[str, str] = {}
    for shard in range(shards):
        file = f"model-{shard + 1:05d}-of-{shards:05d}.safetensors"
        part = names[len(names) * shard // shards : len(names) * (shard + 1) // shards]
        save_file({name: stored[name] for name in part}, folder / file, {"format": "pt"})
        weight_map |= dict.fromkeys(part, file)
    total = sum(tensor.nbytes for tensor in stored.values())
    _write_json(folder / "model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": weight_map})


@cache
def byte_level_tokenizer() -> tokenizers.Tokenizer:
    """A byte-level BPE built as Qwen3's is: 256 bytes, `MERGES` merges, then the 26 added tokens."""
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(tokenizers.Regex(_SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.post_processor = processors.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    trainer = trainers.BpeTrainer(
        vocab_size=256 + MERGES,
        min_frequency=1,
        show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    tokenizer.train_from_iterator(_CORPUS, trainer)
    tokenizer.add_special_tokens([tokenizers.AddedToken(token, normalized=False) for token in SPECIAL_TOKENS])
    tokenizer.add_tokens([tokenizers.AddedToken(token, normalized=False) for token in ADDED_TOKENS])
    return tokenizer


def write_tokenizer(folder: Path, template: str | None = "qwen3") -> None:
    """Write tokenizer.json and tokenizer_config.json, the latter with the template of that name, if any."""
    byte_level_tokenizer().save(str(folder / "tokenizer.json"))
    config: dict[str, object] = {
        "tokenizer_class": "Qwen2Tokenizer",
        "bos_token": None,
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "unk_token": None,
        "model_max_length": 131072,
    }
    if template is not None:
        config["chat_template"] = (TEMPLATES / f"{template}.jinja").read_text(encoding="utf-8")
    _write_json(folder / "tokenizer_config.json", config)


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
