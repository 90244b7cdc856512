"""The module that is trained is the model that is run."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from qwen3_chat.models.demo.network import Network
from qwen3_chat.models.reference import Reference


def test_its_weights_make_a_checkpoint_that_says_the_same(tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = Network(
        vocab=50, hidden=24, layers=2, intermediate=40, heads=4, kv_heads=2, head_dim=8, theta=1e4, longest=32
    )
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
            parameter.copy_(parameter.bfloat16())  # as it is saved
    config = {
        "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "vocab_size": 50, "hidden_size": 24,
        "num_hidden_layers": 2, "intermediate_size": 40, "num_attention_heads": 4, "num_key_value_heads": 2,
        "head_dim": 8, "max_position_embeddings": 64, "rms_norm_eps": 1e-6, "rope_theta": 1e4,
        "tie_word_embeddings": True, "torch_dtype": "bfloat16", "hidden_act": "silu", "eos_token_id": 0,
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    save_file(network.weights(), tmp_path / "model.safetensors", {"format": "pt"})
    ids = torch.randint(50, (20,), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        ours = network(ids[None])[0] @ network.embedding.T
    torch.testing.assert_close(ours, Reference.from_checkpoint(tmp_path).forward(ids.tolist()), rtol=1e-4, atol=1e-4)
