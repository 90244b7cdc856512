"""What becomes of every drawn line before it is sent: ASCII instead of signs, and few colours or none.

Widgets draw as if the terminal could do everything. Here is what is left of that where it cannot, or shall not.
"""

from __future__ import annotations

from colorsys import rgb_to_hls
from functools import lru_cache

from rich.color import Color as RichColor
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

__all__ = ["AsciiFilter", "ColourFilter", "to_ascii"]

_NEAR = 60.0  # distance in RGB up to which a background counts as the theme's own
_GREY = 0.2  # saturation below which a colour is one
_BRIGHT, _DARK = 0.66, 0.34  # lightness of text that is not dimmed, on a dark and on a light ground
_HUES = ((1 / 12, 1), (0.22, 3), (0.45, 2), (0.55, 6), (0.72, 4), (0.92, 5), (1.0, 1))  # up to: ANSI colour

_SIGNS = {
    **dict.fromkeys("─━╌╍┄┅┈┉╴╶╸╺═", "-"),
    **dict.fromkeys("│┃╎╏┆┇┊┋╵╷╹╻║", "|"),
    **dict.fromkeys("▏▎▍▌▋▊▉▕▐", "|"),
    **dict(zip("▁▂▃▄▅▆▇█", "_.:-=+*#", strict=True)),
    **dict(zip("░▒▓", ".:%", strict=True)),
    **dict.fromkeys("▀▔", '"'),
    **dict.fromkeys("→▶▸▹►❯›»", ">"),
    **dict.fromkeys("←◀◂◃◄‹«⏎↵", "<"),
    **dict.fromkeys("↑▲▴△", "^"),
    **dict.fromkeys("↓▼▾▽", "v"),
    **dict.fromkeys("↔⇔", "="),
    **dict.fromkeys("◆◇", "*"),  # a reply, being written, stopped: told apart
    **dict.fromkeys("●◉⬤", "o"),
    **dict.fromkeys("○◌◦", "."),
    **dict.fromkeys("■◼", "#"),
    **dict.fromkeys("□◻", "o"),
    **dict.fromkeys("✗✘✕×", "x"),
    **dict.fromkeys("✓✔☑", "v"),
    **dict.fromkeys("·•‧∙⋅", "."),
    **dict.fromkeys("–—−‐‑", "-"),
    **dict.fromkeys("‘’‚′", "'"),
    **dict.fromkeys("“”„″", '"'),
    **{"…": ".", "\u00a0": " ", "\u202f": " ", "µ": "u", "Σ": "S", "✎": "e", "☐": "o", "⌫": "<", "≈": "~", "⚠": "!"},
}
_TABLE = {
    **dict.fromkeys(range(0x2500, 0x2580), "+"),  # what is left of the box drawing: corners and crossings
    **dict.fromkeys(range(0x2580, 0x2600), "#"),  # blocks and shapes
    **dict.fromkeys(range(0x2800, 0x2900), "#"),  # braille, of which graphs are made
    **{ord(sign): plain for sign, plain in _SIGNS.items()},
}


def to_ascii(text: str) -> str:
    """The signs that the app draws with, cell by cell in ASCII. Letters of any script stay: they are what was said."""
    return text if text.isascii() else text.translate(_TABLE)


class AsciiFilter(LineFilter):
    """Draws with ASCII alone."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Every segment keeps its width."""
        return [Segment(to_ascii(text), style, control) for text, style, control in segments]


class ColourFilter(LineFilter):
    """The terminal's own colours, by hue, or none at all.

    Text that was greyer than the rest is dim, and what had a ground of its own is reversed, so that neither a cursor
    nor a chosen line depends on a colour.
    """

    def __init__(self, ground: str, *, colours: bool) -> None:
        """`ground`: the theme's background, as #rrggbb."""
        super().__init__()
        self._ground = Color.parse(ground)
        self._colours = colours

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Text stays as it is."""
        return [
            Segment(text, style and _plain(style, self._ground, self._colours), control)
            for text, style, control in segments
        ]


@lru_cache(4096)
def _plain(style: Style, ground: Color, colours: bool) -> Style:
    colour = None if style.color is None or style.color.is_default else Color.from_rich_color(style.color)
    back = None if style.bgcolor is None or style.bgcolor.is_default else Color.from_rich_color(style.bgcolor)
    apart = back is not None and _distance(back, ground) > _NEAR
    number, dim = (None, False) if colour is None else _ansi(colour, dark=ground.brightness < 0.5)
    kept = Style(
        color=RichColor.from_ansi(number) if number is not None and colours and not apart else None,
        bold=style.bold,
        dim=((style.dim or dim) and not apart) or None,
        italic=style.italic,
        underline=style.underline,
        strike=style.strike,
        reverse=bool(style.reverse) != apart or None,
        link=style.link,
    )
    return kept + Style.from_meta(style.meta) if style.meta else kept


def _ansi(colour: Color, *, dark: bool) -> tuple[int | None, bool]:
    """The ANSI colour of that hue, None for grey; and whether a grey one is dim."""
    hue, lightness, saturation = rgb_to_hls(*colour.normalized)
    if saturation < _GREY or lightness in (0.0, 1.0):
        return None, lightness < _BRIGHT if dark else lightness > _DARK
    return next(number for limit, number in _HUES if hue <= limit), False


def _distance(one: Color, other: Color) -> float:
    pairs = zip(one.rgb, other.rgb, strict=True)
    return float(sum((a - b) ** 2 for a, b in pairs) ** 0.5)
