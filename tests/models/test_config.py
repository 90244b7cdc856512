from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qwen3_chat.models.config import GenerationDefaults, Qwen3Config
from qwen3_chat.models.errors import CheckpointError, ConfigError
from qwen3_chat.models.experts import Experts
from qwen3_chat.models.rope_scaling import YarnScaling

# config.json as published with the 0.6B model.
PUBLISHED: dict[str, Any] = {
    "architectures": ["Qwen3ForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 151643,
    "eos_token_id": 151645,
    "head_dim": 128,
    "hidden_act": "silu",
    "hidden_size": 1024,
    "initializer_range": 0.02,
    "intermediate_size": 3072,
    "max_position_embeddings": 40960,
    "max_window_layers": 28,
    "model_type": "qwen3",
    "num_attention_heads": 16,
    "num_hidden_layers": 28,
    "num_key_value_heads": 8,
    "rms_norm_eps": 1e-06,
    "rope_scaling": None,
    "rope_theta": 1000000,
    "sliding_window": None,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.51.0",
    "use_cache": True,
    "use_sliding_window": False,
    "vocab_size": 151936,
}
ABSENT = object()

YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}
EXPECTED = Qwen3Config(
    vocab_size=151936,
    hidden_size=1024,
    num_hidden_layers=28,
    num_attention_heads=16,
    num_key_value_heads=8,
    head_dim=128,
    intermediate_size=3072,
    max_position_embeddings=40960,
    rms_norm_eps=1e-6,
    rope_theta=1e6,
    tie_word_embeddings=True,
    dtype="bfloat16",
    eos_token_ids=(151645,),
)


def changed(**fields: object) -> dict[str, Any]:
    data = {**PUBLISHED, **fields}
    return {name: value for name, value in data.items() if value is not ABSENT}


def read(**fields: object) -> Qwen3Config:
    return Qwen3Config.from_dict(changed(**fields), source="config.json")


def refused(**fields: object) -> str:
    with pytest.raises(ConfigError) as caught:
        read(**fields)
    message = str(caught.value)
    assert message.startswith("config.json: ") and "\n" not in message
    return message


def test_published_spelling() -> None:
    config = read()
    assert config == EXPECTED
    assert isinstance(config.rope_theta, float)


def test_transformers5_spelling() -> None:
    config = read(
        rope_theta=ABSENT,
        rope_scaling=ABSENT,
        torch_dtype=ABSENT,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        dtype="bfloat16",
        layer_types=["full_attention"] * 28,
    )
    assert config == EXPECTED


def test_both_spellings_may_agree() -> None:
    assert read(rope_parameters={"rope_type": "default", "rope_theta": 1e6}, dtype="bfloat16") == EXPECTED
    assert read(rope_scaling={"type": "default"}) == EXPECTED
    assert read(rope_parameters=None, dtype=None) == EXPECTED


def test_contradictions_between_the_spellings() -> None:
    assert "rope_parameters.rope_theta is 5e+06, but rope_theta is 1e+06" in refused(
        rope_parameters={"rope_theta": 5e6}
    )
    assert 'torch_dtype is "bfloat16", but dtype is "float32"' in refused(dtype="float32")
    assert "rope_scaling.rope_theta is 2" in refused(rope_scaling={"rope_theta": 2})


@pytest.mark.parametrize(
    "name",
    [
        "vocab_size",
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
        "intermediate_size",
        "max_position_embeddings",
    ],
)
@pytest.mark.parametrize("value", [0, -1, True, 1.0, 64.5, "64", [64], {}, math.nan, math.inf, 2**31, 10**40])
def test_sizes(name: str, value: object) -> None:
    assert f"{name} is " in refused(**{name: value})


@pytest.mark.parametrize("name", ["rms_norm_eps", "rope_theta"])
@pytest.mark.parametrize("value", [0, 0.0, -1e-6, True, "1e-6", [1], math.nan, math.inf, -math.inf, 10**400])
def test_numbers(name: str, value: object) -> None:
    assert f"{name} is " in refused(**{name: value})


