"""All settings by section: what each is, what it is now, and where that comes from. Changes hold as the schema says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Input, Label, Static

from qwen3_chat.app.chat.errors import SettingsError
from qwen3_chat.app.settings.kinds import Choice, Switch, Value
from qwen3_chat.app.settings.schema import BY_NAME, SECTIONS, SETTINGS, Setting
from qwen3_chat.app.tui.bindings import bindings
from qwen3_chat.app.tui.keymap import Keymap
from qwen3_chat.app.tui.preferences import Preferences
from qwen3_chat.app.tui.widgets.chooser import Chooser

_PREFIX = "setting-"
_PROFILE = "profile"
_NONE = "none"


class SettingsScreen(ModalScreen[None]):
    """One row a setting. Saving is a step of its own: what is tried out need not stay."""

    CSS = """
    SettingsScreen .dialog { width: 100; height: 100%; max-height: 100%; padding: 0 2; }
    SettingsScreen .dialog-title { margin-bottom: 0; }
    SettingsScreen.-narrow .dialog { max-width: 100%; padding: 0 1; }
    SettingsScreen .section { color: $accent; text-style: bold; margin-top: 1; }
    SettingsScreen VerticalScroll { scrollbar-size-vertical: 1; }
    SettingsScreen .row { height: 1; }
    SettingsScreen .row > Label { width: 19; color: $foreground 70%; }
    SettingsScreen .row > Input { width: 1fr; height: 1; border: none; padding: 0 1; background: $panel; }
    SettingsScreen .row > Input:focus { background: $accent 25%; }
    SettingsScreen .row > Input.-wrong { color: $error; text-style: bold; }
    SettingsScreen .row > Chooser { width: 1fr; }
    SettingsScreen .origin { width: 31; padding-left: 2; color: $foreground 60%; text-wrap: nowrap; }
    SettingsScreen.-narrow .origin { display: none; }
    SettingsScreen #told { height: 2; color: $foreground 70%; }
    SettingsScreen #told.-wrong { color: $error; }
    SettingsScreen.-narrow #told { height: 3; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Close", show=False, priority=True),
        Binding("f6", "dismiss", "Close", show=False, priority=True, id="view.settings"),
        Binding("up", "app.focus_previous", "Setting above", show=False, priority=True),
        Binding("down,enter", "app.focus_next", "Setting below", show=False, priority=True),
        *bindings("settings"),
    ]

    def __init__(self, preferences: Preferences, keymap: Keymap) -> None:
        super().__init__()
        self._preferences = preferences
        self._keymap = keymap

    def compose(self) -> ComposeResult:
        """Title, sections, what the chosen setting is, and keys."""
        with Vertical(classes="dialog"):
            yield Static("Settings", classes="dialog-title", markup=False)
            with VerticalScroll(can_focus=False):
                yield from self._profile_row()
                for section, title in SECTIONS.items():
                    yield Static(title.partition(" (")[0].capitalize(), classes="section", markup=False)
                    for setting in SETTINGS:
                        if setting.section == section:
                            yield from self._row(setting.title, self._editor(setting), setting.name)
            yield Static("", id="told", markup=False)
            yield Static(self._hints(), classes="dialog-keys", markup=False)

    def on_mount(self) -> None:
        """Begin at the top."""
        self.query("Input, Chooser").first().focus()

    def on_descendant_focus(self) -> None:
        """Say what the setting is."""
        self._tell()

    # Rows

    def _row(self, title: str, editor: Widget, name: str) -> Iterator[Widget]:
        with Horizontal(classes="row"):
            yield Label(title, markup=False)
            yield editor
            yield Static(self._origin(name), classes="origin", id=f"origin-{name}", markup=False)

    def _profile_row(self) -> Iterator[Widget]:
        profiles = self._preferences.profiles
        if profiles:
            words = (_NONE, *profiles)
            chosen = words.index(self._preferences.profile or _NONE)
            yield from self._row("profile", Chooser(words, chosen, id=_PREFIX + _PROFILE), _PROFILE)

    def _editor(self, setting: Setting) -> Widget:
        words, place = self._words(setting), self._place(setting)
        if words:
            return Chooser(words, place, id=_PREFIX + setting.name)
        return Input(
            self._written(setting),
            placeholder=setting.open or "as recommended",
            id=_PREFIX + setting.name,
            compact=True,
            select_on_focus=False,
        )

    def _words(self, setting: Setting) -> tuple[str, ...]:
        """What a chooser shows; none: it is typed."""
        kind = setting.kind
        words = kind.values if isinstance(kind, Choice) else ("off", "on") if isinstance(kind, Switch) else ()
        return (setting.open, *words) if words and setting.default is None else words

    def _place(self, setting: Setting) -> int:
        words = self._words(setting)
        written = self._written(setting)
        return words.index(written) if written in words else 0

    def _written(self, setting: Setting) -> str:
        value = self._preferences.value(setting)
        if isinstance(value, bool):
            return "on" if value else "off"
        return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)

    def _origin(self, name: str) -> str:
        return self._preferences.origin(BY_NAME[name]) if name in BY_NAME else ""

    def _show_all(self) -> None:
        """As they are, after many have changed at once."""
        for setting in SETTINGS:
            widget = self._widget(setting.name)
            with self.prevent(Input.Changed, Chooser.Chosen):
                if isinstance(widget, Chooser):
                    widget.place = self._place(setting)
                elif isinstance(widget, Input):
                    widget.value = self._written(setting)
                    widget.remove_class("-wrong")
        self._show_origins()

    def _show_origins(self) -> None:
        for setting in SETTINGS:
            self.query_one(f"#origin-{setting.name}", Static).update(self._origin(setting.name))

    def _widget(self, name: str) -> Widget:
        return self.query_one(f"#{_PREFIX}{name}")

    # Changes

    def on_input_changed(self, event: Input.Changed) -> None:
        """Take a valid value; say what is wrong with another one, and leave the setting as it was."""
        setting = BY_NAME[(event.input.id or "").removeprefix(_PREFIX)]
        try:
            value = _typed(setting, event.value)
        except ValueError:
            event.input.add_class("-wrong")
            self._tell()
        else:
            event.input.remove_class("-wrong")
            self._change(setting, value)

    def on_chooser_chosen(self, event: Chooser.Chosen) -> None:
        """Take it."""
        word = event.chooser.words[event.chooser.place]
        name = (event.chooser.id or "").removeprefix(_PREFIX)
        if name == _PROFILE:
            self._preferences.choose_profile(None if event.chooser.place == 0 else word)
            self._show_all()
            self._tell()
            return
        setting = BY_NAME[name]
        self._change(setting, None if word == setting.open else setting.kind.parse(word))

    def _change(self, setting: Setting, value: Value | None) -> None:
        if value != self._preferences.value(setting):
            self._preferences.change(setting, value)
        self._show_origins()
        self._tell()

    def action_settings_save(self) -> None:
        """Write what has been changed into the file."""
        wrong = self.query("Input.-wrong")
        if wrong:
            wrong.first(Input).focus()
            self._tell("one value cannot be: correct it, then save", wrong=True)
            return
        try:
            said = self._preferences.save()
        except SettingsError as error:
            self._tell(str(error), wrong=True)
            return
        self._show_origins()
        self._tell(said)

    def action_settings_reset(self) -> None:
        """The default for the setting under the cursor."""
        if (setting := self._chosen) is not None:
            self._preferences.change(setting, setting.default)
            self._show_all()
            self._tell()

    # What is said

    @property
    def _chosen(self) -> Setting | None:
        focused = self.focused
        name = focused.id or "" if focused is not None else ""
        return BY_NAME.get(name.removeprefix(_PREFIX))

    def _tell(self, text: str | None = None, *, wrong: bool = False) -> None:
        """By default what the setting under the cursor is, or what is wrong with its value."""
        setting, focused = self._chosen, self.focused
        if text is None and setting is not None and isinstance(focused, Input):
            try:
                _typed(setting, focused.value)
            except ValueError as error:
                text, wrong = f"{setting.title}: {error}", True
        message = self.query_one("#told", Static)
        message.update(self._about(setting) if text is None else text)
        message.set_class(wrong, "-wrong")

    def _about(self, setting: Setting | None) -> str:
        if setting is None:
            table = f"[profile.{self._preferences.profile}]" if self._preferences.profile else "the sections"
            return f"settings that are chosen together; saving writes into {table} of config.toml"
        holds = "" if setting.holds == "at once" else f"; a change holds {setting.holds}"
        return f"{setting.what}{holds}\n{setting.flag}  {setting.variable}"

    def _hints(self) -> str:
        shown = self._keymap.shown
        own = [(shown("settings.save"), "save"), (shown("settings.reset"), "default")]
        keys = [("↑↓", "setting"), ("←→", "choose"), *own, ("esc", "close")]
        return "   ".join(f"{key} {word}" for key, word in keys if key)


def _typed(setting: Setting, text: str) -> Value | None:
    """The value of a field; an empty one is the default. Raises ValueError that says what was expected."""
    text = text if setting.name == "system" else text.strip()
    return setting.kind.parse(text) if text else setting.default
