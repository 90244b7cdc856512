"""Pictures of the window, compared with those in `snapshots/`.

With QWEN3_SNAPSHOTS=update they are written anew: look at each before committing it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from scene import scene, screen_text, wait_until, window

from qwen3_chat.app.chat.conversation import Conversation, ReplyStats
from qwen3_chat.app.tui.app import ChatApp
from qwen3_chat.app.tui.render.palette import LIGHT
from qwen3_chat.app.tui.widgets.transcript import Transcript

_PATIENCE = 100  # looks at the window until it counts as different
SNAPSHOTS = Path(__file__).parent / "snapshots"
STATS = ReplyStats(
    prompt_tokens=1612,
    reused_tokens=1204,
    prefill_tokens=408,
    new_tokens=412,
    thinking_tokens=184,
    first_token_s=0.038,
    prefill_s=0.03,
    decode_s=10.1,
    thinking_s=2.1,
    tokens_per_s=40.8,
    prefill_tokens_per_s=1300.0,
)
ANSWER = r"""
Because a 2-D rotation is the **smallest** real linear map that encodes a *phase*: \(e^{i\theta}\) turns a pair of
dimensions by $\theta_i = 10000^{-2i/d}$.

1. Split the head into pairs
   - first half with second half, as in `rotate_half`
   - [x] no parameters
2. Turn each pair by its own angle

```python
def rope(x, cos, sin):  # [tokens, heads, head_dim]
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)
```

| pair | 波长 | angle per token |
|:-----|-----:|:---------------:|
| 0 | 6.28 | 1 |
| 63 | 54 410 | 0.000 115 |

> Positions are never added to the embedding: only their *differences* reach the attention score.
"""


def conversation() -> Conversation:
    """Every kind of message, in every state that a finished one can have."""
    made = Conversation()
    for question, answer, thinking, state in (
        ("Why does RoPE use pairs of dimensions?", ANSWER, "A rotation needs a plane.\nSo two dimensions.", "complete"),
        ("两句话解释一下 YaRN。👩‍🔬", "YaRN 只缩放低频分量，高频分量保持不变。", "", "stopped"),
    ):
        made.add_user(question)
        reply = made.begin_reply()
        reply.content, reply.thinking, reply.state, reply.stats = answer, thinking, state, STATS  # type: ignore[assignment]
        reply.finish_reason = "cancelled" if state == "stopped" else "stop"
    return made


def picture(app: ChatApp) -> str:
    """The screen as SVG, without what differs between two equal ones, and without fonts from elsewhere."""
    svg = re.sub(r"terminal-\d+", "terminal", app.export_screenshot(title="qwen3-chat"))
    return re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)


async def compare(pilot: Any, name: str, tmp_path: Path) -> None:
    """Wait until the window looks as it should; it has settled when nothing changes any more."""
    app, expected = pilot.app, SNAPSHOTS / f"{name}.svg"
    update = os.environ.get("QWEN3_SNAPSHOTS") == "update"
    wanted = expected.read_text(encoding="utf-8") if expected.exists() and not update else None
    drawn = ""
    for _ in range(_PATIENCE):
        before, drawn = drawn, picture(app)
        if drawn == wanted or (update and drawn == before):
            break
        await pilot.pause(0.05)
    if update:
        SNAPSHOTS.mkdir(exist_ok=True)
        expected.write_text(drawn, encoding="utf-8")
    elif drawn != wanted:
        (tmp_path / f"{name}.svg").write_text(drawn, encoding="utf-8")
        pytest.fail(f"the window looks different: {tmp_path / name}.svg; the screen:\n{screen_text(app)}")


async def shown(pilot: Any, made: Conversation) -> None:
    app = pilot.app
    await wait_until(pilot, lambda: app.session.ready)
    app.session.conversation = made
    await app.chat.query_one(Transcript).show(made.path())
    app.chat.refresh_meters()
    await wait_until(pilot, lambda: "tok left" in screen_text(app))


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("look", ["colour", "no_color"])
async def test_a_chat(size: tuple[int, int], look: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    if look == "no_color":
        monkeypatch.setenv("NO_COLOR", "1")
    app = window(scene())
    async with app.run_test(size=size) as pilot:
        await shown(pilot, conversation())
        if size[0] >= 120:
            await pilot.press("f3")
            await wait_until(pilot, lambda: "LAYERS" in screen_text(app))
        await wait_until(pilot, lambda: app.chat.query_one(Transcript).follows)
        await compare(pilot, f"chat-{size[0]}x{size[1]}-{look}", tmp_path)


async def test_an_unfolded_reply_in_a_light_theme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    app = window(scene())
    async with app.run_test(size=(80, 44)) as pilot:
        app.theme = LIGHT.name
        await shown(pilot, conversation())
        await pilot.press("alt+up", "k", "k", "t")
        await wait_until(pilot, lambda: "So two dimensions." in screen_text(app))
        await compare(pilot, "unfolded-80x44-light", tmp_path)


async def test_finding_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    app = window(scene())
    async with app.run_test(size=(80, 24)) as pilot:
        await shown(pilot, conversation())
        await pilot.press("ctrl+f", *"pair")
        await wait_until(pilot, lambda: "1 of 5" in screen_text(app))
        await compare(pilot, "find-80x24", tmp_path)
