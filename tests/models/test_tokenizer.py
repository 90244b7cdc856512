from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from checkpoints import ADDED_TOKENS, MERGES, SPECIAL_TOKENS, TOKENIZER_SIZE, byte_level_tokenizer
from hypothesis import given
from hypothesis import strategies as st

from qwen3_chat.models.config import Qwen3Config
from qwen3_chat.models.errors import CheckpointError
from qwen3_chat.models.tokenizer import Tokenizer

LIBRARY = byte_level_tokenizer()
TOKENIZER = Tokenizer(LIBRARY)
IM_END = "<|im_end|>"

# Text with everything that is hard: scripts of 1 to 4 bytes a character, joiners, combining marks, control tokens.
PIECES = [
    "hello",
    " ",
    "\n",
    "你好",
    "世界",
    "é",
    "e\u0301",
    "ß",
    "😀",
    "👍🏽",
    "👩‍👩‍👧‍👦",
    "🇩🇪",
    "\u200d",
    "\ufffd",
    "\0",
    "Ġ",
]
TEXTS = st.lists(st.one_of(st.sampled_from([*PIECES, *SPECIAL_TOKENS, *ADDED_TOKENS]), st.text(max_size=8))).map(
    "".join
)
IDS = st.lists(st.integers(0, TOKENIZER_SIZE - 1), max_size=40)


def streamed(ids: list[int], skip_special: bool) -> list[str]:
    detokenizer = TOKENIZER.detokenizer(skip_special)
    return [*(detokenizer.push(id) for id in ids), detokenizer.flush()]


# ---- text -> ids -> text --------------------------------------------------------------------------------------------


@given(TEXTS)
def test_round_trip(text: str) -> None:
    ids = TOKENIZER.encode(text)
    assert ids == LIBRARY.encode(text, add_special_tokens=False).ids
    assert TOKENIZER.decode(ids, skip_special=False) == LIBRARY.normalizer.normalize_str(text)


@given(IDS, st.booleans())
def test_decode_is_the_library_s(ids: list[int], skip_special: bool) -> None:
    assert TOKENIZER.decode(ids, skip_special) == LIBRARY.decode(ids, skip_special_tokens=skip_special)


@given(IDS, st.booleans())
def test_streamed_pieces_of_any_ids_join_to_the_whole(ids: list[int], skip_special: bool) -> None:
    assert "".join(streamed(ids, skip_special)) == TOKENIZER.decode(ids, skip_special)


@given(TEXTS, st.booleans())
def test_streamed_pieces_of_any_text_join_to_the_whole(text: str, skip_special: bool) -> None:
    ids = TOKENIZER.encode(text)
    pieces = streamed(ids, skip_special)
    assert "".join(pieces) == TOKENIZER.decode(ids, skip_special)
    if "\ufffd" not in text:  # whole text never shows a broken character on the way
        assert "\ufffd" not in "".join(pieces)


@given(st.binary(max_size=24))
def test_any_bytes_stream_as_they_decode(data: bytes) -> None:
    byte_ids = {TOKENIZER.token_bytes(id): id for id in range(256)}
    ids = [byte_ids[bytes([byte])] for byte in data]
    assert "".join(streamed(ids, True)) == TOKENIZER.decode(ids) == data.decode("utf-8", "replace")


@pytest.mark.parametrize("text", ["😀", "👩‍👩‍👧‍👦", "漢", "é"])
def test_characters_split_over_tokens_appear_whole(text: str) -> None:
    byte_ids = {TOKENIZER.token_bytes(id): id for id in range(256)}
    pieces = streamed([byte_ids[bytes([byte])] for byte in text.encode()], True)
    assert "".join(pieces) == text and pieces[-1] == ""
    assert [piece for piece in pieces if piece] == list(text)


def test_flush_shows_what_broke_off_and_begins_anew() -> None:
    byte_ids = {TOKENIZER.token_bytes(id): id for id in range(256)}
    detokenizer = TOKENIZER.detokenizer()
    half, rest = "漢".encode()[:2], "漢".encode()[2:]
    assert [detokenizer.push(byte_ids[bytes([byte])]) for byte in half] == ["", ""]
    assert detokenizer.flush() == "\ufffd"
    assert detokenizer.flush() == ""
    assert detokenizer.push(byte_ids[rest]) == "\ufffd"
    assert detokenizer.push(byte_ids[b"a"]) == "a"


def test_special_tokens_are_dropped_and_others_shown() -> None:
    ids = TOKENIZER.encode(f"<think>a</think>b{IM_END}<|endoftext|>")
    assert TOKENIZER.decode(ids) == "<think>a</think>b"
    assert TOKENIZER.decode(ids, skip_special=False) == f"<think>a</think>b{IM_END}<|endoftext|>"


@pytest.mark.parametrize("id", [TOKENIZER_SIZE, TOKENIZER_SIZE + 1000, 2**31, 2**63, 2**70, -1])
def test_padding_ids_are_nothing(id: int) -> None:
    assert TOKENIZER.token_bytes(id) == b""
    assert TOKENIZER.decode([id]) == "" and TOKENIZER.detokenizer().push(id) == ""


def test_lone_surrogates() -> None:
    assert TOKENIZER.decode(TOKENIZER.encode("a\ud800b")) == "a\ufffdb"
    assert TOKENIZER.decode(TOKENIZER.encode("\ud83d\ude00")) == "😀"
    assert TOKENIZER.decode(TOKENIZER.encode_prompt("a\udcffb", {})) == "a\ufffdb"


# ---- prompts --------------------------------------------------------------------------------------------------------


