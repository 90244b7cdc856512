"""Words for the full-text search: how a text is cut, what a query means, and where a text was hit."""

from __future__ import annotations

import re

__all__ = ["match_query", "query_words", "searchable", "snippet"]

# Chinese and Japanese are written without spaces: every character is a word, and a word of several is a phrase.
_CJK = re.compile("([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])")
_BEFORE = 24  # characters of a snippet before what was found


def searchable(text: str) -> str:
    """The text with every word apart, as the search table wants it."""
    return _CJK.sub(r" \1 ", text)


def query_words(text: str) -> list[str]:
    """What a person looks for: every word of it must be there. Empty if there is nothing to look for."""
    return [word for word in text.split() if any(character.isalnum() for character in word)]


def match_query(text: str) -> str | None:
    """The same for FTS5: all words, each may be the beginning of a longer one. None: nothing to look for."""
    words = query_words(text)
    return (
        " AND ".join(f'"{searchable(word)}" *'.replace("\0", "") for word in (_quoted(word) for word in words)) or None
    )


def _quoted(word: str) -> str:
    return word.replace('"', '""')


def snippet(content: str, text: str, width: int) -> str:
    """At most `width` characters of the content in one line, around the first word of the query."""
    line = " ".join(content.split())
    folded = line.lower()
    places = [place for word in query_words(text) if (place := folded.find(word.lower())) >= 0]
    start = max(0, min(places, default=0) - _BEFORE)
    if start and len(line) - start < width:
        start = max(0, len(line) - width)
    if len(line) <= width:
        return line
    cut = line[start : start + width]
    cut = f"…{cut[1:]}" if start else cut
    return f"{cut[:-1]}…" if start + width < len(line) else cut
