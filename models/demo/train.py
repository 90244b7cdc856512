"""Train the bundled checkpoint: `python -m qwen3_chat.models.demo.train --out FOLDER`, or `make demo-model`.

A placeholder, trained in minutes: a small Qwen3 (see SHAPE) that has seen some thousands of generated conversations.
Seeds and the number of steps are fixed, so that a run can be repeated.
"""

import argparse
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 (the name the field uses)
from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers, trainers
from tokenizers.models import BPE
from torch import Tensor
from transformers import Qwen3Config, Qwen3ForCausalLM

from .dialogues import Dialogue, dialogue, render
from .topics import CHINESE_NAMES, NAMES

VOCABULARY = 2048
SHAPE = {
    "hidden_size": 192,
    "num_hidden_layers": 4,
    "intermediate_size": 512,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "max_position_embeddings": 2048,
}
ROPE_THETA = 10_000.0
RMS_EPSILON = 1e-6
LONGEST = 512  # tokens of a conversation that are kept

END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
THINK_OPEN, THINK_CLOSE = "<think>", "</think>"
# Qwen's split: contractions, words with the character before them, single digits, punctuation, white space.
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)

Sample = tuple[list[int], list[bool]]  # token ids, and whether each is to be predicted


def train_tokenizer(seed: int) -> Tokenizer:
    """Return a byte-level BPE of VOCABULARY tokens with Qwen3's special tokens, trained on generated conversations."""
    tokenizer = Tokenizer(BPE())
    tokenizer.normalizer = normalizers.NFC()
    split = pre_tokenizers.Split(Regex(SPLIT), "isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    rng = Random(seed)

    def texts() -> Iterator[str]:
        for _ in range(20_000):
            for turn in dialogue(rng).turns:
                yield from (turn.question, turn.thinking, turn.answer)
        # A name is one token, so that recalling it copies one token.
        yield from (f" {name}" for name in NAMES for _ in range(500))
        yield from (name for name in CHINESE_NAMES for _ in range(500))

    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - 5,
        min_frequency=2,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts(), trainer)
    tokenizer.add_special_tokens([END_OF_TEXT, TURN_START, TURN_END])
    tokenizer.add_tokens([AddedToken(text, special=False, normalized=False) for text in (THINK_OPEN, THINK_CLOSE)])
    return tokenizer


def encode(tokenizer: Tokenizer, talk: Dialogue, *, thinking: bool) -> Sample:
    """Tokenize one conversation; at most LONGEST tokens."""
    ids: list[int] = []
    trained: list[bool] = []
    for segment in render(talk, thinking=thinking):
        piece = tokenizer.encode(segment.text, add_special_tokens=False).ids
        first = len(piece) if segment.trained_from is None else segment.trained_from
        ids += piece
        trained += [position >= first for position in range(len(piece))]
    return ids[:LONGEST], trained[:LONGEST]


