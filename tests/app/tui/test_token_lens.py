"""The token lens in the window: which reply it shows, where its cursor goes, branching, measuring."""

from __future__ import annotations

import math
from typing import Any

import pytest
from scene import ask, conversation, idle, replies, scene, screen_text, wait_until, window
from scripted import FIRST_BYTE, Line, Scripted, ScriptedCache, ScriptedTokenizer

from qwen3_chat.app.chat.trace import TokenTrace
from qwen3_chat.app.tui.app import ChatApp
from qwen3_chat.app.tui.render.tokens import TokenLines, TokenTexts, token_text
from qwen3_chat.app.tui.widgets.token_lens import TokenDetail, TokenLens, TokenText

TOKENIZER: Any = ScriptedTokenizer()


def id_of(character: str) -> int:
    return FIRST_BYTE + ord(character)


def tell(app: ChatApp, surprising: str, alternatives: str) -> None:
    """Give the newest reply a trace: tokens of `surprising` have p = 1/20, all others 9/10."""
    message = replies(app)[-1].message
    trace = TokenTrace()
    for at, id in enumerate(message.token_ids):
        logprob = math.log(0.05 if id in map(id_of, surprising) else 0.9)
        others = tuple((id_of(one), math.log(0.01)) for one in alternatives)
        trace.add(TraceRow(logprob, ((id, logprob), *others)), at=at)
    message.trace = trace


class TraceRow:
    ns = 1

    def __init__(self, logprob: float, top: tuple[tuple[int, float], ...]) -> None:
        self.logprob, self.top = logprob, top


def cursor(app: ChatApp) -> int:
    return app.chat.query_one(TokenText).cursor


async def opened(pilot: Any, text: str = "hi") -> TokenText:
    app = pilot.app
    await ask(pilot, text)
    tell(app, "xy", "o")
    await pilot.press("f4")
    await wait_until(pilot, lambda: app.chat.query_one(TokenDetail).view is not None)
    return app.chat.query_one(TokenText)


async def test_it_opens_at_the_first_surprise_and_the_cursor_goes_everywhere() -> None:
    app = window(scene("axbyc\nsecond line"))
    async with app.run_test(size=(120, 40)) as pilot:
        lens = await opened(pilot)
        assert (cursor(app), lens.has_focus) == (1, True)
        for key, place in (("n", 3), ("n", 1), ("N", 3), ("left", 2), ("l", 3), ("j", 9), ("k", 3), ("home", 0)):
            await pilot.press(key)
            assert cursor(app) == place, key
        await pilot.press("end")
        assert cursor(app) == len("axbyc\nsecond line") - 1
        await pilot.press("right")
        assert cursor(app) == len("axbyc\nsecond line") - 1
        await pilot.press("escape")
        assert not app.chat.query_one(TokenLens).display
        assert app.chat.prompt.area.has_focus


async def test_the_detail_has_the_figures_of_the_token_under_the_cursor() -> None:
    app = window(scene("axb"))
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        view = app.chat.query_one(TokenDetail).view
        assert view is not None
        assert view.facts.surprise == pytest.approx(-math.log(0.05), rel=1e-6)
        assert [(one.id, one.drawn) for one in view.facts.alternatives] == [(id_of("x"), True), (id_of("o"), False)]
        await wait_until(pilot, lambda: "surprise 3.00" in screen_text(app))
        row = next(line for line in screen_text(app).split("\n") if "● x" in line)
        assert "5.0%" in row


async def test_enter_branches_at_the_alternative_and_goes_on() -> None:
    made = scene("<think>\nHm.\n</think>\n\nfxrst", "rest")
    app = window(made)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        original = replies(app)[-1].message
        await pilot.press("enter")  # the other one is chosen already: branching at what stands there is none
        await wait_until(pilot, lambda: len(conversation(app).siblings(original.id)) == 2 and idle(app))
        branched = replies(app)[-1].message
        index = original.token_ids.index(id_of("x"))
        assert made.engine.requests[-1][0][-index - 1 :] == [*original.token_ids[:index], id_of("o")]
        assert (branched.content, branched.thinking) == ("forest", "Hm.")
        assert (original.content, original.thinking) == ("fxrst", "Hm.")
        assert branched.seed is not None
        lens = app.chat.query_one(TokenText)
        assert (lens.message, lens.cursor) == (branched, index)


