"""A GGUF file's metadata, tokenizer and template; and every way in which a file can be broken, by name."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from checkpoints import TOKENIZER_SIZE, ExpertShape, byte_level_tokenizer, make_checkpoint
from gguf import GGMLQuantizationType as Type
from gguf_files import write_gguf

from qwen3_chat.models.chat_template import ChatTemplate
from qwen3_chat.models.checkpoint import Checkpoint
from qwen3_chat.models.config import Qwen3Config
from qwen3_chat.models.errors import CheckpointError, ConfigError, Qwen3Error
from qwen3_chat.models.experts import Experts
from qwen3_chat.models.files import is_gguf
from qwen3_chat.models.formats.gguf import GgufFile
from qwen3_chat.models.gguf import GgufModel
from qwen3_chat.models.rope_scaling import YarnScaling
from qwen3_chat.models.tensors import EncodedTensor, RawTensor
from qwen3_chat.models.tokenizer import Tokenizer

SHAPE: dict[str, Any] = {
    "hidden": 64, "heads": 4, "kv_heads": 2, "head_dim": 32, "intermediate": 96, "vocab": 384, "layers": 2,
}  # fmt: skip
TEXTS = (
    "Hello, how are you?",
    "I'LL don't  twice   12345 x+=1;\n\n\tend \r\n",
    "你好，世界。café naïve 😀👍🏽 Привет",
    "e\u0301 becomes é",
    "<|im_start|>user\nHi<|im_end|>\n<think>\n\n</think>",
)


def write(folder: Path, name: str = "model.gguf", **options: Any) -> Path:
    """A small model with a tokenizer, in Q8_0."""
    shape = {**SHAPE, **options.pop("shape", {})}
    make_checkpoint(folder, tokenizer=True, **shape)
    write_gguf(folder / name, folder, lambda name, tensor: Type.Q8_0, **options)
    return folder / name


def refused(path: Path, *words: str, error: type[Qwen3Error] = CheckpointError) -> None:
    with pytest.raises(error) as caught, GgufModel(path) as model:
        model.checkpoint()
    for word in (path.name, *words):
        assert word in str(caught.value)
    assert "\n" not in str(caught.value) and str(caught.value).count(str(path.parent)) == 1


# ---- what is read ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tied", [True, False])
def test_configuration(tmp_path: Path, tied: bool) -> None:
    path = write(tmp_path, shape={"tied": tied})
    expected = Qwen3Config.from_folder(tmp_path)
    with GgufModel(path) as model:
        config = model.config
    for field in ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
                  "head_dim", "intermediate_size", "max_position_embeddings", "rope_theta", "tie_word_embeddings",
                  "eos_token_ids"):  # fmt: skip
        assert getattr(config, field) == getattr(expected, field), field
    assert config.rms_norm_eps == pytest.approx(expected.rms_norm_eps, rel=1e-6)  # the file has it in float32


def test_yarn(tmp_path: Path) -> None:
    keys = {"type": "yarn", "factor": 4.0, "original_context_length": 256, "yarn_beta_fast": 16.0}
    path = write(tmp_path, metadata={f"qwen3.rope.scaling.{key}": value for key, value in keys.items()})
    with GgufModel(path) as model:
        assert model.config.rope_scaling == YarnScaling(4.0, 256, beta_fast=16.0)
        assert model.config.longest_context == 1024


def test_tokenizer_reads_and_writes_as_the_original(tmp_path: Path) -> None:
    original = Tokenizer(byte_level_tokenizer())
    with GgufModel(write(tmp_path)) as model:
        tokenizer = model.tokenizer()
    assert tokenizer.vocab_size == TOKENIZER_SIZE  # padding rows are no tokens
    assert tokenizer.added_tokens == original.added_tokens
    assert tokenizer.special_ids == original.special_ids
    assert (tokenizer.think_open, tokenizer.think_close) == (original.think_open, original.think_close)
    for text in TEXTS:
        ids = original.encode(text)
        assert tokenizer.encode(text) == ids
        assert tokenizer.encode_prompt(text, {}) == original.encode_prompt(text, {})
        assert tokenizer.decode(ids, skip_special=False) == original.decode(ids, skip_special=False)


def test_template(tmp_path: Path) -> None:
    path = write(tmp_path)
    messages = [{"role": "user", "content": "Hello <|im_end|>"}]
    with GgufModel(path) as model:
        tokenizer = model.tokenizer()
        template = model.template(tokenizer)
    original = ChatTemplate.from_folder(tmp_path)
    assert not template.is_fallback
    assert template.render(messages) == original.render(messages)
    assert template.encode(messages, tokenizer) == original.encode(messages, Tokenizer.from_folder(tmp_path))


def test_without_a_template(tmp_path: Path) -> None:
    path = write(tmp_path, metadata={"tokenizer.chat_template": None})
    with GgufModel(path) as model:
        assert model.template(model.tokenizer()).is_fallback


def test_ending(tmp_path: Path) -> None:
    assert is_gguf(tmp_path / "a.gguf") and not is_gguf(tmp_path) and not is_gguf(tmp_path / "gguf")


def test_experts(tmp_path: Path) -> None:
    """All experts of a layer lie in one tensor; each is a matrix of its own here, where it lies."""
    shape = {"experts": ExpertShape(6, 2, 32)}
    path = write(tmp_path, shape=shape)
    with GgufModel(path) as model, Checkpoint.open(tmp_path) as original:
        assert model.config.experts == original.config.experts == Experts(6, 2, 32)
        checkpoint = model.checkpoint()
        found = {(slot, index): tensor for slot, index, tensor in checkpoint.weights()}
        assert found.keys() == {(slot, index) for slot, index, _ in original.weights()}
        last = found["expert_down_proj", 11]  # the sixth of layer 1
        router = found["moe_router", 1]
        assert isinstance(last, EncodedTensor) and isinstance(router, RawTensor)
        raw = np.asarray(last.parts["values"].data).reshape(last.parts["values"].shape)
        near = gguf.dequantize(raw, Type.Q8_0)
        assert np.abs(near - original.tensor("model.layers.1.mlp.experts.5.down_proj.weight").float32()).max() < 0.01
        assert np.array_equal(router.float32(), original.tensor("model.layers.1.mlp.gate.weight").float32())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"metadata": {"qwen3moe.expert_count": None}}, ("qwen3moe.expert_count is missing",)),
        ({"metadata": {"qwen3moe.expert_count": 7}}, ("'blk.0.ffn_gate_exps.weight[6]'", "are missing")),
        ({"metadata": {"qwen3moe.expert_count": 5}}, ("_exps.weight[5]'", "no part of a Qwen3 model")),
        ({"metadata": {"qwen3moe.expert_count": 4000}}, ("too few for qwen3moe.expert_count = 4000",)),
        ({"metadata": {"qwen3moe.expert_used_count": 7}}, ("num_experts_per_tok is 7",)),
        ({"metadata": {"qwen3moe.expert_feed_forward_length": 64}}, ("ffn_gate_exps.weight[0]", "[64, 64]")),
        ({"metadata": {"qwen3moe.block_count": 0}}, ("num_hidden_layers is 0",)),
        ({"rename": {"blk.1.ffn_gate_inp.weight": ""}}, ("'blk.1.ffn_gate_inp.weight' is missing",)),
        ({"rename": {"blk.1.ffn_up_exps.weight": ""}}, ("'blk.1.ffn_up_exps.weight[0]' and 5 more are missing",)),
        ({"rename": {"blk.1.ffn_up_exps.weight": "blk.1.ffn_up.weight"}}, ("'blk.1.ffn_up_exps.weight[0]'",)),
        ({"rename": {"blk.1.ffn_up_exps.weight": "x.mlp.gate_proj.weight"}}, ("'blk.1.ffn_up_exps.weight[0]'",)),
    ],
    ids=lambda value: "".join(str(word) for word in value) if isinstance(value, tuple) else "",
)
def test_experts_that_do_not_fit(tmp_path: Path, options: dict[str, Any], words: tuple[str, ...]) -> None:
    make_checkpoint(tmp_path, **SHAPE, experts=ExpertShape(6, 2, 32))
    write_gguf(tmp_path / "model.gguf", tmp_path, lambda name, tensor: Type.Q8_0, **options)
    refused(tmp_path / "model.gguf", *words, error=Qwen3Error)


def test_a_stack_of_experts_that_holds_nothing_is_not_taken_apart(tmp_path: Path) -> None:
    """However many it says it has: each would be an entry."""
    writer = gguf.GGUFWriter(tmp_path / "model.gguf", "qwen3moe")
    writer.add_tensor_info("blk.0.ffn_gate_exps.weight", (1 << 40, 0, 0), np.dtype(np.float32), 0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    with (tmp_path / "model.gguf").open("ab") as file:
        file.write(bytes(64))  # up to where data would begin
    refused(tmp_path / "model.gguf", "'token_embd.weight' is missing", error=CheckpointError)


# ---- metadata that do not fit ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metadata", "words", "error"),
    [
        ({"general.architecture": "llama"}, ("general.architecture", "llama", "qwen3"), ConfigError),
        ({"general.architecture": "qwen3moe"}, ("qwen3moe.attention.key_length is missing",), ConfigError),
        ({"qwen3.block_count": None}, ("qwen3.block_count is missing",), ConfigError),
        ({"qwen3.block_count": 0}, ("num_hidden_layers is 0",), ConfigError),
        ({"qwen3.block_count": 3}, ("'blk.2.attn_norm.weight' and 10 more are missing",), CheckpointError),
        ({"qwen3.block_count": 2**31 - 1}, ("too few", "block_count"), CheckpointError),
        ({"qwen3.attention.head_count": 3}, ("num_attention_heads (3)",), ConfigError),
        ({"qwen3.attention.value_length": 64}, ("value_length is 64", "key_length is 32"), ConfigError),
        ({"qwen3.rope.dimension_count": 16}, ("rope.dimension_count is 16",), ConfigError),
        ({"qwen3.rope.freq_base": float("inf")}, ("rope_theta",), ConfigError),
        ({"qwen3.rope.scaling.type": "longrope"}, ("rope.scaling.type", "longrope"), ConfigError),
        ({"qwen3.rope.scaling.type": "yarn"}, ("qwen3.rope.scaling.factor is missing",), ConfigError),
        (
            {
                "qwen3.rope.scaling.type": "yarn",
                "qwen3.rope.scaling.factor": -4.0,
                "qwen3.rope.scaling.original_context_length": 256,
            },
            ("qwen3.rope.scaling.factor is -4.0",),
            ConfigError,
        ),
        ({"qwen3.feed_forward_length": "many"}, ("intermediate_size", "many"), ConfigError),
        ({"qwen3.feed_forward_length": 128}, ("ffn_gate.weight", "[96, 64]", "[128, 64]"), CheckpointError),
        ({"tokenizer.ggml.eos_token_id": 10**6}, ("eos_token_id is 1000000",), ConfigError),
    ],
    ids=str,
)
def test_metadata(tmp_path: Path, metadata: dict[str, Any], words: tuple[str, ...], error: type[Qwen3Error]) -> None:
    refused(write(tmp_path, metadata=metadata), *words, error=error)


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"tokenizer.ggml.model": "llama"}, ("tokenizer.ggml.model", "llama", "gpt2")),
        ({"tokenizer.ggml.pre": "default"}, ("tokenizer.ggml.pre", "default", "qwen2")),
        ({"tokenizer.ggml.tokens": None}, ("tokenizer.ggml.tokens is null",)),
        ({"tokenizer.ggml.merges": None}, ("tokenizer.ggml.merges is null",)),
        ({"tokenizer.ggml.token_type": [1, 1]}, ("tokenizer.ggml.token_type",)),
        ({"tokenizer.ggml.merges": ["one two three"]}, ("merges", "one two three", "two tokens")),
        ({"tokenizer.ggml.merges": ["Q7 nowhere"]}, ("no tokenizer",)),
    ],
    ids=str,
)
def test_tokenizers(tmp_path: Path, metadata: dict[str, Any], words: tuple[str, ...]) -> None:
    path = write(tmp_path, metadata=metadata)
    with GgufModel(path) as model, pytest.raises(CheckpointError) as caught:
        model.tokenizer()
    for word in (path.name, *words):
        assert word in str(caught.value)


# ---- tensors that do not fit ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rename", "words"),
    [
        ({"token_embd.weight": ""}, ("'token_embd.weight' is missing",)),
        ({"output_norm.weight": ""}, ("'output_norm.weight' is missing",)),
        ({"blk.1.attn_q_norm.weight": ""}, ("'blk.1.attn_q_norm.weight' is missing",)),
        ({"blk.1.ffn_up.weight": "blk.1.ffn_up_shexp.weight"}, ("'blk.1.ffn_up.weight' is missing",)),
        ({"blk.1.ffn_up.weight": "blk.01.ffn_up.weight"}, ("'blk.1.ffn_up.weight' is missing",)),
    ],
    ids=str,
)
def test_missing_tensors(tmp_path: Path, rename: dict[str, str], words: tuple[str, ...]) -> None:
    refused(write(tmp_path, rename=rename), *words)


def test_unknown_tensor(tmp_path: Path) -> None:
    path = write(tmp_path, metadata={"qwen3.block_count": 1})
    refused(path, "'blk.1.attn_norm.weight' and 10 more are no part of")


@pytest.mark.parametrize("kind", [Type.Q4_1, Type.Q5_1], ids=str)
def test_types_that_are_not_supported(tmp_path: Path, kind: Type) -> None:
    make_checkpoint(tmp_path, **SHAPE, tokenizer=True)
    write_gguf(tmp_path / "model.gguf", tmp_path, lambda name, tensor: kind)
    refused(tmp_path / "model.gguf", "token_embd.weight", kind.name, "Q8_0")


# ---- the container --------------------------------------------------------------------------------------------------


def patch(offset: int, code: str, value: Any) -> Callable[[bytes], bytes]:
    def edit(data: bytes) -> bytes:
        changed = bytearray(data)
        struct.pack_into(code, changed, offset, value)
        return bytes(changed)

    return edit


def tensor_field(name: str, field: str, value: int) -> Callable[[bytes], bytes]:
    """Change a field of a tensor's entry: u32 count, u64 sizes[2], u32 type, u64 offset, behind its name."""
    code, offset = {"count": ("<I", 0), "size": ("<Q", 4), "rows": ("<Q", 12), "type": ("<I", 20),
                    "offset": ("<Q", 24)}[field]  # fmt: skip

    def edit(data: bytes) -> bytes:
        spelled = struct.pack("<Q", len(name)) + name.encode()
        assert data.count(spelled) == 1
        return patch(data.index(spelled) + len(spelled) + offset, code, value)(data)

    return edit