@given(TEXTS)
def test_a_prompt_without_literals_is_encoded_as_text(text: str) -> None:
    assert TOKENIZER.encode_prompt(text, {}) == TOKENIZER.encode(text)


@given(TEXTS, TEXTS)
def test_literals_read_as_text_and_never_as_tokens(before: str, after: str) -> None:
    plain = before + "\uf8ff" + after
    if plain.count("\uf8ff") > 1:
        return
    ids = TOKENIZER.encode_prompt(plain, {"\uf8ff": IM_END})
    end = TOKENIZER.token_id(IM_END)
    assert ids.count(end) == TOKENIZER.encode(plain).count(end)  # type: ignore[arg-type]
    normalized = LIBRARY.normalizer.normalize_str(before + IM_END + after)
    assert TOKENIZER.decode(ids, skip_special=False) == normalized


def test_literals_join_with_their_neighbours() -> None:
    without_added = json.loads(LIBRARY.to_str())
    without_added["added_tokens"] = []
    plain = tokenizers.Tokenizer.from_str(json.dumps(without_added))
    assert TOKENIZER.encode_prompt("say \uf8ff now", {"\uf8ff": IM_END}) == plain.encode(f"say {IM_END} now").ids


# ---- what it knows --------------------------------------------------------------------------------------------------


def test_ids() -> None:
    assert TOKENIZER.vocab_size == TOKENIZER_SIZE
    assert TOKENIZER.token_id("<think>") == TOKENIZER.think_open == LIBRARY.token_to_id("<think>")
    assert TOKENIZER.token_id("</think>") == TOKENIZER.think_close == LIBRARY.token_to_id("</think>")
    assert TOKENIZER.token_id("hello") is None and TOKENIZER.token_id("") is None
    assert TOKENIZER.special_ids == {LIBRARY.token_to_id(token) for token in SPECIAL_TOKENS}
    assert TOKENIZER.added_tokens == {token: token in SPECIAL_TOKENS for token in (*SPECIAL_TOKENS, *ADDED_TOKENS)}


def test_fits_the_model(chat_checkpoint: Path, checkpoint: Callable[..., Path]) -> None:
    Tokenizer.from_folder(chat_checkpoint).check_fits(Qwen3Config.from_folder(chat_checkpoint))
    small = Qwen3Config.from_folder(checkpoint(vocab=TOKENIZER_SIZE - 1))
    with pytest.raises(CheckpointError, match=f"{TOKENIZER_SIZE} ids, but .*vocab_size {TOKENIZER_SIZE - 1}"):
        TOKENIZER.check_fits(small)


def changed(**fields: Any) -> str:
    return json.dumps({**json.loads(LIBRARY.to_str()), **fields})


def from_text(folder: Path, text: str) -> Tokenizer:
    (folder / "tokenizer.json").write_text(text)
    return Tokenizer.from_folder(folder)


def test_from_folder(tmp_path: Path) -> None:
    tokenizer = from_text(tmp_path, LIBRARY.to_str())
    assert tokenizer.encode("hello 你好") == TOKENIZER.encode("hello 你好")


def test_without_added_tokens(tmp_path: Path) -> None:
    tokenizer = from_text(tmp_path, changed(added_tokens=[]))
    assert (tokenizer.think_open, tokenizer.think_close, tokenizer.special_ids) == (None, None, frozenset())
    assert tokenizer.decode(tokenizer.encode_prompt(f"a{IM_END}", {})) == f"a{IM_END}"


def test_truncation_and_padding_of_the_file_are_off(tmp_path: Path) -> None:
    library = tokenizers.Tokenizer.from_str(LIBRARY.to_str())
    library.enable_truncation(3)
    library.enable_padding(length=64)
    assert from_text(tmp_path, library.to_str()).encode("hello hello hello") == TOKENIZER.encode("hello hello hello")


def test_ids_with_gaps(tmp_path: Path) -> None:
    data = json.loads(LIBRARY.to_str())
    vocab = data["model"]["vocab"]
    last = max(vocab, key=vocab.__getitem__)
    vocab[last] = 1000
    tokenizer = from_text(tmp_path, json.dumps(data))
    assert tokenizer.vocab_size == 1001
    assert tokenizer.token_bytes(1000) == TOKENIZER.token_bytes(255 + MERGES) != b""


def test_added_tokens_are_shown_verbatim(tmp_path: Path) -> None:
    library = tokenizers.Tokenizer.from_str(LIBRARY.to_str())
    library.add_tokens([tokenizers.AddedToken("[é Ġ 你]", normalized=False)])
    tokenizer = Tokenizer(library)
    assert tokenizer.decode(tokenizer.encode("a[é Ġ 你]b")) == "a[é Ġ 你]b"
    assert len(tokenizer.encode("[é Ġ 你]")) == 1


@pytest.mark.parametrize(
    "content", ["", "garbage", "{}", "[]", '{"model": {"type": "BPE"}}', "\0" * 100, "[" * 100_000]
)
def test_malformed_file_is_named(tmp_path: Path, content: str) -> None:
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: "):
        from_text(tmp_path, content)


@pytest.mark.parametrize("decoder", [None, {"type": "WordPiece", "prefix": "##", "cleanup": True}])
def test_other_decoders(tmp_path: Path, decoder: object) -> None:
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: decoder is .*, expected ByteLevel"):
        from_text(tmp_path, changed(decoder=decoder))


def test_other_models(tmp_path: Path) -> None:
    words = {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: model is WordLevel, expected BPE"):
        from_text(tmp_path, changed(model=words))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: no such file"):
        Tokenizer.from_folder(tmp_path)
    with pytest.raises(CheckpointError, match="no such folder"):
        Tokenizer.from_folder(tmp_path / "absent")