@pytest.mark.parametrize(
    "name",
    [
        "vocab_size",
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
        "intermediate_size",
        "max_position_embeddings",
        "rms_norm_eps",
        "rope_theta",
    ],
)
@pytest.mark.parametrize("value", [ABSENT, None])
def test_missing_fields_are_named(name: str, value: object) -> None:
    assert f"{name} is missing" in refused(**{name: value})


def test_missing_without_harm() -> None:
    assert read(tie_word_embeddings=ABSENT) == dataclasses.replace(EXPECTED, tie_word_embeddings=False)
    assert read(torch_dtype=ABSENT).dtype == "float32"
    assert read(eos_token_id=ABSENT).eos_token_ids == ()
    assert read(eos_token_id=None).eos_token_ids == ()
    optional = ("hidden_act", "attention_bias", "use_sliding_window", "sliding_window", "model_type", "rope_scaling")
    assert read(**dict.fromkeys(optional, ABSENT)) == EXPECTED
    assert read(architectures=ABSENT) == EXPECTED


@pytest.mark.parametrize("value", [1, 0, "true", [], {}])
def test_tie_word_embeddings_is_a_truth_value(value: object) -> None:
    assert "tie_word_embeddings is " in refused(tie_word_embeddings=value)


@pytest.mark.parametrize("value", ["float64", "auto", "float8_e4m3fn", 16, ["bfloat16"], True])
def test_dtype(value: object) -> None:
    assert "torch_dtype is " in refused(torch_dtype=value)
    assert "config.json: dtype is " in refused(dtype=value, torch_dtype=ABSENT)


def test_heads() -> None:
    assert "num_attention_heads (15) is not a multiple of num_key_value_heads (8)" in refused(num_attention_heads=15)
    assert "num_attention_heads (4) is not" in refused(num_attention_heads=4)
    assert "head_dim is 127" in refused(head_dim=127)
    assert read(num_key_value_heads=1).num_key_value_heads == 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"architectures": ["LlamaForCausalLM"], "model_type": "llama"},
            "only Qwen3ForCausalLM and Qwen3MoeForCausalLM are",
        ),
        ({"architectures": ["Qwen2ForCausalLM"]}, '["Qwen2ForCausalLM"]'),
        ({"architectures": [], "model_type": ABSENT}, "architectures is missing"),
        ({"architectures": ABSENT, "model_type": ABSENT}, "architectures is missing"),
        ({"architectures": "Qwen3ForCausalLM"}, "expected a list"),
        ({"architectures": [3]}, "expected a list"),
        ({"model_type": "qwen2"}, 'model_type is "qwen2"'),
        ({"model_type": ["qwen3"]}, "model_type is "),
        ({"architectures": ["Qwen3MoeForCausalLM"]}, 'but model_type is "qwen3"'),
        ({"model_type": "qwen3_moe"}, 'architectures is ["Qwen3ForCausalLM"], but model_type is "qwen3_moe"'),
        ({"num_experts": 128}, "num_experts is 128"),
        ({"num_local_experts": 8}, "num_local_experts is 8"),
        ({"quantization_config": {"quant_method": "hqq"}}, 'quantization_config (quant_method "hqq") is not supported'),
        ({"quantization_config": {}}, "quantization_config (quant_method null)"),
        ({"quantization_config": "awq"}, 'quantization_config is "awq", expected an object'),
        ({"hidden_act": "gelu"}, 'hidden_act is "gelu", which is not supported yet, expected "silu"'),
        ({"attention_bias": True}, "attention_bias is true"),
        ({"attention_bias": 0}, "attention_bias is 0"),
        ({"use_sliding_window": True, "sliding_window": 4096}, "use_sliding_window is true"),
        ({"layer_types": ["full_attention"] * 27 + ["sliding_attention"]}, '"sliding_attention", which is not supp'),
        ({"layer_types": ["full_attention"] * 27}, "layer_types has 27 entries, but num_hidden_layers is 28"),
        ({"layer_types": "full_attention"}, "expected a list"),
        ({"layer_types": [["full_attention"]] * 28}, "layer_types holds"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, "rope_scaling.original_max_position_embeddings is "),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, 'rope_scaling.type is "linear", which is not supported'),
        ({"rope_scaling": {"factor": 2.0}}, "rope_scaling.factor is 2.0, which is not supported yet"),
        ({"rope_scaling": YARN | {"factor": 0.5}}, "YaRN's factor is 0.5"),
        ({"rope_scaling": YARN | {"factor": "4"}}, 'rope_scaling.factor is "4", expected a finite number above 0'),
        ({"rope_scaling": YARN | {"beta_fast": 1, "beta_slow": 2}}, "beta_fast is 1 and beta_slow 2"),
        ({"rope_scaling": YARN | {"attention_factor": -1}}, "rope_scaling.attention_factor is -1"),
        ({"rope_scaling": YARN | {"original_max_position_embeddings": 0.5}}, "is 0.5, expected a whole number"),
        ({"rope_scaling": YARN | {"mscale": 1.0}}, "rope_scaling.mscale is 1.0, which is not supported yet"),
        ({"rope_scaling": YARN | {"type": "default"}}, 'rope_type is "yarn", but rope_scaling.type is "default"'),
        ({"rope_scaling": YARN, "rope_parameters": YARN | {"factor": 2.0}}, "different YaRN scalings"),
        ({"rope_parameters": {"rope_theta": 1e6, "partial_rotary_factor": 0.5}}, "partial_rotary_factor is 0.5"),
        ({"rope_parameters": {"full_attention": {"rope_theta": 1e6}}}, "rope_parameters.full_attention is "),
        ({"rope_parameters": {"rope_theta": math.nan}}, "rope_parameters.rope_theta is "),
        ({"rope_parameters": {"rope_theta": None}, "rope_theta": ABSENT}, "rope_theta is missing"),
        ({"rope_parameters": [], "rope_theta": ABSENT}, "rope_parameters is [], expected an object"),
        ({"rope_scaling": "yarn"}, "rope_scaling is "),
    ],
)
def test_what_is_not_supported(fields: dict[str, object], words: str) -> None:
    assert words in refused(**fields)


