"""From a conversation to the token ids that the engine gets."""

from __future__ import annotations
