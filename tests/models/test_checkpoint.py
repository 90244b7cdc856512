from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoints import make_checkpoint, random_weights, write_weights
from safetensors.torch import load_file, save_file

from qwen3_chat.models.checkpoint import GLOBAL, Checkpoint, model_slots
from qwen3_chat.models.errors import CheckpointError, ConfigError
from qwen3_chat.models.formats.safetensors_folder import INDEX_FILE, SINGLE_FILE
from qwen3_chat.models.tensors import RawTensor

SHAPE: dict[str, Any] = {
    "hidden": 32,
    "layers": 2,
    "heads": 4,
    "kv_heads": 2,
    "head_dim": 16,
    "intermediate": 48,
    "vocab": 67,
}
LAYER_SLOTS = [
    "attn_norm",
    "attn_q_proj",
    "attn_k_proj",
    "attn_v_proj",
    "attn_q_norm",
    "attn_k_norm",
    "attn_o_proj",
    "ffn_norm",
    "mlp_gate_proj",
    "mlp_up_proj",
    "mlp_down_proj",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_checkpoint(tmp_path / "model", **SHAPE)


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    return make_checkpoint(tmp_path / "sharded", **SHAPE, shards=3)


def refused(folder: Path, *words: str) -> str:
    with pytest.raises(CheckpointError) as caught:
        Checkpoint.open(folder)
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def edit_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    tensors = load_file(folder / SINGLE_FILE)
    change(tensors)
    save_file(tensors, folder / SINGLE_FILE)


def edit_json(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


# ---- what is read ---------------------------------------------------------------------------------------------------


def test_slots_in_the_order_of_use(folder: Path) -> None:
    with Checkpoint.open(folder) as checkpoint:
        slots = [(slot, layer) for slot, layer, _ in checkpoint.weights()]
    layers = [(slot, layer) for layer in range(2) for slot in LAYER_SLOTS]
    assert slots == [("input_embd", GLOBAL), *layers, ("output_norm", GLOBAL)]


def test_untied_head_comes_last(tmp_path: Path) -> None:
    with Checkpoint.open(make_checkpoint(tmp_path, **SHAPE, tied=False)) as checkpoint:
        *_, (slot, layer, raw) = checkpoint.weights()
    assert (slot, layer, raw.name, raw.shape) == ("output_embd", GLOBAL, "lm_head.weight", (67, 32))


@pytest.mark.parametrize("shards", [1, 2, 5])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_values(checkpoint: Callable[..., Path], dtype: str, shards: int) -> None:
    written = dict(random_weights(**SHAPE, tied=True, seed=0))
    with Checkpoint.open(checkpoint(**SHAPE, dtype=dtype, shards=shards)) as opened:
        read = {raw.name: raw for raw in opened.tensors()}
        assert opened.config.dtype == dtype
        assert opened.nbytes == sum(raw.data.nbytes for raw in read.values())
    assert read.keys() == written.keys()
    for name, raw in read.items():
        rounded = torch.tensor(written[name]).to(getattr(torch, dtype)).float().numpy()
        assert raw.mapped and not raw.data.flags.writeable and raw.data.ndim == 1
        assert raw.dtype == {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}[dtype]
        np.testing.assert_array_equal(raw.float32(), rounded)


def test_shapes_come_from_head_dim(folder: Path) -> None:
    with Checkpoint.open(folder) as checkpoint:
        shapes = {slot: raw.shape for slot, _, raw in checkpoint.weights()}
        assert shapes == {slot.name: slot.shape for slot in model_slots(checkpoint.config).values()}
    assert shapes["attn_q_proj"] == (64, 32) and shapes["attn_o_proj"] == (32, 64) and shapes["attn_k_norm"] == (16,)


def test_config_dtype_is_what_the_files_hold(folder: Path) -> None:
    edit_json(folder / "config.json", lambda config: config.update(torch_dtype="bfloat16"))
    with Checkpoint.open(folder) as checkpoint:
        assert checkpoint.config.dtype == "float32"


def test_tensor_by_name(folder: Path) -> None:
    with Checkpoint.open(folder) as checkpoint:
        assert checkpoint.tensor("model.norm.weight").shape == (32,)
        with pytest.raises(CheckpointError, match=r"no tensor 'lm_head\.weight'"):
            checkpoint.tensor("lm_head.weight")


def test_closing(folder: Path) -> None:
    checkpoint = Checkpoint.open(folder)
    raw = checkpoint.tensor("model.norm.weight")
    expected = raw.float32()
    checkpoint.close()
    checkpoint.close()
    np.testing.assert_array_equal(raw.float32(), expected)
    with pytest.raises(CheckpointError, match="was closed"):
        checkpoint.tensor("model.norm.weight")


def test_float32_of_every_bfloat16_and_float16() -> None:
    bits = np.arange(2**16, dtype=np.uint16)
    for dtype, kind in (("BF16", torch.bfloat16), ("F16", torch.float16)):
        raw = RawTensor("all", dtype, (256, 256), bits.view(np.uint8), mapped=False)
        expected = torch.from_numpy(bits.view(np.int16)).view(kind).float().reshape(256, 256).numpy()
        np.testing.assert_array_equal(raw.float32(), expected)


def test_data_at_odd_addresses() -> None:
    buffer = np.frombuffer(b"\0" + np.arange(4, dtype="<f4").tobytes(), np.uint8)
    raw = RawTensor("odd", "F32", (2, 2), buffer[1:], mapped=False)
    np.testing.assert_array_equal(raw.float32(), [[0, 1], [2, 3]])


# ---- the head -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_repeated_tied_head_is_dropped(tmp_path: Path, dtype: str, shards: int) -> None:
    plain = make_checkpoint(tmp_path / "plain", **SHAPE, dtype=dtype)
    repeated = make_checkpoint(tmp_path / "repeated", **SHAPE, dtype=dtype, lm_head="repeat", shards=shards)
    with Checkpoint.open(plain) as one, Checkpoint.open(repeated) as two:
        assert one.nbytes == two.nbytes
        for (slot, layer, a), (slot_2, layer_2, b) in zip(one.weights(), two.weights(), strict=True):
            assert (slot, layer) == (slot_2, layer_2)
            np.testing.assert_array_equal(a.data, b.data)


def test_tied_head_that_differs(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path, **SHAPE, tied=False)
    edit_json(folder / "config.json", lambda config: config.update(tie_word_embeddings=True))
    refused(folder, "model.safetensors", "'lm_head.weight' differs from 'model.embed_tokens.weight'")


def test_tied_head_of_another_type_or_shape(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path, **SHAPE, lm_head="repeat")
    edit_weights(folder, lambda tensors: tensors.update({"lm_head.weight": tensors["lm_head.weight"].half()}))
    refused(folder, "'lm_head.weight' differs")
    edit_weights(folder, lambda tensors: tensors.update({"lm_head.weight": torch.zeros(66, 32)}))
    refused(folder, "'lm_head.weight'", "[66, 32]", "[67, 32]")


def test_untied_head_that_is_missing(folder: Path) -> None:
    edit_json(folder / "config.json", lambda config: config.update(tie_word_embeddings=False))
    refused(folder, "'lm_head.weight' is missing", "tie_word_embeddings false")


# ---- tensors that do not fit ----------------------------------------------------------------------------------------

NAMES = [name for name, _ in random_weights(**SHAPE, tied=False, seed=0)]


@pytest.mark.parametrize("name", NAMES)
def test_every_missing_tensor_and_wrong_shape_is_named(tmp_path: Path, name: str) -> None:
    folder = make_checkpoint(tmp_path, **SHAPE, tied=False)
    tensors = dict(random_weights(**SHAPE, tied=False, seed=0))
    tensor = tensors.pop(name)
    write_weights(folder, tensors)
    refused(folder, f"tensor '{name}' is missing")
    write_weights(folder, {**tensors, name: tensor[:-1]})
    refused(folder, "model.safetensors", f"tensor '{name}': shape {[tensor.shape[0] - 1, *tensor.shape[1:]]}", "makes")
    write_weights(folder, {**tensors, name: tensor[..., None]})
    refused(folder, f"tensor '{name}': shape")


def test_several_missing_tensors(folder: Path) -> None:
    edit_json(folder / "config.json", lambda config: config.update(num_hidden_layers=3))
    refused(folder, "tensor 'model.layers.2.input_layernorm.weight' and 10 more are missing")


def test_absurd_layer_count(folder: Path) -> None:
    edit_json(folder / "config.json", lambda config: config.update(num_hidden_layers=2**31 - 1))
    refused(folder, "24 tensors in all, too few for num_hidden_layers = 2147483647")


@pytest.mark.parametrize(
    "name",
    [
        "model.layers.2.input_layernorm.weight",
        "model.layers.0.self_attn.q_proj.bias",
        "model.layers.0.mlp.gate_proj.weight_scale_inv",
        "model.layers.00.mlp.gate_proj.weight",
        "model.vision.weight",
        "score.weight",
        "",
    ],
)
def test_unknown_tensors_are_named(folder: Path, name: str) -> None:
    edit_weights(folder, lambda tensors: tensors.update({name: torch.zeros(1)}))
    refused(folder, "model.safetensors", f"tensor {name!r} is no part of")


@pytest.mark.parametrize("dtype", [torch.float64, torch.int8, torch.int32, torch.float8_e4m3fn])
def test_other_dtypes(folder: Path, dtype: torch.dtype) -> None:
    name = "model.layers.1.mlp.up_proj.weight"
    edit_weights(folder, lambda tensors: tensors.update({name: tensors[name].to(dtype)}))
    refused(folder, "model.safetensors", f"tensor '{name}': dtype", "not supported yet")


# ---- files ----------------------------------------------------------------------------------------------------------


def test_no_weights(folder: Path) -> None:
    (folder / SINGLE_FILE).unlink()
    refused(folder, "neither model.safetensors nor model.safetensors.index.json is there")


@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "consolidated.00.pth", "model.pt", "pytorch_model-00001-of-2.bin"]
)
def test_pickles_are_never_opened(folder: Path, name: str) -> None:
    (folder / SINGLE_FILE).unlink()
    (folder / name).write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    refused(folder, f"{name} is a pickle", "never read", "save_pretrained")
    assert not (folder / "pwned").exists()


