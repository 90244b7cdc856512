"""The logic of a conversation. Knows the engine and the models, never a user interface."""
