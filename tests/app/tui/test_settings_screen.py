"""The settings screen: what it shows, what a change does at once, and what is saved."""

from __future__ import annotations

from typing import Any

from scene import scene, screen_text, wait_until, window
from textual.widgets import Input, Static

from qwen3_chat.app.settings.config_file import Config, config_file
from qwen3_chat.app.settings.resolve import Settings, resolve
from qwen3_chat.app.tui.app import ChatApp
from qwen3_chat.app.tui.render.palette import CONTRAST, DARK, TERMINAL
from qwen3_chat.app.tui.screens.settings import SettingsScreen
from qwen3_chat.app.tui.widgets.chooser import Chooser

FILE = """# mine
[sampling]
temperature = 0.5  # cool

[profile.calm]
temperature = 0.1
think = false
"""


def settings(text: str = FILE, variables: dict[str, str] | None = None, **flags: Any) -> Settings:
    path = config_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return resolve(flags, variables or {}, Config.load())


def opened(held: Settings) -> ChatApp:
    app = window(scene(), settings=held)
    sampling: Any = {"temperature": held.value("temperature")}
    app.session.change_sampling(type(app.session.sampling)(**sampling))
    return app


async def open_screen(pilot: Any) -> SettingsScreen:
    app = pilot.app
    await wait_until(pilot, lambda: app.session.ready)
    await pilot.press("f6")
    await wait_until(pilot, lambda: isinstance(app.screen, SettingsScreen) and app.screen.focused is not None)
    screen = app.screen
    assert isinstance(screen, SettingsScreen)
    return screen


async def test_every_setting_is_there_with_its_origin() -> None:
    app = opened(settings(variables={"QWEN3_CHAT_THEME": "contrast"}))
    async with app.run_test(size=(120, 60)) as pilot:
        await open_screen(pilot)
        text = screen_text(app)
        for title in ("temperature", "longest reply", "KV cache", "theme", "notification", "config.toml:3"):
            assert title in text
        assert "QWEN3_CHAT_THEME" in text
        assert app.theme == CONTRAST.name


async def test_changes_hold_at_once_and_are_saved_with_the_rest_untouched() -> None:
    app = opened(settings())
    async with app.run_test(size=(100, 50)) as pilot:
        screen = await open_screen(pilot)
        screen.query_one("#setting-temperature", Input).value = "0.25"
        screen.query_one("#setting-top-k", Input).value = "7"
        screen.query_one("#setting-weights", Chooser).action_step(4)
        await pilot.pause()
        assert (app.session.sampling.temperature, app.session.sampling.top_k) == (0.25, 7)
        assert app.session.options.engine.weights == "int8"  # for the next model
        assert config_file().read_text() == FILE
        await pilot.press("ctrl+s")
        await wait_until(pilot, lambda: "saved in" in screen_text(app))
        written = FILE.replace("0.5  # cool\n", "0.25  # cool\ntop-k = 7\n") + '\n[engine]\nweights = "int8"\n'
        assert config_file().read_text() == written
        assert app.preferences.unsaved == {}
        await pilot.press("ctrl+s")
        await wait_until(pilot, lambda: "nothing was changed" in screen_text(app))


async def test_what_was_changed_elsewhere_is_shown_and_can_be_saved() -> None:
    app = opened(settings())
    async with app.run_test(size=(100, 50)) as pilot:
        await wait_until(pilot, lambda: app.session.ready)
        await pilot.press("ctrl+t")
        assert app.session.thinking is False
        screen = await open_screen(pilot)
        chooser = screen.query_one("#setting-think", Chooser)
        assert chooser.words[chooser.place] == "off"
        assert app.preferences.unsaved == {"think": False}
        await pilot.press("ctrl+s")
        await wait_until(pilot, lambda: "saved in" in screen_text(app))
        assert "[chat]\nthink = false\n" in config_file().read_text()


async def test_a_wrong_value_is_said_changes_nothing_and_is_not_saved() -> None:
    app = opened(settings())
    async with app.run_test(size=(100, 50)) as pilot:
        screen = await open_screen(pilot)
        field = screen.query_one("#setting-temperature", Input)
        field.focus()
        field.value = "warm"
        await wait_until(pilot, lambda: "temperature: expected a number from 0 to 10, not 'warm'" in screen_text(app))
        assert app.session.sampling.temperature == 0.5
        screen.query_one("#setting-top-k", Input).focus()
        await pilot.press("ctrl+s")
        assert screen.focused is field
        assert config_file().read_text() == FILE
        await pilot.press("ctrl+r")  # the default: as the model recommends
        assert field.value == ""
        assert app.session.sampling.temperature is None


async def test_a_profile_changes_all_of_its_settings_and_takes_what_is_saved() -> None:
    app = opened(settings())
    async with app.run_test(size=(100, 50)) as pilot:
        screen = await open_screen(pilot)
        await pilot.press("right")
        await wait_until(pilot, lambda: "profile calm, config.toml:6" in screen_text(app))
        assert (app.session.sampling.temperature, app.session.thinking) == (0.1, False)
        screen.query_one("#setting-seed", Input).value = "3"
        await pilot.pause()
        await pilot.press("ctrl+s")
        await wait_until(pilot, lambda: "[profile.calm]" in screen_text(app))
        assert config_file().read_text() == FILE + "seed = 3\n"
        await pilot.press("left")
        await wait_until(pilot, lambda: app.session.sampling.temperature == 0.5)
        assert (app.session.thinking, app.session.sampling.seed) == (None, None)


async def test_a_file_that_cannot_be_written_is_said() -> None:
    app = opened(settings())
    async with app.run_test(size=(100, 50)) as pilot:
        screen = await open_screen(pilot)
        screen.query_one("#setting-seed", Input).value = "3"
        await pilot.pause()
        config_file().write_text("[keys\n")  # somebody edits it
        await pilot.press("ctrl+s")
        told = screen.query_one("#told", Static)  # on the screen a long path may break the words
        await wait_until(pilot, lambda: "is not valid TOML" in str(told.content))
        assert config_file().read_text() == "[keys\n"


async def test_the_look_changes_while_the_screen_is_open() -> None:
    app = opened(settings())
    async with app.run_test(size=(100, 50)) as pilot:
        screen = await open_screen(pilot)
        assert app.theme == DARK.name
        screen.query_one("#setting-theme", Chooser).action_step(1)
        await wait_until(pilot, lambda: app.theme == TERMINAL.name)
        screen.query_one("#setting-ascii", Chooser).action_step(1)
        await wait_until(pilot, lambda: screen_text(app).isascii())
        screen.query_one("#setting-motion", Chooser).action_step(1)
        await pilot.pause()
        assert app.animation_level == "none"
        assert not screen.query_one("#setting-seed", Input).cursor_blink
        await pilot.press("escape")
        await wait_until(pilot, lambda: app.screen is app.chat)
        assert not app.chat.prompt.area.cursor_blink
        assert screen_text(app).isascii()
        assert "enter send" in screen_text(app)