def test_other_formats(folder: Path) -> None:
    (folder / SINGLE_FILE).rename(folder / "model-00001-of-00002.safetensors")
    refused(folder, "model-00001-of-00002.safetensors is there", "download the index")
    (folder / "model-00001-of-00002.safetensors").rename(folder / "qwen3.gguf")
    refused(folder, "qwen3.gguf is GGUF", f"--model {folder / 'qwen3.gguf'}")


def test_empty_and_absent_folder(tmp_path: Path) -> None:
    refused(tmp_path / "absent", "no such folder")
    with pytest.raises(ConfigError, match=r"config\.json: no such file"):
        Checkpoint.open(tmp_path)


def test_config_errors_come_first(folder: Path) -> None:
    (folder / SINGLE_FILE).write_bytes(b"garbage")
    edit_json(folder / "config.json", lambda config: config.update(num_attention_heads=0))
    with pytest.raises(ConfigError, match="num_attention_heads is 0"):
        Checkpoint.open(folder)


def test_truncated_file(folder: Path) -> None:
    path = folder / SINGLE_FILE
    path.write_bytes(path.read_bytes()[:-100])
    refused(folder, "model.safetensors: truncated: tensor '")


def test_single_file_goes_before_an_index(folder: Path) -> None:
    (folder / INDEX_FILE).write_text("garbage")
    Checkpoint.open(folder).close()


