"""The colours of the transcript, taken from the app's theme, and the themes that the app brings along."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from rich.style import Style
from rich.theme import Theme as RichTheme
from textual.color import Color
from textual.theme import Theme

if TYPE_CHECKING:
    from textual.app import App

DARK = Theme(
    name="qwen-dark",
    dark=True,
    primary="#a79bff",
    secondary="#7cc7c0",
    accent="#a79bff",
    foreground="#d9dbe3",
    background="#14151b",
    surface="#1b1d25",
    panel="#242733",
    success="#86c995",
    warning="#e2b86b",
    error="#ec8288",
    variables={"input-selection-background": "#a79bff 30%"},
)
LIGHT = Theme(
    name="qwen-light",
    dark=False,
    primary="#5a48d0",
    secondary="#1f7a75",
    accent="#5a48d0",
    foreground="#2a2c36",
    background="#fbfaf8",
    surface="#f1f0ec",
    panel="#e6e4de",
    success="#2d7d43",
    warning="#8f6200",
    error="#b8323b",
    variables={"input-selection-background": "#5a48d0 25%"},
)

CONTRAST = Theme(  # every colour of text has 7 : 1 and more against the background
    name="qwen-contrast",
    dark=True,
    primary="#ffe14d",
    secondary="#7fe7ff",
    accent="#ffe14d",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#000000",
    success="#7dff9a",
    warning="#ffc266",
    error="#ffa3a3",
    variables={"input-selection-background": "#ffe14d 45%"},
)
TERMINAL = Theme(  # stands for the terminal's own colours: `filters.ColourFilter` puts them in the place of these
    name="qwen-terminal",
    dark=True,
    primary="#ff5fff",
    secondary="#5fffff",
    accent="#ff5fff",
    foreground="#ffffff",
    background="#000000",
    surface="#0a0a0a",
    panel="#141414",
    success="#5fff5f",
    warning="#ffd75f",
    error="#ff5f5f",
    variables={"input-selection-background": "#ff5fff 40%"},
)
THEMES = {"dark": DARK, "light": LIGHT, "contrast": CONTRAST, "terminal": TERMINAL}  # as the setting names them


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours as `#rrggbb`. Hashable: strips are cached per palette."""

    dark: bool
    strong: bool  # nothing is too faint to be read without effort
    foreground: str
    background: str
    surface: str
    muted: str
    faint: str
    accent: str
    secondary: str
    success: str
    warning: str
    error: str

    @classmethod
    def of(cls, app: App[object]) -> Palette:
        """The palette of the app's current theme. Cheap: themes are told apart by their names."""
        theme = app.current_theme
        if theme.name not in _KNOWN:
            _KNOWN[theme.name] = cls.from_theme(theme)
        return _KNOWN[theme.name]

    @classmethod
    def from_theme(cls, theme: Theme) -> Palette:
        """The palette of any Textual theme; muted and faint are mixed from its fore- and background."""
        system = theme.to_color_system()
        generated = system.generate()

        def solid(name: str, fallback: str) -> Color:
            try:
                return Color.parse(generated.get(name, fallback))
            except ValueError:
                return Color.parse(fallback)

        foreground = solid("foreground", "#d9dbe3" if theme.dark else "#2a2c36")
        background = solid("background", "#14151b" if theme.dark else "#fbfaf8")

        def mixed(share: float) -> str:
            return foreground.blend(background, share / 3 if strong else share, alpha=1).hex6

        strong = theme.name == CONTRAST.name
        return cls(
            dark=theme.dark,
            strong=strong,
            foreground=foreground.hex6,
            background=background.hex6,
            surface=solid("surface", background.hex6).hex6,
            muted=mixed(0.38 if theme.dark else 0.33),
            faint=mixed(0.62),
            accent=solid("accent", foreground.hex6).hex6,
            secondary=solid("secondary", foreground.hex6).hex6,
            success=solid("success", foreground.hex6).hex6,
            warning=solid("warning", foreground.hex6).hex6,
            error=solid("error", foreground.hex6).hex6,
        )

    @property
    def code_theme(self) -> str:
        """A Pygments style that goes with the palette."""
        return "lightbulb" if self.strong else "one-dark" if self.dark else "friendly"

    def found(self, *, chosen: bool) -> Style:
        """How words that were looked for are marked. Without colour, too, the chosen ones stand out."""
        if chosen:
            return Style(color=self.background, bgcolor=self.warning, bold=True, underline=True)
        return Style(color=self.warning, underline=True)

    @lru_cache(maxsize=8)  # noqa: B019 - palettes are few and live as long as the app
    def rich_theme(self) -> RichTheme:
        """Styles for Rich's Markdown elements."""
        return RichTheme(
            {
                "markdown.paragraph": Style(),
                "markdown.item": Style(),
                "markdown.item.bullet": Style(color=self.accent),
                "markdown.item.number": Style(color=self.accent),
                "markdown.block_quote": Style(color=self.muted, italic=True),
                "markdown.hr": Style(color=self.faint),
                "markdown.h1": Style(color=self.accent, bold=True),
                "markdown.h2": Style(color=self.accent, bold=True),
                "markdown.h3": Style(color=self.foreground, bold=True),
                "markdown.h4": Style(color=self.foreground, bold=True),
                "markdown.h5": Style(color=self.muted, bold=True),
                "markdown.h6": Style(color=self.muted, bold=True),
                "markdown.em": Style(italic=True),
                "markdown.strong": Style(bold=True),
                "markdown.s": Style(strike=True),
                "markdown.code": Style(color=self.secondary, bgcolor=self.surface),
                "markdown.a": Style(color=self.accent, underline=True),
                "markdown.url": Style(color=self.muted),
                "markdown.table.border": Style(color=self.faint),
                "markdown.table.header": Style(bold=True),
            },
            inherit=True,
        )


_KNOWN: dict[str, Palette] = {}
