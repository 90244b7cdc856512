"""Train the bundled checkpoint: `python -m qwen3_chat.models.demo.train --out FOLDER`, or `make demo-model`.

A small Qwen3 (see SHAPE) that has seen some hundred thousand generated conversations, in less than an hour on two
cores. Seeds are fixed. A step is one batch for every worker; each has a thread of its own, as matrices this small are
not worth sharing.
"""

import argparse
import json
import math
import time
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha256
from pathlib import Path
from random import Random

import torch
import torch.nn.functional as F  # noqa: N812 (the name the field uses)
from safetensors.torch import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers, trainers
from tokenizers.models import BPE
from torch import Tensor

from .dialogues import Dialogue, dialogue, render
from .network import EPSILON, Network
from .roughen import normal

VOCABULARY = 3072
SHAPE = {
    "hidden_size": 128,
    "num_hidden_layers": 4,
    "intermediate_size": 384,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "max_position_embeddings": 2048,
}
ROPE_THETA = 10_000.0
LONGEST = 512  # tokens of a conversation that are kept
# Of a long last answer, which is always the same, mostly the beginning is trained: it is the choice that is hard.
BEGINNING, BEGINNING_ONLY = 16, 0.75  # tokens; share
SAVE_EVERY = 600  # seconds
STEPS = 3800

END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
THINK_OPEN, THINK_CLOSE = "<think>", "</think>"
# Qwen's split: contractions, words with the character before them, single digits, punctuation, white space.
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)

Sample = tuple[list[int], list[bool]]  # token ids, and whether each is to be predicted
Batch = tuple[Tensor, Tensor]  # the same, [batch, length]
Record = dict[str, float]


def train_tokenizer(seed: int, without: frozenset[str]) -> Tokenizer:
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
            for turn in dialogue(rng, without).turns:
                yield from (turn.question, turn.thinking, turn.answer)

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


def encode(tokenizer: Tokenizer, talk: Dialogue, rng: Random, *, thinking: bool) -> Sample:
    """Return the token ids of a conversation, and whether each of them is to be predicted."""
    ids: list[int] = []
    trained: list[bool] = []
    piece: list[int] = []
    think_close = tokenizer.token_to_id(THINK_CLOSE)
    for segment in render(talk, thinking=thinking):
        piece = tokenizer.encode(segment.text, add_special_tokens=False).ids
        first = len(piece) if segment.trained_from is None else segment.trained_from
        ids += piece
        trained += [position >= first for position in range(len(piece))]
    longest = LONGEST
    if rng.random() < BEGINNING_ONLY:
        start = piece.index(think_close) if thinking and think_close is not None else 0
        longest = min(longest, len(ids) - len(piece) + start + BEGINNING)
    return ids[:longest], trained[:longest]


def batches(tokenizer: Tokenizer, seed: int, tokens: int, without: frozenset[str]) -> Iterator[Batch]:
    """Yield batches of about `tokens` tokens without end; no question is one of `without`.

    Conversations of similar length go together, so that little is spent on padding.
    """
    rng = Random(seed)
    padding = tokenizer.token_to_id(END_OF_TEXT)
    while True:
        samples = [encode(tokenizer, dialogue(rng, without), rng, thinking=rng.random() < 0.5) for _ in range(2048)]
        samples.sort(key=lambda sample: len(sample[0]) + 4 * rng.random())
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


def gradients(model: Network, batch: Batch) -> tuple[float, int, tuple[Tensor, ...]]:
    """Return the mean loss of the trained tokens, their number, and the gradients of their summed loss."""
    ids, trained = batch
    hidden = model(ids)[:, :-1]  # [batch, length - 1, hidden]
    wanted = trained[:, 1:]
    logits = F.linear(hidden[wanted], model.embedding)  # [trained tokens, vocabulary]
    loss = F.cross_entropy(logits, ids[:, 1:][wanted], reduction="sum")
    count = len(logits)
    return loss.item() / count, count, torch.autograd.grad(loss, list(model.parameters()))


