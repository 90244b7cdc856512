"""A checkpoint folder as an iterator of named, shaped, memory-mapped tensors, checked before a weight is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import TracebackType
from typing import Any

import numpy as np

from qwen3_chat.models.config import Qwen3Config
from qwen3_chat.models.errors import CheckpointError
from qwen3_chat.models.files import checkpoint_folder, describe, file_exists, read_json
from qwen3_chat.models.formats.safetensors import SafetensorsFile

SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
PICKLE_ENDINGS = (".bin", ".pt", ".pth", ".ckpt", ".pkl")

CONFIG_DTYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}  # a file's word -> a config's word
ITEM_BYTES = {"F32": 4, "F16": 2, "BF16": 2}

GLOBAL = -1  # the layer of a weight that belongs to none


@dataclass(frozen=True, slots=True)
class RawTensor:
    """A weight as the file stores it.

    Attributes:
        dtype: "F32", "F16" or "BF16".
        data: [nbytes] uint8, little-endian, row-major, read-only, at any alignment.
        mapped: `data` is a view of a read-only file mapping, so its pages may be dropped: they come back from the file.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    data: np.ndarray[Any, np.dtype[np.uint8]]
    mapped: bool

    def float32(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        """A float32 copy of shape `shape`; exact, as every stored type is part of float32."""
        if self.dtype == "BF16":  # the upper half of a float32
            bits = np.frombuffer(self.data, "<u2").astype(np.uint32) << 16
            return bits.view(np.float32).reshape(self.shape)
        stored = np.frombuffer(self.data, "<f4" if self.dtype == "F32" else "<f2")
        return stored.astype(np.float32).reshape(self.shape)


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in the model: the name the engine's API has for it, its layer (`GLOBAL` for none) and its shape."""

    name: str
    layer: int
    shape: tuple[int, ...]


def model_slots(config: Qwen3Config) -> dict[str, Slot]:
    """Tensor name -> slot of every weight the model computes with, in the order it uses them; no head if tied."""
    hidden, head_dim, intermediate = config.hidden_size, config.head_dim, config.intermediate_size
    queries, keys = config.num_attention_heads * head_dim, config.num_key_value_heads * head_dim
    per_layer: tuple[tuple[str, str, tuple[int, ...]], ...] = (
        ("attn_norm", "input_layernorm", (hidden,)),
        ("attn_q_proj", "self_attn.q_proj", (queries, hidden)),
        ("attn_k_proj", "self_attn.k_proj", (keys, hidden)),
        ("attn_v_proj", "self_attn.v_proj", (keys, hidden)),
        ("attn_q_norm", "self_attn.q_norm", (head_dim,)),
        ("attn_k_norm", "self_attn.k_norm", (head_dim,)),
        ("attn_o_proj", "self_attn.o_proj", (hidden, queries)),
        ("ffn_norm", "post_attention_layernorm", (hidden,)),
        ("mlp_gate_proj", "mlp.gate_proj", (intermediate, hidden)),
        ("mlp_up_proj", "mlp.up_proj", (intermediate, hidden)),
        ("mlp_down_proj", "mlp.down_proj", (hidden, intermediate)),
    )
    slots = {"model.embed_tokens.weight": Slot("input_embd", GLOBAL, (config.vocab_size, hidden))}
    for layer in range(config.num_hidden_layers):
        for slot, module, shape in per_layer:
            slots[f"model.layers.{layer}.{module}.weight"] = Slot(slot, layer, shape)
    slots["model.norm.weight"] = Slot("output_norm", GLOBAL, (hidden,))
    if not config.tie_word_embeddings:
        slots["lm_head.weight"] = Slot("output_embd", GLOBAL, (config.vocab_size, hidden))
    return slots


class Checkpoint:
    """An open checkpoint folder; `Checkpoint.open(path)` makes one. Use it in a `with`, or call `close()`.

    Attributes:
        path: the folder.
        config: its configuration, with the dtype that most bytes of the weights really have.
        nbytes: bytes of the weights the model computes with, a repeated tied head not counted.
    """

    def __init__(self, path: Path, config: Qwen3Config, files: dict[str, SafetensorsFile]) -> None:
        """Take over the open `files`, which hold each tensor of the model by name."""
        self.path = path
        self._files = files
        self._slots = model_slots(config)
        bytes_of = dict.fromkeys(CONFIG_DTYPES.values(), 0)
        for name in self._slots:
            entry = files[name].entries[name]
            bytes_of[CONFIG_DTYPES[entry.dtype]] += entry.end - entry.begin
        self.nbytes = sum(bytes_of.values())
        self.config = replace(config, dtype=max(bytes_of, key=lambda dtype: bytes_of[dtype]))

    @classmethod
    def open(cls, path: str | Path) -> Checkpoint:
        """Map the weights of a folder and check that they are those its config.json describes.

        Raises:
            ConfigError: config.json is at fault.
            CheckpointError: the folder, a file or a tensor is; its name is in the message.
        """
        folder = checkpoint_folder(path)
        config = Qwen3Config.from_folder(folder)
        files = _open_files(folder)
        try:
            _check_tensors(folder, config, files)
            return cls(folder, config, files)
        except BaseException:
            _close(files.values())
            raise

    def weights(self) -> Iterator[tuple[str, int, RawTensor]]:
        """Yield (slot, layer, tensor), in the order of use; layer is `GLOBAL` (-1) outside the layers."""
        for name, slot in self._slots.items():
            yield slot.name, slot.layer, self.tensor(name)

    def tensors(self) -> Iterator[RawTensor]:
        """Yield the tensors the model computes with, in the order of use."""
        for name in self._slots:
            yield self.tensor(name)

    def tensor(self, name: str) -> RawTensor:
        """The tensor of that name.

        Raises:
            CheckpointError: there is none, or the checkpoint was closed.
        """
        file = self._files.get(name)
        if file is None:
            raise CheckpointError(f"{self.path}: no tensor {name!r}")
        entry = file.entries[name]
        return RawTensor(name, entry.dtype, entry.shape, file.data(name), mapped=True)

    def close(self) -> None:
        """Let go of the files; tensors already handed out stay valid."""
        _close(self._files.values())

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _open_files(folder: Path) -> dict[str, SafetensorsFile]:
    """Tensor name -> the open file that holds it."""
    if file_exists(folder / SINGLE_FILE, CheckpointError):  # comes first in transformers, too
        single = SafetensorsFile(folder / SINGLE_FILE)
        return dict.fromkeys(single.entries, single)
    if not file_exists(folder / INDEX_FILE, CheckpointError):
        raise CheckpointError(f"{folder}: {_what_instead(folder)}")
    index_path = folder / INDEX_FILE
    weight_map = _weight_map(index_path)
    files: dict[str, SafetensorsFile] = {}
    opened: list[SafetensorsFile] = []
    try:
        for shard in sorted(set(weight_map.values())):
            if not file_exists(folder / shard, CheckpointError):
                raise CheckpointError(f"{folder / shard}: no such file, but {INDEX_FILE} names it: a shard is missing")
            file = SafetensorsFile(folder / shard)
            opened.append(file)
            for name in file.entries:
                if name in files:
                    raise CheckpointError(f"{file.path}: tensor {name!r} is also in {files[name].path.name}")
                if name not in weight_map:
                    raise CheckpointError(f"{file.path}: tensor {name!r} is not in {INDEX_FILE}")
                files[name] = file
        for name, shard in weight_map.items():
            if name not in files or files[name].path.name != shard:
                raise CheckpointError(f"{folder / shard}: tensor {name!r} is not in it, but {INDEX_FILE} says so")
    except BaseException:
        _close(opened)
        raise
    return files


def _weight_map(index_path: Path) -> dict[str, str]:
    """The index's tensor name -> file name, the latter bare names in the same folder."""
    weight_map = read_json(index_path, CheckpointError).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{index_path}: weight_map is {describe(weight_map)}, expected an object of file names")
    for name, file in weight_map.items():
        if (
            not isinstance(file, str)
            or not file.endswith(".safetensors")
            or "\0" in file
            or file != PurePosixPath(file).name
            or file != PureWindowsPath(file).name
        ):
            raise CheckpointError(
                f"{index_path}: weight_map[{name!r}] is {describe(file)}, expected the name of a .safetensors file in "
                "the same folder"
            )
    return weight_map


def _what_instead(folder: Path) -> str:
    """Why a folder without safetensors under the expected names cannot be opened, and what to do."""
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except OSError as cause:
        return f"cannot be listed: {cause.strerror}"
    for name in names:
        if name.endswith(".safetensors"):
            return f"{name} is there, but neither {SINGLE_FILE} nor {INDEX_FILE}: download the index, too"
    for name in names:
        if name.endswith(PICKLE_ENDINGS):
            return (
                f"{name} is a pickle, which can run any code when opened, so it is never read; convert it in a place "
                "you trust with transformers' from_pretrained(...).save_pretrained(...), which writes safetensors"
            )
    for name in names:
        if name.endswith(".gguf"):
            return f"{name} is GGUF, which is not supported yet; use the safetensors files of the same model"
    return f"neither {SINGLE_FILE} nor {INDEX_FILE} is there"


def _check_tensors(folder: Path, config: Qwen3Config, files: dict[str, SafetensorsFile]) -> None:
    """Raise unless `files` hold exactly the model's tensors, in float types and the shapes of `config`."""
    if config.num_hidden_layers > len(files):  # before a list is made for as many layers as a file dares to say
        raise CheckpointError(
            f"{folder}: {len(files)} tensors in all, too few for num_hidden_layers = {config.num_hidden_layers}"
        )
    expected = model_slots(config)
    missing = [name for name in expected if name not in files]
    if missing:
        hint = ""
        if missing == ["lm_head.weight"]:
            hint = "; config.json has tie_word_embeddings false, so the model needs one"
        raise CheckpointError(f"{folder}: {_named(missing)} missing{hint}")
    if config.tie_word_embeddings and "lm_head.weight" in files:
        expected["lm_head.weight"] = Slot("output_embd", GLOBAL, expected["model.embed_tokens.weight"].shape)
    unknown = [name for name in files if name not in expected]
    if unknown:
        raise CheckpointError(
            f"{files[unknown[0]].path}: {_named(unknown)} no part of a dense Qwen3 model of this config"
        )
    for name, slot in expected.items():
        entry = files[name].entries[name]
        if entry.dtype not in CONFIG_DTYPES:
            raise CheckpointError(
                f"{files[name].path}: tensor {name!r}: dtype {entry.dtype} is not supported yet, only "
                f"{', '.join(CONFIG_DTYPES)} are"
            )
        if entry.shape != slot.shape:
            raise CheckpointError(
                f"{files[name].path}: tensor {name!r}: shape {list(entry.shape)}, but config.json makes it "
                f"{list(slot.shape)}"
            )
    if config.tie_word_embeddings and "lm_head.weight" in files:
        _check_repeated_head(config, files)


def _check_repeated_head(config: Qwen3Config, files: dict[str, SafetensorsFile]) -> None:
    """Raise unless the stored copy of a tied head agrees with the embedding in a sample of rows.

    A head that was trained apart differs everywhere, so a few rows tell, and a large file is not read twice for it.
    """
    head, embedding = "lm_head.weight", "model.embed_tokens.weight"
    head_entry, embedding_entry = files[head].entries[head], files[embedding].entries[embedding]
    same = head_entry.dtype == embedding_entry.dtype
    if same:
        row_bytes = config.hidden_size * ITEM_BYTES[head_entry.dtype]
        head_rows = files[head].data(head).reshape(-1, row_bytes)
        embedding_rows = files[embedding].data(embedding).reshape(-1, row_bytes)
        sample = np.linspace(0, config.vocab_size - 1, num=16, dtype=np.int64)
        same = np.array_equal(head_rows[sample], embedding_rows[sample])
    if not same:
        raise CheckpointError(
            f"{files[head].path}: tensor {head!r} differs from {embedding!r}, but config.json has tie_word_embeddings "
            "true: set it to false if the head was trained apart"
        )


def _named(names: list[str]) -> str:
    """ "tensor 'a' is", or "tensor 'a' and 3 more are"."""
    return f"tensor {names[0]!r}" + (f" and {len(names) - 1} more are" if len(names) > 1 else " is")


def _close(files: Iterable[SafetensorsFile]) -> None:
    for file in files:
        file.close()