UP = "blk.1.ffn_up.weight"

BROKEN: dict[str, tuple[Callable[[bytes], bytes], tuple[str, ...]]] = {
    "empty": (lambda data: b"", ("cannot be mapped",)),
    "three bytes": (lambda data: data[:3], ("truncated",)),
    "another magic": (lambda data: b"GGML" + data[4:], ("no GGUF file",)),
    "a pickle": (lambda data: b"\x80\x02cos\nsystem\n." + data, ("no GGUF file",)),
    "version 1": (patch(4, "<I", 1), ("version 1", "unknown")),
    "big-endian": (patch(4, ">I", 3), ("big-endian",)),
    "too many tensors": (patch(8, "<Q", 2**60), ("truncated", "tensors")),
    "too many keys": (patch(16, "<Q", 2**60), ("truncated", "metadata keys")),
    "an endless key": (patch(24, "<Q", 2**63), ("truncated", "metadata key")),
    "a key of unknown type": (patch(24 + 8 + len("general.architecture"), "<I", 99), ("type 99",)),
    "cut in the metadata": (lambda data: data[:200], ("truncated",)),
    "cut in the vocabulary": (lambda data: data[: data.index(b"tokenizer.ggml.tokens") + 300], ("truncated",)),
    "cut in the data": (lambda data: data[:-64], ("truncated: ends at byte",)),
    "five dimensions": (tensor_field(UP, "count", 5), (UP, "5 dimensions")),
    "no dimensions": (tensor_field(UP, "count", 0), (UP, "0 dimensions")),
    "rows of broken blocks": (tensor_field(UP, "size", 63), (UP, "rows of 63", "Q8_0 blocks of 32")),
    "rows without end": (tensor_field(UP, "rows", 2**62), (UP, "truncated")),
    "a type nobody knows": (tensor_field(UP, "type", 200), (UP, "type 200 is unknown")),
    "an offset between the lines": (tensor_field(UP, "offset", 33), (UP, "alignment of 32")),
    "an offset far away": (tensor_field(UP, "offset", 2**62), (UP, "truncated")),
    "two tensors in one place": (tensor_field(UP, "offset", 0), ("overlaps",)),
}


