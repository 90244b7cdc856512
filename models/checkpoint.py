"""A checkpoint as an iterator of named, shaped, memory-mapped tensors, checked before a weight is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

import numpy as np

from qwen3_chat.models.config import Qwen3Config
from qwen3_chat.models.errors import CheckpointError
from qwen3_chat.models.files import checkpoint_folder, is_gguf
from qwen3_chat.models.formats.quantized import QuantizedMatrices
from qwen3_chat.models.formats.safetensors_folder import open_safetensors
from qwen3_chat.models.tensors import EncodedTensor, Layout, RawTensor, Stored

CONFIG_DTYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}  # a file's word -> a config's word
ENGINE_DTYPES = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}  # a config's word -> the engine's
ITEM_BYTES = {"F32": 4, "F16": 2, "BF16": 2}

GLOBAL = -1  # the layer of a weight that belongs to none


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in the model.

    Attributes:
        name: the engine's API has it for the place.
        layer: `GLOBAL` for none.
        index: the layer, or layer * experts + expert where there are several in one.
    """

    name: str
    layer: int
    index: int
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WeightCounts:
    """How many weights there are, and what the engine makes of them when it is not told otherwise.

    Attributes:
        weights: all that the model computes with, a repeated tied head not counted.
        kept: the engine's type: "f32", "f16", "bf16", or for quantized matrices "int8" or "int4".
        quantized: matrices of the layers are; then each is kept in the integers that it comes closest to.
        four_bit: how many weights of the layers come closest to 4 bits.
    """

    weights: int
    kept: str
    quantized: bool = False
    four_bit: int = 0


@dataclass(frozen=True, slots=True)
class Spelling:
    """What a format calls things, for its errors.

    Attributes:
        configuration: where the shapes come from.
        tensor: a tensor's published name -> the format's.
        matrix: a linear layer -> the published name of the tensor to miss if it has none.
    """

    configuration: str = "config.json"
    tensor: Callable[[str], str] = str
    matrix: Callable[[str], str] = "{}.weight".format


def model_slots(config: Qwen3Config) -> dict[str, Slot]:
    """Tensor name -> slot of every weight the model computes with, in the order it uses them; no head if tied."""
    hidden, head_dim, intermediate = config.hidden_size, config.head_dim, config.intermediate_size
    queries, keys = config.num_attention_heads * head_dim, config.num_key_value_heads * head_dim
    attention: tuple[tuple[str, str, tuple[int, ...]], ...] = (
        ("attn_norm", "input_layernorm", (hidden,)),
        ("attn_q_proj", "self_attn.q_proj", (queries, hidden)),
        ("attn_k_proj", "self_attn.k_proj", (keys, hidden)),
        ("attn_v_proj", "self_attn.v_proj", (keys, hidden)),
        ("attn_q_norm", "self_attn.q_norm", (head_dim,)),
        ("attn_k_norm", "self_attn.k_norm", (head_dim,)),
        ("attn_o_proj", "self_attn.o_proj", (hidden, queries)),
        ("ffn_norm", "post_attention_layernorm", (hidden,)),
    )

    def mlp(size: int) -> tuple[tuple[str, tuple[int, int]], ...]:
        return ("gate_proj", (size, hidden)), ("up_proj", (size, hidden)), ("down_proj", (hidden, size))

    slots = {"model.embed_tokens.weight": Slot("input_embd", GLOBAL, GLOBAL, (config.vocab_size, hidden))}
    for layer in range(config.num_hidden_layers):
        prefix = f"model.layers.{layer}."
        for slot, module, shape in attention:
            slots[f"{prefix}{module}.weight"] = Slot(slot, layer, layer, shape)
        if config.experts is None or not config.is_sparse(layer):
            for name, shape in mlp(intermediate):
                slots[f"{prefix}mlp.{name}.weight"] = Slot(f"mlp_{name}", layer, layer, shape)
            continue
        count = config.experts.count
        slots[f"{prefix}mlp.gate.weight"] = Slot("moe_router", layer, layer, (count, hidden))
        for expert in range(count):
            for name, shape in mlp(config.experts.intermediate_size):
                slots[f"{prefix}mlp.experts.{expert}.{name}.weight"] = Slot(
                    f"expert_{name}", layer, layer * count + expert, shape
                )
    slots["model.norm.weight"] = Slot("output_norm", GLOBAL, GLOBAL, (hidden,))
    if not config.tie_word_embeddings:
        slots["lm_head.weight"] = Slot("output_embd", GLOBAL, GLOBAL, (config.vocab_size, hidden))
    return slots


