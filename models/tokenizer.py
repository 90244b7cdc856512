"""Text <-> token ids of a checkpoint's byte-level BPE, and a detokenizer that never shows half a character."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

import tokenizers

from qwen3_chat.models.config import Qwen3Config
from qwen3_chat.models.errors import CheckpointError
from qwen3_chat.models.files import checkpoint_folder, file_exists, read_text

THINK_OPEN, THINK_CLOSE = "<think>", "</think>"


class Tokenizer:
    """The tokenizer of a checkpoint's tokenizer.json.

    Its *added tokens* (`<|im_end|>`, `<think>`, ...) stand beside the BPE: in text they are found as they are written.
    Some of them are *special*: they steer the model and are not part of what a person reads.

    Attributes:
        vocab_size: ids from here on are padding rows of the model's vocabulary and mean nothing.
        special_ids: ids of the special tokens.
        added_tokens: added token -> whether it is special.
        think_open: id of `<think>`, None if there is none.
        think_close: id of `</think>`, None if there is none.
    """

    def __init__(self, tokenizer: tokenizers.Tokenizer, *, source: str = "tokenizer") -> None:
        """Wrap a tokenizer of the library.

        Raises:
            CheckpointError: it is not a byte-level one; `source` is its name in the message.
        """
        if not isinstance(tokenizer.decoder, tokenizers.decoders.ByteLevel):
            kind = type(tokenizer.decoder).__name__ if tokenizer.decoder else "none"
            raise CheckpointError(f"{source}: decoder is {kind}, expected ByteLevel, as Qwen3's")
        if not isinstance(tokenizer.model, tokenizers.models.BPE):
            kind = type(tokenizer.model).__name__
            raise CheckpointError(f"{source}: model is {kind}, expected BPE, as Qwen3's")
        self._tokenizer = tokenizer
        tokenizer.no_truncation()
        tokenizer.no_padding()
        added = tokenizer.get_added_tokens_decoder()
        self._added = {token.content: id for id, token in added.items()}
        self._bytes = {id: token.content.encode() for id, token in added.items()}
        self.added_tokens = {token.content: bool(token.special) for token in added.values()}
        self.special_ids = frozenset(id for id, token in added.items() if token.special)
        self.think_open, self.think_close = self.token_id(THINK_OPEN), self.token_id(THINK_CLOSE)
        self.vocab_size = tokenizer.get_vocab_size(with_added_tokens=True)
        if any(tokenizer.id_to_token(id) is None for id in range(self.vocab_size)):  # ids with gaps
            self.vocab_size = max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1

        # The same BPE (shared, not copied) without added tokens: what it reads can only become ordinary tokens.
        self._plain = tokenizers.Tokenizer(tokenizer.model)
        if tokenizer.normalizer is not None:
            self._plain.normalizer = tokenizer.normalizer
        if tokenizer.pre_tokenizer is not None:
            self._plain.pre_tokenizer = tokenizer.pre_tokenizer
        self._encode_plain = lru_cache(maxsize=1024)(self._encode_plain_anew)
        longest_first = sorted(self._added, key=len, reverse=True)
        self._added_pattern = re.compile(f"({'|'.join(map(re.escape, longest_first)) or '(?!)'})")

    @classmethod
    def from_folder(cls, path: str | Path) -> Tokenizer:
        """Read a checkpoint folder's tokenizer.json.

        Raises:
            CheckpointError: it is missing, malformed, or no byte-level BPE.
        """
        file = checkpoint_folder(path) / "tokenizer.json"
        if not file_exists(file, CheckpointError):
            raise CheckpointError(f"{file}: no such file; it comes with every published Qwen3 checkpoint")
        text = read_text(file, CheckpointError)
        try:
            tokenizer = tokenizers.Tokenizer.from_str(text)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # the library's panics are no Exceptions
            raise CheckpointError(f"{file}: is no tokenizer: {error}") from error
        return cls(tokenizer, source=str(file))

    def check_fits(self, config: Qwen3Config) -> None:
        """Raise a CheckpointError if there are ids that the model has no row for."""
        if self.vocab_size > config.vocab_size:
            raise CheckpointError(
                f"the tokenizer has {self.vocab_size} ids, but the model has vocab_size {config.vocab_size}: they "
                "belong to different models"
            )

    def token_id(self, content: str) -> int | None:
        """The id of an added token, such as "<|im_end|>"; None if there is none."""
        return self._added.get(content)

    def encode(self, text: str) -> list[int]:
        """Ids of a text; added tokens written in it become those tokens. Lone surrogates count as U+FFFD."""
        return self._tokenizer.encode(_without_surrogates(text), add_special_tokens=False).ids

    def encode_prompt(self, text: str, literals: Mapping[str, str]) -> list[int]:
        """Like `encode`, but each character of `literals` stands for a text that is read as ordinary text.

        So the text of an added token can be part of what a person wrote without becoming that token. What stands
        between two added tokens is read by itself and remembered: a prompt that grew costs the time of what is new.
        """
        text = _without_surrogates(text)
        spelled = str.maketrans(dict(literals))
        ids: list[int] = []
        for place, piece in enumerate(self._added_pattern.split(text)):
            if place % 2:  # what the pattern's group matched
                ids.append(self._added[piece])
            elif piece:
                ids += self._encode_plain(piece.translate(spelled))
        return ids

    def _encode_plain_anew(self, text: str) -> tuple[int, ...]:
        return tuple(self._plain.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Iterable[int], skip_special: bool = True) -> str:
        """The text of ids; bytes that are no UTF-8 become U+FFFD, ids without a token become nothing."""
        kept = (self.token_bytes(id) for id in ids if not (skip_special and id in self.special_ids))
        return b"".join(kept).decode("utf-8", "replace")

    def token_bytes(self, id: int) -> bytes:
        """The bytes one id stands for, often not whole characters; empty if it stands for nothing."""
        known = self._bytes.get(id)
        if known is None:
            token = self._tokenizer.id_to_token(id) if 0 <= id < self.vocab_size else None
            known = b"" if token is None else _spelled_bytes(token)
            self._bytes[id] = known
        return known

    def detokenizer(self, skip_special: bool = True) -> Detokenizer:
        """A new detokenizer, for one reply."""
        return Detokenizer(self, skip_special)


class Detokenizer:
    """Text of a growing list of ids: all `push` results and `flush`, joined, are `Tokenizer.decode` of the whole.

    Each call costs time in the token's own length only.
    """

    def __init__(self, tokenizer: Tokenizer, skip_special: bool = True) -> None:
        self._tokenizer = tokenizer
        self._skipped = tokenizer.special_ids if skip_special else frozenset[int]()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, id: int) -> str:
        """Take the next id; return the text that is now certain, whole characters only."""
        if id in self._skipped:
            return ""
        return self._decoder.decode(self._tokenizer.token_bytes(id))

    def flush(self) -> str:
        """End the text: U+FFFD if it stopped inside a character, else nothing. The next `push` begins a new text."""
        rest = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return rest


def _byte_of_character() -> dict[str, int]:
    """The spelling of bytes in a byte-level vocabulary: GPT-2's, where unprintable bytes are U+0100 and on."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + n): byte for n, byte in enumerate(others)}


_BYTE_OF_CHARACTER = _byte_of_character()


def _spelled_bytes(token: str) -> bytes:
    try:
        return bytes(_BYTE_OF_CHARACTER[character] for character in token)
    except KeyError:  # not spelled in bytes; the library shows such a token as it is
        return token.encode()


def _without_surrogates(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:  # from a terminal or a file name; pairs are put together
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