@pytest.mark.parametrize(("change", "words"), BROKEN.values(), ids=BROKEN)
def test_broken_files(tmp_path: Path, change: Callable[[bytes], bytes], words: tuple[str, ...]) -> None:
    path = write(tmp_path)
    path.write_bytes(change(path.read_bytes()))
    refused(path, *words)


def test_every_truncation_is_noticed(tmp_path: Path) -> None:
    path = write(tmp_path)
    data = path.read_bytes()
    for length in [*range(1, 2000, 41), *range(2000, len(data), len(data) // 50)]:
        path.write_bytes(data[:length])
        with pytest.raises(Qwen3Error):
            GgufModel(path)


def test_a_text_that_is_no_text(tmp_path: Path) -> None:
    path = write(tmp_path)
    data = path.read_bytes()
    place = data.index(b"general.architecture") + len("general.architecture") + 12
    path.write_bytes(data[:place] + b"\xff" + data[place + 1 :])
    refused(path, "general.architecture", "not UTF-8")


def test_no_such_file(tmp_path: Path) -> None:
    refused(tmp_path / "absent.gguf", "no such file")
    (tmp_path / "folder.gguf").mkdir()
    refused(tmp_path / "folder.gguf", "not a regular file")


# ---- splits ---------------------------------------------------------------------------------------------------------


def split(folder: Path) -> list[Path]:
    write(folder, splits=3)
    return sorted(folder.glob("*.gguf"))


def test_any_split_names_the_model(tmp_path: Path) -> None:
    paths = split(tmp_path)
    assert [path.name for path in paths] == [f"model-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
    for path in paths:
        with Checkpoint.open(path) as checkpoint:
            assert checkpoint.path == paths[0]
            assert checkpoint.file_bytes == sum(path.stat().st_size for path in paths)


def test_a_missing_split(tmp_path: Path) -> None:
    paths = split(tmp_path)
    paths[1].unlink()
    refused(paths[0].with_name("model-00001-of-00003.gguf"), "model-00002-of-00003.gguf: no such file", "one of 3")


def test_a_split_under_another_name(tmp_path: Path) -> None:
    paths = split(tmp_path)
    paths[0].rename(tmp_path / "alone.gguf")
    refused(tmp_path / "alone.gguf", "one of 3 splits")


def test_a_split_twice(tmp_path: Path) -> None:
    paths = split(tmp_path)
    paths[1].write_bytes(paths[2].read_bytes())
    with pytest.raises(CheckpointError, match=r"is also in|missing"):
        Checkpoint.open(paths[0])


def test_metadata_are_plain_values(tmp_path: Path) -> None:
    file = GgufFile(write(tmp_path, metadata={"qwen3.some.list": [1, 2, 3], "qwen3.some.truth": True}))
    assert file.metadata["qwen3.some.list"] == [1, 2, 3]
    assert file.metadata["qwen3.some.truth"] is True
    assert json.dumps(file.metadata["tokenizer.ggml.tokens"])
    file.close()