def check_count(source: Path, config: Qwen3Config, tensors: int, layers: str, experts: str) -> None:
    """Raise if a file names more layers or experts than it has tensors, before a list is made for that many."""
    if config.num_hidden_layers > tensors:
        raise CheckpointError(f"{source}: {tensors} tensors in all, too few for {layers} = {config.num_hidden_layers}")
    if config.experts is not None and config.experts.count * config.sparse_layers > tensors:
        raise CheckpointError(f"{source}: {tensors} tensors in all, too few for {experts} = {config.experts.count}")


class Checkpoint:
    """An open checkpoint; `Checkpoint.open(path)` makes one. Use it in a `with`, or call `close()`.

    Attributes:
        path: the folder.
        config: its configuration, with the dtype that most bytes of the float weights really have.
        nbytes: bytes of the weights the model computes with, a repeated tied head not counted.
        file_bytes: bytes of the files.
        counts: how many weights these are, and of which kind.
    """

    def __init__(
        self, path: Path, config: Qwen3Config, files: Mapping[str, Stored], layouts: Mapping[str, Layout]
    ) -> None:
        """Take over the open `files`, which hold the model's tensors by name: in `layouts`, or else in floats."""
        self.path = path
        self._files = files
        self._layouts = layouts
        self._slots = model_slots(config)
        bytes_of = dict.fromkeys(CONFIG_DTYPES.values(), 0)
        for name in self._slots:
            if name not in layouts:
                bytes_of[CONFIG_DTYPES[files[name].entry.dtype]] += files[name].entry.nbytes
        self.nbytes = sum(bytes_of.values()) + sum(layout.nbytes for layout in layouts.values())
        self.file_bytes = sum(path.stat().st_size for path in {stored.file.path for stored in files.values()})
        self.config = replace(config, dtype=max(bytes_of, key=lambda dtype: bytes_of[dtype]))
        self.counts = self._count()

    @classmethod
    def open(cls, path: str | Path) -> Checkpoint:
        """Map the weights of a folder or a GGUF file, and check that they are those its configuration describes.

        Raises:
            ConfigError: config.json is at fault.
            CheckpointError: the folder, a file or a tensor is; its name is in the message.
        """
        if is_gguf(path):
            from qwen3_chat.models.gguf import GgufModel  # which is made of this module's parts

            model = GgufModel(path)
            try:
                return model.checkpoint()
            except BaseException:
                model.close()
                raise
        folder = checkpoint_folder(path)
        config = Qwen3Config.from_folder(folder)
        files = open_safetensors(folder)
        try:
            return cls(folder, config, files, _layouts(folder, config, files))
        except BaseException:
            close_files(files)
            raise

    def weights(self) -> Iterator[tuple[str, int, RawTensor | EncodedTensor]]:
        """Yield (slot's name, its index, tensor), in the order of use; the index is `GLOBAL` (-1) outside layers."""
        for name, slot in self._slots.items():
            layout = self._layouts.get(name)
            tensor = self.tensor(name) if layout is None else EncodedTensor.of(name, layout)
            yield slot.name, slot.index, tensor

    def tensors(self) -> Iterator[RawTensor]:
        """Yield the tensors the model computes with, in the order of use.

        Raises:
            CheckpointError: some are quantized.
        """
        for name in self._slots:
            yield self.tensor(name)

    def tensor(self, name: str) -> RawTensor:
        """The tensor of that name.

        Raises:
            CheckpointError: there is none, or it is quantized, or the checkpoint was closed.
        """
        stored = self._files.get(name)
        if stored is None or name in self._layouts:
            kind = "float tensor" if name in self._layouts else "tensor"
            raise CheckpointError(f"{self.path}: no {kind} {name!r}")
        return RawTensor(name, stored.entry.dtype, stored.entry.shape, stored.data(), mapped=True)

    def close(self) -> None:
        """Let go of the files; tensors already handed out stay valid."""
        close_files(self._files)

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _count(self) -> WeightCounts:
        sizes = {name: int(np.prod(slot.shape, dtype=np.int64)) for name, slot in self._slots.items()}
        layers = [name for name, slot in self._slots.items() if slot.layer != GLOBAL and len(slot.shape) == 2]
        if not any(name in self._layouts for name in layers):
            first = self._files["model.layers.0.self_attn.q_proj.weight"].entry.dtype
            return WeightCounts(sum(sizes.values()), ENGINE_DTYPES[CONFIG_DTYPES[first]])
        four = sum(sizes[name] for name in layers if name in self._layouts and self._layouts[name].kept == "int4")
        kept = "int4" if 2 * four > sum(sizes[name] for name in layers) else "int8"
        return WeightCounts(sum(sizes.values()), kept, quantized=True, four_bit=four)


