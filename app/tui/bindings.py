"""The action list as Textual's bindings."""

from __future__ import annotations

from textual.binding import Binding, BindingType

from qwen3_chat.app.tui.actions import ACTIONS, Scope, unbound


def bindings(scope: Scope) -> list[BindingType]:
    """Textual's bindings for the owner of a scope. Each has its action's id, by which a keymap gives it other keys."""
    return [
        Binding(
            ",".join(action.keys) or unbound(action.id),
            f"app.do('{action.id}')",
            action.title,
            show=False,
            priority=action.priority,
            id=action.id,
        )
        for action in ACTIONS
        if action.scope == scope
    ]