def batches(tokenizer: Tokenizer, seed: int, tokens: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (ids [batch, length] int64, trained [batch, length] bool) of about `tokens` tokens without end.

    Conversations of similar length go together, so that little is spent on padding.
    """
    rng = Random(seed)
    padding = tokenizer.token_to_id(END_OF_TEXT)
    while True:
        samples = [encode(tokenizer, dialogue(rng), thinking=rng.random() < 0.5) for _ in range(1024)]
        samples.sort(key=lambda sample: len(sample[0]))
        groups: list[list[Sample]] = [[]]
        for sample in samples:
            if groups[-1] and len(sample[0]) * (len(groups[-1]) + 1) > tokens:
                groups.append([])
            groups[-1].append(sample)
        rng.shuffle(groups)
        for group in groups:
            length = max(len(ids) for ids, _ in group)
            yield (
                torch.tensor([ids + [padding] * (length - len(ids)) for ids, _ in group]),
                torch.tensor([trained + [False] * (length - len(trained)) for _, trained in group]),
            )


def train(model: Any, data: Iterator[tuple[Tensor, Tensor]], steps: int, peak_rate: float) -> None:
    """Run AdamW for `steps` batches with a short warm-up and a cosine decay to 3 % of `peak_rate`."""
    matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    norms = [parameter for parameter in model.parameters() if parameter.ndim == 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.05}, {"params": norms, "weight_decay": 0.0}],
        lr=peak_rate,
        betas=(0.9, 0.98),
        fused=True,
    )
    start, seen, average = time.monotonic(), 0, math.nan
    for step in range(steps):
        ids, trained = next(data)
        for group in optimizer.param_groups:
            decay = 0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * step / steps))
            group["lr"] = peak_rate * min(1.0, (step + 1) / 60) * decay
        hidden = model.model(input_ids=ids).last_hidden_state[:, :-1]  # [batch, length - 1, hidden]
        wanted = trained[:, 1:]
        logits = F.linear(hidden[wanted], model.lm_head.weight)  # [trained tokens, vocabulary]
        loss = F.cross_entropy(logits, ids[:, 1:][wanted])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        seen += ids.numel()
        average = loss.item() if step == 0 else 0.97 * average + 0.03 * loss.item()
        if (step + 1) % 50 == 0 or step + 1 == steps:
            passed = time.monotonic() - start
            rate = seen / passed
            print(f"step {step + 1}/{steps}  loss {average:.4f}  {rate:.0f} tokens/s  {passed:.0f} s", flush=True)


def save(model: Any, tokenizer: Tokenizer, folder: Path) -> None:
    """Write a checkpoint folder as published Qwen3 ones are: bf16 safetensors and four JSON files."""
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    end_of_text, turn_end = tokenizer.token_to_id(END_OF_TEXT), tokenizer.token_to_id(TURN_END)
    config = {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        **SHAPE,
        "vocab_size": VOCABULARY,
        "hidden_act": "silu",
        "attention_bias": False,
        "attention_dropout": 0.0,
        "initializer_range": 0.02,
        "rms_norm_eps": RMS_EPSILON,
        "rope_theta": ROPE_THETA,
        "rope_scaling": None,
        "sliding_window": None,
        "use_sliding_window": False,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "use_cache": True,
        "bos_token_id": end_of_text,
        "eos_token_id": turn_end,
    }
    generation = {
        "do_sample": True,
        "temperature": 0.3,  # low: the model has one right answer to each question
        "top_k": 20,
        "top_p": 0.9,
        "bos_token_id": end_of_text,
        "eos_token_id": [turn_end, end_of_text],
        "pad_token_id": end_of_text,
    }
    tokens = {
        "tokenizer_class": "Qwen2Tokenizer",
        "add_bos_token": False,
        "bos_token": None,
        "eos_token": TURN_END,
        "pad_token": END_OF_TEXT,
        "model_max_length": SHAPE["max_position_embeddings"],
        "chat_template": Path(__file__).with_name("chat_template.jinja").read_text(encoding="utf-8"),
    }
    files = {"config.json": config, "generation_config.json": generation, "tokenizer_config.json": tokens}
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> None:
    """Train and write the checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to write the checkpoint to")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch-tokens", type=int, default=1024)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)

    tokenizer = train_tokenizer(arguments.seed)
    model = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=VOCABULARY,
            **SHAPE,
            rms_norm_eps=RMS_EPSILON,
            rope_parameters={"rope_type": "default", "rope_theta": ROPE_THETA},
            tie_word_embeddings=True,
            initializer_range=0.03,
        )
    )
    print(f"{sum(parameter.numel() for parameter in model.parameters()) / 1e6:.2f} M parameters")
    train(
        model, batches(tokenizer, arguments.seed + 1, arguments.batch_tokens), arguments.steps, arguments.learning_rate
    )
    save(model, tokenizer, arguments.out)


if __name__ == "__main__":
    main()
