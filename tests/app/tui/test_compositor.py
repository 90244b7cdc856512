"""What is painted anew is what a whole painting would have there."""

from __future__ import annotations

import pytest
from scene import ask, scene, wait_until, window
from textual.geometry import Region

from qwen3_chat.app.tui.widgets.engine_panel import EnginePanel


@pytest.mark.parametrize("panel", ["", "f3", "f4"])
async def test_a_part_is_painted_as_the_whole_would_be(panel: str) -> None:
    app = window(scene("# Title\n\nA reply of some words.\n\n- one\n- two", "Another.\n\n" * 20))
    async with app.run_test(size=(100, 30)) as pilot:
        for text in ("hi", "and?"):
            await ask(pilot, text)
        if panel:
            await pilot.press(panel)
            await wait_until(pilot, lambda: app.chat.query_one(EnginePanel).display == (panel == "f3"))
        compositor = app.chat._compositor
        whole = [list(strip.crop(0, 100)) for strip in compositor.render_strips()]
        for region in (
            Region(0, 3, 100, 1),
            Region(5, 10, 20, 4),
            Region(70, 2, 30, 20),
            Region(0, 25, 100, 5),
            Region(99, 29, 1, 1),
        ):
            compositor._dirty_regions = {region}
            update = compositor.render_partial_update()
            assert update is not None
            for y, x1, x2 in update.spans:
                cells = [style for part in whole[y] for style in [(c, part.style) for c in part.text]]
                painted = 0
                for x, strip in update.chops[y].items():
                    if strip is None or x >= x2 or x + strip.cell_length <= x1:
                        continue  # not written
                    found = [(character, part.style) for part in strip for character in part.text]
                    assert found == cells[x : x + len(found)]
                    painted += max(0, min(x2, x + len(found)) - max(x1, x))
                assert painted == x2 - x1