async def test_the_token_that_stands_there_is_no_branch() -> None:
    app = window(scene("axb"))
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(pilot)
        await pilot.press("up", "enter")
        await wait_until(pilot, lambda: "choose another one" in screen_text(app))
        assert len(conversation(app).messages()) == 2


async def test_it_follows_the_reply_that_is_written() -> None:
    app = window(scene("first", Line("second", "wait")))
    async with app.run_test(size=(120, 40)) as pilot:
        lens = await opened(pilot)
        app.chat.set_focus(app.chat.prompt.area)
        await pilot.press(*"go", "enter")
        await wait_until(pilot, lambda: lens.message is not None and lens.message.content == "second")
        await wait_until(pilot, lambda: "second" in screen_text(app).split("TOKENS")[1])
        await pilot.press("escape")


async def test_without_a_reply_there_is_nothing_to_look_at() -> None:
    app = window(scene())
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until(pilot, lambda: app.session.ready)
        await pilot.press("f4")
        await wait_until(pilot, lambda: "there is no reply yet" in screen_text(app))
        assert not app.chat.query_one(TokenLens).display


async def test_a_reply_without_figures_is_measured_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    made: Scripted = scene("Hello")
    steps = []

    def step(requests: Any) -> list[Any]:
        import numpy as np

        (request,) = requests
        steps.append(request.logits)
        logits = np.zeros((len(request.tokens), TOKENIZER.vocab_size), np.float32)
        logits[:, id_of("o")] = 3.0
        return [logits if request.logits == "all" else None]

    made.engine.step = step  # type: ignore[attr-defined]
    monkeypatch.setattr("qwen3_chat.engine.StepRequest", FakeRequest)
    monkeypatch.setattr(ScriptedCache, "busy", False, raising=False)
    monkeypatch.setattr(ScriptedCache, "fork", lambda self, n: ScriptedCache(), raising=False)
    app = window(made)
    async with app.run_test(size=(120, 40)) as pilot:
        await ask(pilot, "hi")
        message = replies(app)[-1].message
        message.trace = TokenTrace()
        await pilot.press("f4")
        await wait_until(pilot, lambda: "nobody measured this token" in screen_text(app))
        await pilot.press("s")
        await wait_until(pilot, lambda: len(message.trace) == len("Hello"))
        sure = 3.0 - math.log(math.exp(3.0) + TOKENIZER.vocab_size - 1)
        assert message.trace.logprobs[-1] == pytest.approx(sure, rel=1e-5)
        assert message.trace.logprobs[0] == pytest.approx(sure - 3.0, rel=1e-5)
        assert all(top[0][0] == id_of("o") and len(top) == 10 for top in message.trace.tops)
        assert steps[-1] == "all"
        await wait_until(pilot, lambda: "surprise" in screen_text(app).split("TOKENS")[1])
        await pilot.press("s")
        await wait_until(pilot, lambda: "every token of it is measured" in screen_text(app))


class FakeRequest:
    def __init__(self, tokens: Any, cache: Any, logits: str) -> None:
        self.tokens, self.cache, self.logits = tokens, cache, logits


# ---- tokens as lines ------------------------------------------------------------------------------------------------


def laid_out(text: str, width: int) -> list[str]:
    lines, reader = TokenLines(width), TokenTexts(TOKENIZER)
    lines.extend(reader.push(id) for id in TOKENIZER.encode(text))
    for token, line in enumerate(lines.line_of):
        assert any(piece.token == token for piece in lines.lines[line])
    assert all(sum(piece.width for piece in line) <= width for line in lines.lines)
    return ["".join(piece.text for piece in line) for line in lines.lines]


def test_line_ends_are_shown_and_words_stay_whole() -> None:
    assert laid_out("one two\nthree", 8) == ["one two↵", "three"]
    assert laid_out("a longer line of words", 10) == ["a longer", " line of", " words"]
    assert laid_out("unbreakable", 4) == ["unbr", "eaka", "ble"]
    assert laid_out("a\n\nb", 9) == ["a↵", "↵", "b"]


def test_half_a_character_is_shown_by_its_bytes_and_the_whole_one_at_its_end() -> None:
    assert laid_out("é", 20) == ["⟨c3⟩é"]
    assert token_text(TOKENIZER, TOKENIZER.encode("é")[0]) == "⟨c3⟩"


def test_a_token_by_itself_shows_its_blanks() -> None:
    assert [token_text(TOKENIZER, id_of(one)) for one in " \n\ta"] == ["␣", "↵", "→", "a"]
