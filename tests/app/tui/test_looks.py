"""Looks for those who need another one: contrast that is counted, lines without colours or without signs."""

from __future__ import annotations

import pytest
from pygments.styles import get_style_by_name
from rich.segment import Segment
from rich.style import Style
from scene import scene, wait_until, window
from test_snapshots import conversation, shown
from textual.color import Color

from qwen3_chat.app.settings.resolve import Settings
from qwen3_chat.app.tui.render.filters import AsciiFilter, ColourFilter, to_ascii
from qwen3_chat.app.tui.render.palette import CONTRAST, DARK, LIGHT, TERMINAL, THEMES, Palette

BLACK = Color.parse("#000000")
COLOURS = ("foreground", "muted", "faint", "accent", "secondary", "success", "warning", "error")


def contrast(one: str, other: str) -> float:
    """WCAG 2's contrast ratio of two colours."""

    def luminance(colour: str) -> float:
        parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in rgb(colour)]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    def rgb(colour: str) -> tuple[float, float, float]:
        return Color.parse(colour).normalized

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("name", COLOURS)
def test_high_contrast_is_7_to_1_and_more(name: str) -> None:
    palette = Palette.from_theme(CONTRAST)
    assert contrast(getattr(palette, name), palette.background) >= 7


def test_code_in_high_contrast_is_readable() -> None:
    style = get_style_by_name(Palette.from_theme(CONTRAST).code_theme)
    assert all(contrast(f"#{one['color']}", "#000000") >= 4.5 for _, one in style if one["color"])


@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_text_of_the_usual_themes_is_4_5_to_1_and_more(theme: object) -> None:
    palette = Palette.from_theme(theme)  # type: ignore[arg-type]
    for name in COLOURS:
        if name != "faint":  # which is for lines and what is not to be read first
            assert contrast(getattr(palette, name), palette.background) >= 4.5, name


def drawn(style: str, *, colours: bool) -> Style:
    segments = ColourFilter("#000000", colours=colours).apply([Segment("x", Style.parse(style))], BLACK)
    return segments[0].style or Style()


@pytest.mark.parametrize(
    ("style", "number"),
    [
        (TERMINAL.accent, 5),
        (TERMINAL.secondary, 6),
        (TERMINAL.success, 2),
        (TERMINAL.warning, 3),
        (TERMINAL.error, 1),
        ("#61afef", 4),
        (TERMINAL.foreground, None),
    ],
)
def test_the_terminals_own_colours_by_hue(style: str, number: int | None) -> None:
    colour = drawn(style, colours=True).color
    assert (colour.number if colour is not None else None) == number
    assert drawn(style, colours=False).color is None


@pytest.mark.parametrize("colours", [True, False])
def test_a_ground_of_its_own_is_reversed_and_grey_is_dim(colours: bool) -> None:
    plain = drawn("#ffffff on #000000", colours=colours)
    assert (plain.bgcolor, plain.reverse, plain.dim) == (None, None, None)
    assert drawn("#ffffff on #401840", colours=colours).reverse
    assert not drawn("reverse #ffffff on #401840", colours=colours).reverse  # a cursor in a chosen line
    assert drawn("#9e9e9e on #0a0a0a", colours=colours) == Style(dim=True)
    kept = drawn("bold italic underline strike #ffffff", colours=colours)
    assert (kept.bold, kept.italic, kept.underline, kept.strike) == (True, True, True, True)


def test_signs_become_ascii_cell_by_cell() -> None:
    signs = "◆●○■✗❯▸─│╭╮╰╯█▓░▁▂▃▄▅▆▇·…–—↑↓←→⏎ \u00a0“”’‹›Σ"
    assert to_ascii(signs).isascii()
    assert len(to_ascii(signs)) == len(signs)
    assert len(set(to_ascii("◆●○■✗"))) == 5  # states are told apart
    assert to_ascii("é 世界 θ") == "é 世界 θ"
    assert AsciiFilter().apply([Segment("● x", Style(bold=True))], BLACK) == [Segment("o x", Style(bold=True))]


async def test_no_color_leaves_no_colour_on_the_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = window(scene())
    async with app.run_test(size=(100, 30)) as pilot:
        await shown(pilot, conversation())
        await pilot.press("ctrl+p")
        await wait_until(pilot, lambda: app.screen is not app.chat)
        await pilot.pause()
        styles = [segment.style for strip in app.screen._compositor.render_strips() for segment in strip]
        assert all(style is None or (style.color is None and style.bgcolor is None) for style in styles)


@pytest.mark.parametrize(("variable", "theme"), [("15;0", DARK), ("0;15", LIGHT), ("", DARK)])
def test_auto_follows_what_the_terminal_says(variable: str, theme: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLORFGBG", variable)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert window(scene()).current_theme is theme
    for name, chosen in THEMES.items():
        assert window(scene(), settings=Settings().changed("theme", name)).current_theme is chosen