def test_linked_files_are_followed(tmp_path: Path, folder: Path) -> None:
    blob = tmp_path / "blob"
    (folder / SINGLE_FILE).rename(blob)
    (folder / SINGLE_FILE).symlink_to(blob)
    Checkpoint.open(folder).close()


# ---- the index ------------------------------------------------------------------------------------------------------

SHARD = "model-00002-of-00003.safetensors"


def test_missing_shard(sharded: Path) -> None:
    (sharded / SHARD).unlink()
    refused(sharded, f"{SHARD}: no such file", "a shard is missing")


def test_broken_shard(sharded: Path) -> None:
    (sharded / SHARD).write_bytes(b"")
    refused(sharded, f"{SHARD}: truncated")


@pytest.mark.parametrize(
    "file",
    [
        "../outside.safetensors",
        "/etc/outside.safetensors",
        "sub/inside.safetensors",
        "..\\outside.safetensors",
        "C:outside.safetensors",
        "..",
        "",
        "model.bin",
        "a\0.safetensors",
        7,
        None,
        ["model.safetensors"],
    ],
)
def test_index_names_files_in_the_folder_only(sharded: Path, file: object) -> None:
    def change(index: dict[str, Any]) -> None:
        index["weight_map"]["model.norm.weight"] = file

    edit_json(sharded / INDEX_FILE, change)
    refused(sharded, "model.safetensors.index.json: weight_map['model.norm.weight'] is", "expected the name")


@pytest.mark.parametrize("weight_map", [None, [], {}, "x"])
def test_malformed_weight_map(sharded: Path, weight_map: object) -> None:
    edit_json(sharded / INDEX_FILE, lambda index: index.update(weight_map=weight_map))
    refused(sharded, "index.json: weight_map is")


def test_malformed_index(sharded: Path) -> None:
    (sharded / INDEX_FILE).write_text('{"weight_map": {"a": "x", "a": "y"}}')
    refused(sharded, "index.json: 'a' appears twice")


def test_tensor_in_two_shards(sharded: Path) -> None:
    tensors = load_file(sharded / SHARD)
    tensors["model.norm.weight"] = torch.ones(32)
    save_file(tensors, sharded / SHARD)
    refused(sharded, "model-00003-of-00003.safetensors: tensor 'model.norm.weight' is also in " + SHARD)


def test_tensor_the_index_does_not_know(sharded: Path) -> None:
    edit_json(sharded / INDEX_FILE, lambda index: index["weight_map"].pop("model.norm.weight"))
    refused(sharded, "model-00003-of-00003.safetensors: tensor 'model.norm.weight' is not in", INDEX_FILE)


def test_tensor_in_another_shard_than_the_index_says(sharded: Path) -> None:
    edit_json(sharded / INDEX_FILE, lambda index: index["weight_map"].update({"model.norm.weight": SHARD}))
    refused(sharded, f"{SHARD}: tensor 'model.norm.weight' is not in it")


def test_tensor_only_the_index_knows(sharded: Path) -> None:
    edit_json(sharded / INDEX_FILE, lambda index: index["weight_map"].update({"model.extra": SHARD}))
    refused(sharded, f"{SHARD}: tensor 'model.extra' is not in it")


@pytest.fixture(autouse=True)
def nothing_stays_mapped(tmp_path: Path) -> Iterator[None]:
    yield
    gc.collect()  # tracebacks hold views
    assert str(tmp_path) not in Path("/proc/self/maps").read_text()