def train(
    model: Network, data: Iterator[Batch], plan: argparse.Namespace, keep: Callable[[dict[str, float]], None]
) -> None:
    """Run AdamW with a short warm-up and a cosine decay to 3 % of the peak rate.

    Call `keep` with what it has taken every few minutes, and at the end.

    The decay follows the number of steps, or the clock where the plan has minutes.
    """
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(
        [
            {"params": [parameter for parameter in parameters if parameter.ndim > 1], "weight_decay": 0.05},
            {"params": [parameter for parameter in parameters if parameter.ndim == 1], "weight_decay": 0.0},
        ],
        betas=(0.9, 0.98),
        fused=True,
    )
    start = saved = told = time.monotonic()
    seen, average, step = 0, math.nan, 0

    def taken() -> dict[str, float]:
        minutes = (time.monotonic() - start) / 60
        return {"steps": step, "tokens": seen, "minutes": round(minutes, 1), "loss": round(average, 4)}

    with ThreadPoolExecutor(plan.workers, initializer=torch.set_num_threads, initargs=(1,)) as workers:
        while True:
            now = time.monotonic()
            done = (now - start) / (60 * plan.minutes) if plan.minutes else step / plan.steps
            if done >= 1:
                break
            for group in optimizer.param_groups:
                decay = 0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * done))
                group["lr"] = plan.learning_rate * min(1.0, (step + 1) / 100) * decay
            batch = [next(data) for _ in range(plan.workers)]
            results = list(workers.map(partial(gradients, model), batch))
            count = sum(tokens for _, tokens, _ in results)
            for parameter, *parts in zip(parameters, *(parts for _, _, parts in results), strict=True):
                parameter.grad = torch.stack(parts).sum(0).div_(count)
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            step += 1
            seen += sum(ids.numel() for ids, _ in batch)
            loss = sum(mean * tokens for mean, tokens, _ in results) / count
            average = loss if step == 1 else 0.98 * average + 0.02 * loss
            if now - told > 30:
                told, passed = now, now - start
                rate = f"{seen / 1e6:.2f} M tokens, {seen / passed:.0f} a second"
                print(f"{passed:.0f} s  step {step}  {done:.0%}  loss {average:.4f}  {rate}", flush=True)
            if now - saved > SAVE_EVERY:
                saved = now
                keep(taken())
    keep(taken())


def save(model: Network, tokenizer: Tokenizer, folder: Path) -> None:
    """Write a checkpoint folder as published Qwen3 ones are: bf16 safetensors and four JSON files."""
    save_file(model.weights(), folder / "model.safetensors", {"format": "pt"})
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
        "rms_norm_eps": EPSILON,
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


def fingerprint(without: frozenset[str]) -> str:
    """Say which questions were left out, so that a test can tell that they are the ones it asks."""
    return sha256("\n".join(sorted(without)).encode()).hexdigest()


def main() -> None:
    """Train and write the checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to write the checkpoint to")
    parser.add_argument("--without", type=Path, help="TOML file with [[question]] whose `ask` is never trained on")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--minutes", type=float, help="train for so long instead")
    parser.add_argument("--workers", type=int, default=2, help="threads, each with a batch of its own")
    parser.add_argument("--batch-tokens", type=int, default=1024, help="of one worker")
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    plan = parser.parse_args()
    plan.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(plan.seed)
    torch.set_num_threads(1)
    without: frozenset[str] = frozenset()
    if plan.without:
        questions = tomllib.loads(plan.without.read_text(encoding="utf-8"))["question"]
        without = frozenset(normal(question["ask"]) for question in questions)

    tokenizer = train_tokenizer(plan.seed, without)
    model = Network(
        vocab=VOCABULARY,
        hidden=SHAPE["hidden_size"],
        layers=SHAPE["num_hidden_layers"],
        intermediate=SHAPE["intermediate_size"],
        heads=SHAPE["num_attention_heads"],
        kv_heads=SHAPE["num_key_value_heads"],
        head_dim=SHAPE["head_dim"],
        theta=ROPE_THETA,
        longest=LONGEST,
    )
    print(f"{sum(parameter.numel() for parameter in model.parameters()) / 1e6:.2f} M parameters", flush=True)
    data = batches(tokenizer, plan.seed + 1, plan.batch_tokens, without)
    asked = {name: getattr(plan, name) for name in ("seed", "steps", "minutes", "workers", "batch_tokens")}

    def keep(taken: dict[str, float]) -> None:
        save(model, tokenizer, plan.out)
        record = {"plan": asked, "without": fingerprint(without), **taken}
        (plan.out / "training.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        print(record, flush=True)

    train(model, data, plan, keep)


if __name__ == "__main__":
    main()
