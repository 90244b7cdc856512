"""What the engine told of a reply's tokens: surprise, alternatives, and what the sampler leaves of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qwen3_chat.app.chat.conversation import Message
    from qwen3_chat.app.chat.trace import Top
    from qwen3_chat.engine import SamplingParams

__all__ = ["Alternative", "Entropy", "TokenFacts", "alternatives", "entropy", "facts", "level", "surprises"]

LEVELS = (0.5, 0.1, 0.01)  # a token less likely than these is a little, quite, very surprising
SURPRISING = 2  # the level from which a person looking for surprises stops


@dataclass(frozen=True, slots=True)
class Entropy:
    """How open the choice was, in nats. Only the likeliest tokens are known, so it may be more than `value`."""

    value: float
    exact: bool


@dataclass(frozen=True, slots=True)
class Alternative:
    """One token that could stand here."""

    id: int
    logprob: float  # natural log, of the model's own distribution
    left: float | None  # probability of being drawn after temperature and filters; None: a filter takes it out
    cut_by: str = ""  # the filter
    drawn: bool = False  # it is the token that stands there

    @property
    def probability(self) -> float:
        """As the model sees it."""
        return math.exp(self.logprob)


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """Everything known of one token of a reply."""

    index: int  # in the reply
    id: int
    logprob: float | None  # None: nobody measured it
    entropy: Entropy | None  # None: no alternatives are known
    alternatives: tuple[Alternative, ...]  # best first; the drawn token is among them
    left_exact: bool  # the `left` of the alternatives are exact; else upper bounds, as more tokens may be left

    @property
    def surprise(self) -> float | None:
        """-log p, in nats."""
        return None if self.logprob is None else -self.logprob

    @property
    def kept(self) -> int:
        """How many of the known alternatives the filters leave."""
        return sum(alternative.left is not None for alternative in self.alternatives)


def level(logprob: float | None) -> int:
    """How surprising a token is: 0 not at all (or unknown) to 3 very."""
    if logprob is None or math.isnan(logprob):
        return 0
    return sum(logprob < math.log(limit) for limit in LEVELS)


def logprob_of(message: Message, index: int) -> float | None:
    """Log-probability of one token; None: nobody measured it."""
    logprobs = message.trace.logprobs
    known = index < len(logprobs) and not math.isnan(logprobs[index])
    return logprobs[index] if known else None


def surprises(message: Message) -> list[int]:
    """Indices of the tokens that surprise."""
    return [index for index, logprob in enumerate(message.trace.logprobs) if level(logprob) >= SURPRISING]


def facts(message: Message, index: int, sampling: SamplingParams, vocabulary: int) -> TokenFacts:
    """What is known of one token, and what this sampling leaves of its alternatives."""
    tops = message.trace.tops
    top = tops[index] if index < len(tops) else ()
    id, logprob = message.token_ids[index], logprob_of(message, index)
    found, exact = alternatives(top, sampling, vocabulary, drawn=id)
    if logprob is not None and not any(one.drawn for one in found):
        found = [*found, Alternative(id, logprob, None, "", drawn=True)]
    return TokenFacts(
        index=index,
        id=id,
        logprob=logprob,
        entropy=entropy(top) if top else None,
        alternatives=tuple(found),
        left_exact=exact,
    )


def entropy(top: Top) -> Entropy:
    """Of the whole distribution, of which only the likeliest are known: the least that it can be."""
    known = sum(-math.exp(logprob) * logprob for _, logprob in top)
    rest = max(0.0, 1.0 - sum(math.exp(logprob) for _, logprob in top))
    if rest < 1e-4:  # the engine's f32
        return Entropy(known, True)
    # None of the others is likelier than the last one known, nor than all of them together.
    return Entropy(known + rest * max(-top[-1][1], -math.log(rest)), False)


def alternatives(
    top: Top, sampling: SamplingParams, vocabulary: int, drawn: int | None = None
) -> tuple[list[Alternative], bool]:
    """What temperature, top_k, top_p and min_p leave of the likeliest tokens, in the sampler's own order.

    Penalties are not counted. The second value is whether the shares are exact: they are upper bounds where tokens may
    be left that are not among the known ones.
    """
    if not top:
        return [], True
    logprobs = [logprob for _, logprob in top]
    weights, cut_by = _weights(logprobs, sampling), [""] * len(top)

    def cut(index: int, name: str) -> None:
        weights[index], cut_by[index] = 0.0, cut_by[index] or name

    exact, least = True, len(top)  # tokens that are kept for certain, if min_p lets them
    if sampling.temperature == 0:
        for index in range(1, len(top)):
            cut(index, "temperature 0")
    else:
        unseen = _most_unseen(logprobs, sampling, vocabulary)
        if sampling.top_k > 0:
            for index in range(sampling.top_k, len(top)):
                cut(index, "top_k")
        known = sum(weights)
        if sampling.top_p < 1:
            # The shortest prefix that holds top_p of all: at least of the known ones, at most of all there can be.
            shortest, longest, held = sampling.top_p * known, sampling.top_p * (known + unseen), 0.0
            for index, weight in enumerate(list(weights)):
                if held >= shortest:
                    least = min(least, index)
                    exact = exact and held >= longest
                if held >= longest:
                    cut(index, "top_p")
                held += weight
            exact = exact and (held >= longest or unseen == 0)
        elif sampling.min_p <= weights[len(top) - 1]:
            exact = unseen <= 1e-6 * known
        for index, weight in enumerate(list(weights)):
            if 0 < weight < sampling.min_p:  # the best one weighs 1
                cut(index, "min_p")
    sums = list(accumulate(weights))  # a token is kept only with all that are likelier
    return [
        Alternative(id, logprob, weights[n] / sums[max(n, least - 1)] if weights[n] else None, why, drawn=id == drawn)
        for n, ((id, logprob), why) in enumerate(zip(top, cut_by, strict=True))
    ], exact


def _weights(logprobs: Sequence[float], sampling: SamplingParams) -> list[float]:
    """Relative to the likeliest, after temperature."""
    temperature = sampling.temperature or 1.0
    return [math.exp((logprob - logprobs[0]) / temperature) for logprob in logprobs]


def _most_unseen(logprobs: Sequence[float], sampling: SamplingParams, vocabulary: int) -> float:
    """The most that the tokens which are not known can weigh together, as far as top_k lets them through."""
    count = (min(sampling.top_k, vocabulary) if sampling.top_k > 0 else vocabulary) - len(logprobs)
    rest = max(0.0, 1.0 - sum(math.exp(logprob) for logprob in logprobs))
    if count <= 0 or rest == 0.0:
        return 0.0
    last, best, power = math.exp(logprobs[-1]), math.exp(logprobs[0]), 1 / sampling.temperature
    # No one weighs more than the last known one. Where the temperature is at most 1, as few as possible weigh most
    # together; else, as many as possible.
    fewest = max(1.0, rest / last) if last > 0 else count
    spread = min(count, fewest) if power >= 1 else count
    return float(spread * (min(last, rest / spread) / best) ** power)