def test_yarn_in_both_spellings() -> None:
    expected = replace(EXPECTED, rope_scaling=YarnScaling(4.0, 32768))
    assert read(rope_scaling=YARN) == expected
    assert (
        read(rope_scaling={("type" if key == "rope_type" else key): value for key, value in YARN.items()}) == expected
    )
    assert read(rope_theta=ABSENT, rope_scaling=ABSENT, rope_parameters=YARN | {"rope_theta": 1e6}) == expected
    assert read(rope_scaling=YARN, rope_parameters=YARN | {"rope_theta": 1e6}) == expected
    every = read(rope_scaling=YARN | {"beta_fast": 16, "beta_slow": 2, "attention_factor": 1.5, "truncate": True})
    assert every.rope_scaling == YarnScaling(4.0, 32768, 16.0, 2.0, 1.5)


def test_a_written_yarn_makes_the_context_longer_and_bears_no_more() -> None:
    config = read(rope_scaling=YARN)
    assert (config.max_position_embeddings, config.longest_context, config.most_context) == (40960, 131072, 131072)
    assert config.for_context(131072) is config
    with pytest.raises(ConfigError, match="131073 tokens is more than the 131072"):
        config.for_context(131073)


def test_a_context_beyond_the_model_s_own_brings_as_little_yarn_as_it_can() -> None:
    assert EXPECTED.for_context(40960) is EXPECTED
    stretched = EXPECTED.for_context(65536)  # 40960 = 32768 of a prompt and 8192 of a reply
    assert stretched.rope_scaling == YarnScaling(2.0, 32768)
    assert (stretched.longest_context, stretched.for_context(65536)) == (65536, stretched)
    longer = replace(EXPECTED, max_position_embeddings=262144)
    assert longer.for_context(524288).rope_scaling == YarnScaling(2.0, 262144)
    with pytest.raises(ConfigError, match="131073 tokens is more than the 131072 that this model can be taken to"):
        EXPECTED.for_context(131073)


# What the config.json of 30B-A3B says beside the above.
MOE: dict[str, Any] = {
    "architectures": ["Qwen3MoeForCausalLM"],
    "model_type": "qwen3_moe",
    "decoder_sparse_step": 1,
    "mlp_only_layers": [],
    "moe_intermediate_size": 768,
    "norm_topk_prob": True,
    "num_experts": 128,
    "num_experts_per_tok": 8,
    "output_router_logits": False,
    "router_aux_loss_coef": 0.001,
}


