"""The widgets of the chat, one idea a file."""
