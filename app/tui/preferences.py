"""The settings of an open window: what a change does at once, and what is saved."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qwen3_chat.app.settings.resolve import HERE, Settings
from qwen3_chat.app.settings.schema import SETTINGS, VARIABLE, Setting
from qwen3_chat.app.settings.write import save

if TYPE_CHECKING:
    from qwen3_chat.app.settings.kinds import Value
    from qwen3_chat.app.tui.app import ChatApp


class Preferences:
    """Between the settings screen and the application. Sampling and thinking can be changed elsewhere, too."""

    def __init__(self, app: ChatApp) -> None:
        self._app = app

    @property
    def profiles(self) -> tuple[str, ...]:
        """The names that the file has."""
        return tuple(self._app.settings.config.profiles)

    @property
    def profile(self) -> str | None:
        """The one in use."""
        return self._app.settings.profile

    @property
    def unsaved(self) -> dict[str, Value | None]:
        """What has been changed in this window, by name."""
        return {one.name: self.value(one) for one in SETTINGS if self.origin(one) == HERE}

    def value(self, setting: Setting) -> Value | None:
        """What holds now."""
        session = self._app.session
        if setting.section == "sampling":
            value: Value | None = getattr(session.sampling, setting.field)
            return value
        if setting.name == "think":
            return session.thinking
        found: Value | None = self._app.settings.value(setting.name)
        return found

    def origin(self, setting: Setting) -> str:
        """Who has said so."""
        held = self._app.settings.held[setting.name]
        return held.origin if held.value == self.value(setting) else HERE

    def change(self, setting: Setting, value: Value | None) -> None:
        """Set it; None: leave it to the checkpoint or the machine."""
        self._app.settings = self._app.settings.changed(setting.name, value)
        self._take_effect(setting, value)

    def choose_profile(self, name: str | None) -> None:
        """Everything is as with this profile, or with none; what was changed and not saved is forgotten."""
        old = self._app.settings
        self._app.settings = Settings.of(old.given, old.config, name)
        for setting in SETTINGS:
            value = self._app.settings.value(setting.name)
            if value != old.value(setting.name) or value != self.value(setting):
                self._take_effect(setting, value)

    def save(self) -> str:
        """Write what was changed into the file, and say so. Raises SettingsError."""
        old, changes = self._app.settings, self.unsaved
        if not changes:
            return "nothing was changed"
        config = save(old.config.source, changes, old.profile)
        given = {name: held for name, held in old.given.items() if name not in changes}
        self._app.settings = Settings.of(given, config, old.profile)
        table = f", [profile.{old.profile}]" if old.profile is not None else ""
        said = f"saved in {config.source}{table}"
        again = [one.origin for name, one in old.given.items() if name in changes and one.origin.startswith(VARIABLE)]
        return f"{said}; at the next start {', '.join(again)} will hold all the same" if again else said

    def _take_effect(self, setting: Setting, value: Value | None) -> None:
        app, session = self._app, self._app.session
        change: dict[str, Any] = {setting.field: value}
        if setting.section == "sampling":
            session.change_sampling(replace(session.sampling, **change))
        elif setting.name == "think":
            session.thinking = None if value is None else bool(value)
        elif setting.section == "engine":
            session.options = replace(session.options, engine=replace(session.options.engine, **change))
        elif setting.section == "screen":
            app.wear()
        app.chat.budget_line.measure()