def test_experts() -> None:
    config = read(**MOE)
    assert config == replace(EXPECTED, experts=Experts(128, 8, 768))
    assert config.sparse_layers == 28 and config.is_sparse(0) and not EXPECTED.is_sparse(0)
    assert read(**{**MOE, "num_experts": ABSENT, "num_local_experts": 128, "architectures": ABSENT}) == config
    # What is silent is as transformers has it.
    silent = {"norm_topk_prob": ABSENT, "decoder_sparse_step": None, "mlp_only_layers": None}
    assert read(**{**MOE, **silent}).experts == Experts(128, 8, 768, normalised=False)


def test_layers_without_experts() -> None:
    config = read(**{**MOE, "mlp_only_layers": [2, 0]})
    assert config.experts is not None and config.experts.dense_layers == (0, 2)
    assert config.sparse_layers == 26 and [config.is_sparse(layer) for layer in range(4)] == [False, True, False, True]
    every_third = read(**{**MOE, "decoder_sparse_step": 3}).experts
    assert every_third is not None and every_third.dense_layers == tuple(i for i in range(28) if i % 3 != 2)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"num_experts": 0}, "num_experts is 0, expected a whole number from 1"),
        ({"num_experts": ABSENT}, "num_experts is missing"),
        ({"num_experts": True}, "num_experts is true"),
        ({"num_experts": 10**6}, "num_experts is 1000000"),
        ({"num_local_experts": 64}, "num_experts is 128, but num_local_experts is 64"),
        ({"num_experts_per_tok": 129}, "num_experts_per_tok is 129, expected a whole number from 1 to 128"),
        ({"num_experts_per_tok": 0}, "num_experts_per_tok is 0"),
        ({"num_experts_per_tok": ABSENT}, "num_experts_per_tok is missing"),
        ({"moe_intermediate_size": 7.5}, "moe_intermediate_size is 7.5"),
        ({"moe_intermediate_size": None}, "moe_intermediate_size is missing"),
        ({"norm_topk_prob": 1}, "norm_topk_prob is 1, expected true or false"),
        ({"decoder_sparse_step": 0}, "decoder_sparse_step is 0"),
        ({"mlp_only_layers": [28]}, "mlp_only_layers is [28], expected a list of layers from 0 to 27"),
        ({"mlp_only_layers": ["0"]}, "mlp_only_layers is "),
        ({"mlp_only_layers": 3}, "mlp_only_layers is 3"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers is 1000000000"),
        ({"num_hidden_layers": "28"}, 'num_hidden_layers is "28"'),
    ],
)
def test_experts_that_contradict_themselves(fields: dict[str, object], words: str) -> None:
    assert words in refused(**{**MOE, **fields})


def test_unused_settings_do_no_harm() -> None:
    assert read(sliding_window=4096) == EXPECTED  # without use_sliding_window nothing slides
    assert read(quantization_config=None, num_experts=None) == EXPECTED
    assert read(rope_scaling={"rope_type": "default", "partial_rotary_factor": 1.0}) == EXPECTED
    assert read(something_new={"a": 1}) == EXPECTED


def test_eos_ids() -> None:
    assert read(eos_token_id=[151645, 151643, 151645]).eos_token_ids == (151645, 151643)
    assert read(eos_token_id=[]).eos_token_ids == ()
    for wrong in (True, "151645", 1.5, -1, 151936, [1, None], [[1]], {"id": 1}):
        assert "eos_token_id is " in refused(eos_token_id=wrong)


def test_a_config_cannot_be_made_wrong_by_hand() -> None:
    with pytest.raises(ConfigError, match="head_dim is 3"):
        dataclasses.replace(EXPECTED, head_dim=3)
    with pytest.raises(ConfigError, match="dtype is"):
        dataclasses.replace(EXPECTED, dtype="int8")
    with pytest.raises(dataclasses.FrozenInstanceError):
        EXPECTED.head_dim = 64  # type: ignore[misc]


# ---- folders --------------------------------------------------------------------------------------------------------


