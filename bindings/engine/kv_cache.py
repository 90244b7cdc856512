"""The keys and values of one conversation, made by `Engine.new_cache()`."""

from qwen3_chat.engine._core import KVCache

__all__ = ["KVCache"]
