"""Formulas: in Unicode where that says them, untouched where it does not, and none where there is only money."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen3_chat.app.tui.render.latex import unicode_math
from qwen3_chat.app.tui.render.markdown import GrowingMarkdown
from qwen3_chat.app.tui.render.palette import DARK, Palette

PALETTE = Palette.from_theme(DARK)


def shown(text: str, width: int = 70) -> str:
    done, tail = GrowingMarkdown(text).strips(PALETTE, width)
    return "\n".join(strip.text.rstrip() for strip in done + tail)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r"E = mc^2", "E = mc²"),
        (r"a_1 + a_{10}", "a₁ + a₁₀"),
        (r"x_{i,j}^T", "x_(i,j)ᵀ"),
        (r"e^{i\pi} + 1 = 0", "e^(iπ) + 1 = 0"),
        (r"\sum_{i=1}^{n} x_i", "∑ᵢ₌₁ⁿ xᵢ"),
        (r"\frac{a+b}{2}", "(a+b)/2"),
        (r"\frac{QK^\top}{\sqrt{d_k}}", "QK^⊤/√dₖ"),
        (r"\sqrt[3]{x+1}", "³√(x+1)"),
        (r"\left( \frac{1}{2} \right.", "( 1/2"),
        (r"\mathbb{R}^n", "ℝⁿ"),
        (r"\hat{y} \approx \bar{y}", "y\u0302 ≈ y\u0304"),
        (r"\text{softmax}(x)", "softmax(x)"),
        (r"90^\circ, f'(x)", "90°, f′(x)"),
        (r"\begin{aligned} a &= b \\ c &= d \end{aligned}", "a = b\nc = d"),
        (r"\{1, 2\}", "{1, 2}"),
    ],
)
def test_formulas_in_unicode(source: str, text: str) -> None:
    assert unicode_math(source) == text


@pytest.mark.parametrize(
    "source",
    [r"\begin{pmatrix}1 & 2\end{pmatrix}", r"\unknown x", "{", "}", "^", "\\", r"\frac{1}", "{" * 2000, r"\mathbb{?}"],
)
def test_what_has_no_such_form_is_refused_as_a_whole(source: str) -> None:
    assert unicode_math(source) is None


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(["\\frac", "\\sqrt", "{", "}", "[", "]", "^", "_", "x", "\\left", "\\begin", " "])))
def test_no_formula_fails(pieces: list[str]) -> None:
    assert isinstance(unicode_math("".join(pieces)), str | None)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r"so \(a_1 * b_1 * c\) is", "so a₁ * b₁ * c is"),
        (r"so $x^2$, and $n$ more", "so x², and n more"),
        (r"so \[x^2\] in a line", "so x² in a line"),
        ("$$\n\\frac{1}{2}\n+ x\n$$\nafter", "1/2 + x\n\nafter"),
        ("before\n\\[\nx^2\n\\]", "before\n\nx²"),
        ("- a\n  $$\n  x^2\n  $$\n- b", "• a\n  x²\n• b"),
        ("$$\n\\unknown *x*\n- y\n$$", "$$\n\\unknown *x*\n- y\n$$"),
        ("$$\nnever closed *x*\n\n*y*", "$$\nnever closed *x*\n\ny"),
        (r"`$x^2$` and `\(x^2\)`", r"$x^2$ and \(x^2\)"),
        ("```\n$$\nx^2\n$$\n```", " $$\n x^2\n $$"),
        ("it costs $5 and $6, or 5$ and 6$", "it costs $5 and $6, or 5$ and 6$"),
        ("set $HOME/$USER or $A_B and $C_D", "set $HOME/$USER or $A_B and $C_D"),
        (r"\$5 and \$6", "$5 and $6"),
        (r"so $\unknown{*x*}$ is", r"so $\unknown{*x*}$ is"),
    ],
)
def test_formulas_in_markdown(source: str, text: str) -> None:
    assert shown(source) == text
