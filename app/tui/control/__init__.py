"""What a person does to the chat: one module a group of actions, each a part of the chat screen."""
