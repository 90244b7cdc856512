"""Numbers as people read them."""

from __future__ import annotations

import pytest

from qwen3_chat.app.tui import format
from qwen3_chat.app.tui.render.palette import DARK, Palette
from qwen3_chat.app.tui.widgets.status_line import Status, status_text


@pytest.mark.parametrize(
    ("function", "value", "text"),
    [
        (format.exact, 1204, "1\u00a0204"),
        (format.short, 999, "999"),
        (format.short, 3100, "3.1k"),
        (format.short, 32_768, "33k"),
        (format.short, 1_200_000, "1.2M"),
        (format.size, 812, "812 B"),
        (format.size, 3_250_586, "3.1 MiB"),
        (format.size, 700 << 20, "700 MiB"),
        (format.size, 1200 << 20, "1.2 GiB"),
        (format.seconds, 0.038, "38 ms"),
        (format.seconds, 2.13, "2.1 s"),
        (format.seconds, None, "–"),
        (format.milliseconds, 420_000, "0.42 ms"),
        (format.milliseconds, 85_000, "85.0 µs"),
        (format.rate, 4.123, "4.12"),
        (format.rate, 41.23, "41.2"),
        (format.rate, 412.3, "412"),
        (format.rate, None, "–"),
    ],
)
def test_numbers(function: object, value: object, text: str) -> None:
    assert function(value) == text  # type: ignore[operator]


def test_a_meter_shows_a_little_as_a_little() -> None:
    assert format.meter(0, 100, 10) == "··········"
    assert format.meter(1, 100, 10) == "▏·········"
    assert format.meter(50, 100, 10) == "█████·····"
    assert format.meter(200, 100, 10) == "██████████"
    assert format.meter(5, 0, 4) == "····"


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120])
def test_the_status_line_keeps_its_width_and_the_cache(width: int) -> None:
    status = Status("answer", "", True, 41.0, 0.038, (1.0, 2.0, 3.0), 3100, 32_768, 12 << 20, 64 << 20)
    text = status_text(status, Palette.from_theme(DARK), width)
    assert text.cell_len == width
    assert "KV" in text.plain
    assert "3.1k/33k" in text.plain
    if width >= 60:
        assert "41.0 tok/s" in text.plain
        assert "38 ms" in text.plain
    if width >= 80:
        assert "12.0 MiB/64.0 MiB" in text.plain