def close_files(files: Mapping[str, Stored]) -> None:
    """Let go of every file that holds one of these tensors."""
    for stored in files.values():
        stored.file.close()


def _layouts(folder: Path, config: Qwen3Config, files: Mapping[str, Stored]) -> dict[str, Layout]:
    """How the quantized matrices are stored; raises unless `files` hold exactly the model's tensors."""
    check_count(folder, config, len(files), "num_hidden_layers", "num_experts")
    layouts: dict[str, Layout] = {}
    parts: set[str] = set()
    spelling = Spelling()
    if config.quantization is not None:
        matrices = QuantizedMatrices(files, config.quantization)
        spelling = Spelling(matrix=matrices.main_tensor)
        for name, slot in model_slots(config).items():
            if len(slot.shape) == 2 and (found := matrices.layout(name.removesuffix(".weight"), slot.shape)):
                layouts[name] = found[0]
                parts |= found[1]
    check_tensors(folder, config, files, layouts, ignored=parts, spelling=spelling)
    return layouts


def check_tensors(
    source: Path,
    config: Qwen3Config,
    files: Mapping[str, Stored],
    layouts: Mapping[str, Layout],
    *,
    ignored: set[str],
    spelling: Spelling,
) -> None:
    """Raise unless `files` hold exactly the model's tensors, in the shapes of `config`, quantized ones in `layouts`.

    Args:
        ignored: tensors that are no weights of their own.
    """
    expected = model_slots(config)
    missing = [name for name in expected if name not in files and name not in layouts]
    if missing:
        hint = ""
        if missing == ["lm_head.weight"]:
            hint = "; config.json has tie_word_embeddings false, so the model needs one"
        names = [
            spelling.matrix(name.removesuffix(".weight")) if len(expected[name].shape) == 2 else name
            for name in missing
        ]
        raise CheckpointError(f"{source}: {_named([spelling.tensor(name) for name in names])} missing{hint}")
    if config.tie_word_embeddings and "lm_head.weight" in files:
        expected["lm_head.weight"] = Slot("output_embd", GLOBAL, GLOBAL, expected["model.embed_tokens.weight"].shape)
    unknown = [name for name in files if name not in expected and name not in ignored]
    if unknown:
        raise CheckpointError(
            f"{files[unknown[0]].file.path}: {_named([spelling.tensor(name) for name in unknown])} no part of a "
            f"{'dense ' if config.experts is None else ''}Qwen3 model of this config"
        )
    for name, slot in expected.items():
        if name in layouts:
            continue
        stored = files[name]
        if stored.entry.dtype not in CONFIG_DTYPES:
            raise CheckpointError(
                f"{stored.where}: dtype {stored.entry.dtype} is not supported yet, only {', '.join(CONFIG_DTYPES)} are"
            )
        if stored.entry.shape != slot.shape:
            raise CheckpointError(
                f"{stored.where}: shape {list(stored.entry.shape)}, but {spelling.configuration} makes it "
                f"{list(slot.shape)}"
            )
    if config.tie_word_embeddings and "lm_head.weight" in files:
        _check_repeated_head(config, files)


def _check_repeated_head(config: Qwen3Config, files: Mapping[str, Stored]) -> None:
    """Raise unless the stored copy of a tied head agrees with the embedding in a sample of rows.

    A head that was trained apart differs everywhere, so a few rows tell, and a large file is not read twice for it.
    """
    head, embedding = files["lm_head.weight"], files["model.embed_tokens.weight"]
    same = head.entry.dtype == embedding.entry.dtype
    if same:
        row_bytes = config.hidden_size * ITEM_BYTES[head.entry.dtype]
        head_rows = head.data().reshape(-1, row_bytes)
        embedding_rows = embedding.data().reshape(-1, row_bytes)
        sample = np.linspace(0, config.vocab_size - 1, num=16, dtype=np.int64)
        same = np.array_equal(head_rows[sample], embedding_rows[sample])
    if not same:
        raise CheckpointError(
            f"{head.where} differs from {embedding.entry.name!r}, but config.json has tie_word_embeddings true: set it "
            "to false if the head was trained apart"
        )


def _named(names: list[str]) -> str:
    """ "tensor 'a' is", or "tensor 'a' and 3 more are"."""
    return f"tensor {names[0]!r}" + (f" and {len(names) - 1} more are" if len(names) > 1 else " is")