def folder(tmp_path: Path, config: dict[str, Any] | str | None, generation: dict[str, Any] | str | None = None) -> Path:
    for name, content in (("config.json", config), ("generation_config.json", generation)):
        if content is not None:
            (tmp_path / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return tmp_path


def test_from_folder(tmp_path: Path) -> None:
    assert Qwen3Config.from_folder(folder(tmp_path, PUBLISHED)) == EXPECTED


def test_generation_config_eos_wins(tmp_path: Path) -> None:
    path = folder(tmp_path, PUBLISHED, {"eos_token_id": [151645, 151643]})
    assert Qwen3Config.from_folder(path).eos_token_ids == (151645, 151643)
    folder(tmp_path, changed(eos_token_id=ABSENT), {"eos_token_id": 7})
    assert Qwen3Config.from_folder(path).eos_token_ids == (7,)
    folder(tmp_path, PUBLISHED, {"eos_token_id": None})
    assert Qwen3Config.from_folder(path).eos_token_ids == (151645,)


@pytest.mark.parametrize("eos", [True, "x", 1.5, 151936])
def test_errors_of_generation_config_name_it(tmp_path: Path, eos: object) -> None:
    with pytest.raises(ConfigError, match=r"generation_config\.json: eos_token_id is "):
        Qwen3Config.from_folder(folder(tmp_path, PUBLISHED, {"eos_token_id": eos}))


@pytest.mark.parametrize("content", ["", "[]", "not json", '{"vocab_size": NaN}', '{"vocab_size": 1, "vocab_size": 2}'])
def test_malformed_files_are_named(tmp_path: Path, content: str) -> None:
    with pytest.raises(ConfigError, match=r"/config\.json: "):
        Qwen3Config.from_folder(folder(tmp_path, content))
    for reader in (Qwen3Config.from_folder, GenerationDefaults.from_folder):
        with pytest.raises(ConfigError, match=r"/generation_config\.json: "):
            reader(folder(tmp_path, PUBLISHED, content))


def test_empty_and_absent_folders(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"config\.json: no such file"):
        Qwen3Config.from_folder(tmp_path)
    for reader in (Qwen3Config.from_folder, GenerationDefaults.from_folder):
        with pytest.raises(CheckpointError, match="no such folder"):
            reader(tmp_path / "absent")


# ---- sampling defaults ----------------------------------------------------------------------------------------------


def defaults(tmp_path: Path, generation: dict[str, Any] | None) -> GenerationDefaults:
    return GenerationDefaults.from_folder(folder(tmp_path, None, generation))


def test_generation_defaults(tmp_path: Path) -> None:
    assert defaults(tmp_path, None) == GenerationDefaults()
    assert defaults(tmp_path, {"bos_token_id": 1, "temperature": None}) == GenerationDefaults()
    published = {"do_sample": True, "temperature": 0.6, "top_k": 20, "top_p": 0.95}
    assert defaults(tmp_path, published) == GenerationDefaults(temperature=0.6, top_k=20, top_p=0.95)
    every = {
        "temperature": 1,
        "top_k": 0,
        "top_p": 1,
        "min_p": 0.05,
        "presence_penalty": -1.5,
        "repetition_penalty": 1.05,
    }
    assert dataclasses.asdict(defaults(tmp_path, every)) == every


def test_do_sample_false_is_greedy(tmp_path: Path) -> None:
    assert defaults(tmp_path, {"do_sample": False, "temperature": 0.6}).temperature == 0
    assert defaults(tmp_path, {"do_sample": False}).temperature == 0


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("temperature", [-0.1, "1", True, [1], 1e400]),
        ("top_k", [-1, 1.5, True, "20", 2**31]),
        ("top_p", [0, -0.5, 1.01, True, "1"]),
        ("min_p", [-0.01, 1.5, False]),
        ("presence_penalty", [-2.5, 3, True]),
        ("repetition_penalty", [0, -1, True, "1"]),
        ("do_sample", [1, "true"]),
    ],
)
def test_generation_values_out_of_range(tmp_path: Path, name: str, values: list[Any]) -> None:
    for value in values:
        text = json.dumps({name: value}).replace("Infinity", "1e400")
        with pytest.raises(ConfigError, match=rf"generation_config\.json: {name} is "):
            GenerationDefaults.from_folder(folder(tmp_path, None, text))
