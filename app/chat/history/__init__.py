"""The saved chats: an SQLite file with every branch, token and timing of every conversation."""

from qwen3_chat.app.chat.history.autosave import Autosave
from qwen3_chat.app.chat.history.export import FORMATS, ExportFormat, export, file_name
from qwen3_chat.app.chat.history.keeping import History, Opened, open_chat
from qwen3_chat.app.chat.history.portable import import_chat
from qwen3_chat.app.chat.history.store import ChatHit, ChatSummary, SavedChat, Store
from qwen3_chat.app.chat.history.titles import TitleRequest, can_entitle
from qwen3_chat.app.chat.history.words import snippet

__all__ = [
    "FORMATS",
    "Autosave",
    "ChatHit",
    "ChatSummary",
    "ExportFormat",
    "History",
    "Opened",
    "SavedChat",
    "Store",
    "TitleRequest",
    "can_entitle",
    "export",
    "file_name",
    "import_chat",
    "open_chat",
    "snippet",
]
