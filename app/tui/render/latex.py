"""LaTeX formulas in plain Unicode, as far as a line of text can say them: `\\frac{a}{2}` is a/2, `x^2` is x².

What it does not know it refuses as a whole: the formula's source reads better than half of a formula.
"""

from __future__ import annotations

import re

_LONGEST = 2000  # characters; a longer formula is shown as it is
_DEEPEST = 20  # nested groups

_SYMBOLS = dict(
    pair.split("=")
    for pair in (
        # Greek
        "alpha=α beta=β gamma=γ delta=δ epsilon=ϵ varepsilon=ε zeta=ζ eta=η theta=θ vartheta=ϑ iota=ι kappa=κ lambda=λ "
        "mu=μ nu=ν xi=ξ pi=π rho=ρ sigma=σ tau=τ upsilon=υ phi=ϕ varphi=φ chi=χ psi=ψ omega=ω Gamma=Γ Delta=Δ Theta=Θ "
        "Lambda=Λ Xi=Ξ Pi=Π Sigma=Σ Upsilon=Υ Phi=Φ Psi=Ψ Omega=Ω "
        # Operators and relations
        "pm=± mp=∓ times=× div=÷ cdot=· ast=∗ star=⋆ circ=∘ bullet=• oplus=⊕ otimes=⊗ odot=⊙ leq=≤ le=≤ geq=≥ ge=≥ "
        "neq=≠ ne=≠ approx=≈ sim=∼ simeq=≃ cong=≅ equiv=≡ propto=∝ ll=≪ gg=≫ mid=∣ parallel=∥ perp=⊥ "
        "sum=∑ prod=∏ int=∫ iint=∬ oint=∮ partial=∂ nabla=∇ infty=∞ "
        # Sets and logic
        "in=∈ notin=∉ ni=∋ subset=⊂ subseteq=⊆ supset=⊃ supseteq=⊇ cup=∪ cap=∩ setminus=∖ emptyset=∅ varnothing=∅ "
        "forall=∀ exists=∃ neg=¬ lnot=¬ land=∧ wedge=∧ lor=∨ vee=∨ vdash=⊢ models=⊨ therefore=∴ because=∵ "
        # Arrows
        "to=→ rightarrow=→ leftarrow=← gets=← leftrightarrow=↔ Rightarrow=⇒ Leftarrow=⇐ Leftrightarrow=⇔ implies=⟹ "
        "iff=⟺ mapsto=↦ longrightarrow=⟶ uparrow=↑ downarrow=↓ "
        # Brackets, dots and the rest
        "langle=⟨ rangle=⟩ lfloor=⌊ rfloor=⌋ lceil=⌈ rceil=⌉ lVert=‖ rVert=‖ Vert=‖ lvert=| rvert=| vert=| "
        "ldots=… dots=… cdots=⋯ vdots=⋮ ddots=⋱ ell=ℓ hbar=ℏ Re=ℜ Im=ℑ aleph=ℵ prime=′ angle=∠ triangle=△ degree=° "
        "top=⊤ bot=⊥ dagger=† blacksquare=■ square=□ checkmark=✓"
    ).split()
)
_NAMES = frozenset(
    "arccos arcsin arctan arg cos cosh cot csc deg det dim exp gcd hom inf ker lg lim liminf limsup ln log max min mod "
    "Pr sec sin sinh sup tan tanh".split()
)
_SPACES = {",": " ", ";": " ", ":": " ", "!": "", " ": " ", "quad": "  ", "qquad": "    "}
_LITERALS = {character: character for character in "{}%$&#_"} | {"|": "‖", "\\": "\n", "backslash": "\\"}
_SILENT = frozenset(
    "left right big Big bigg Bigg bigl bigr Bigl Bigr displaystyle textstyle scriptstyle limits nolimits".split()
)
_UPRIGHT = frozenset(
    "text textbf textit textrm textsf texttt mathrm mathbf mathit mathsf mathtt operatorname boldsymbol bm mbox "
    "boxed".split()
)
_ACCENTS = {
    "hat": "\u0302",
    "widehat": "\u0302",
    "bar": "\u0304",
    "overline": "\u0305",
    "vec": "\u20d7",
    "dot": "\u0307",
    "ddot": "\u0308",
    "tilde": "\u0303",
    "widetilde": "\u0303",
    "underline": "\u0332",
}
_LINES = frozenset("align align* aligned cases equation equation* gather gather* gathered split".split())
_DOUBLE_STRUCK = dict(zip("CHNPQRZE1", "ℂℍℕℙℚℝℤ𝔼𝟙", strict=True))
_SCRIPT = dict(zip("BEFHILMRDNOPT", "ℬℰℱℋℐℒℳℛ𝒟𝒩𝒪𝒫𝒯", strict=True))
_ABOVE = dict(
    zip(
        "0123456789+-=()abcdefghijklmnoprstuvwxyzABDEGHIJKLMNOPRTUVWαβθ′∗∘ ",
        "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᴬᴮᴰᴱᴳᴴᴵᴶᴷᴸᴹᴺᴼᴾᴿᵀᵁⱽᵂᵅᵝᶿ′*° ",
        strict=True,
    )
)
_BELOW = dict(zip("0123456789+-=()aehijklmnoprstuvxβγρϕχ ", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓᵦᵧᵨᵩᵪ ", strict=True))
_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\s+|.", re.DOTALL)
_SCRIPTS = re.escape("".join((*_ABOVE.values(), *_BELOW.values())).replace(" ", ""))
_SIMPLE = re.compile(rf"[\d.]+|√?.[{_SCRIPTS}]*", re.DOTALL)  # needs no brackets
_PRODUCT = re.compile(r"[^\s+\-−±∓=/,<>]+")  # nor does this above a fraction's line


class _CannotShowError(ValueError):
    """The formula needs more than a line of characters."""


def unicode_math(source: str) -> str | None:
    """The formula between its delimiters as plain text; None if it holds something that has no such form."""
    if len(source) > _LONGEST:
        return None
    formula = _Formula(_TOKEN.findall(source))
    try:
        return "\n".join(line.strip() for line in formula.sequence(0).strip().split("\n"))
    except _CannotShowError:
        return None


class _Formula:
    """A reader over tokens: commands, single characters, runs of blanks."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._place = 0

    def _next(self) -> str:
        if self._place == len(self._tokens):
            raise _CannotShowError
        self._place += 1
        return self._tokens[self._place - 1]

    def _next_is(self, token: str) -> bool:
        return self._place < len(self._tokens) and self._tokens[self._place] == token

    def sequence(self, depth: int, end: str | None = None) -> str:
        """Everything up to the token `end`, or to the end of the formula."""
        if depth > _DEEPEST:
            raise _CannotShowError
        parts: list[str] = []
        while True:
            if end is None and self._place == len(self._tokens):
                return "".join(parts)
            token = self._next()
            if token == end:
                return "".join(parts)
            parts.append(self._atom(token, depth))

    def _argument(self, depth: int) -> str:
        token = self._next()
        if token.isspace():
            token = self._next()
        return self._atom(token, depth)

    def _atom(self, token: str, depth: int) -> str:
        if token.startswith("\\") and len(token) > 1:
            return self._command(token[1:], depth)
        if token == "{":
            return self.sequence(depth + 1, "}")
        if token == "^":
            return _script(self._argument(depth + 1), _ABOVE, "^")
        if token == "_":
            return _script(self._argument(depth + 1), _BELOW, "_")
        if token in ("}", "\\"):
            raise _CannotShowError
        return {"&": "", "~": " ", "'": "′"}.get(token, " " if token.isspace() else token)

    def _command(self, name: str, depth: int) -> str:
        for table in (_SYMBOLS, _SPACES, _LITERALS):
            if name in table:
                return table[name]
        if name in _NAMES:
            return name
        if name in _SILENT:
            if name in ("left", "right") and self._next_is("."):  # an invisible bracket
                self._next()
            return ""
        if name in _UPRIGHT:
            return self._argument(depth + 1)
        if name in ("frac", "dfrac", "tfrac"):
            above, below = self._argument(depth + 1), self._argument(depth + 1)
            return f"{above if _PRODUCT.fullmatch(above) else f'({above})'}/{_grouped(below)}"
        if name == "sqrt":
            degree = self._degree(depth)
            return f"{degree}√{_grouped(self._argument(depth + 1))}"
        if name == "mathbb":
            return _mapped(self._argument(depth + 1), _DOUBLE_STRUCK)
        if name == "mathcal":
            return _mapped(self._argument(depth + 1), _SCRIPT)
        if name in _ACCENTS:
            return "".join(character + _ACCENTS[name] for character in self._argument(depth + 1))
        if name in ("begin", "end"):
            if self._argument(depth + 1) not in _LINES:
                raise _CannotShowError
            return ""
        raise _CannotShowError

    def _degree(self, depth: int) -> str:
        if not self._next_is("["):
            return ""
        self._next()
        return _mapped(self.sequence(depth + 1, "]"), _ABOVE)


def _mapped(text: str, table: dict[str, str]) -> str:
    try:
        return "".join(table[character] for character in text)
    except KeyError:
        raise _CannotShowError from None


def _script(text: str, table: dict[str, str], sign: str) -> str:
    """Small figures where there are such, else the sign and the text in brackets."""
    if all(character in table for character in text):
        return _mapped(text, table)
    return f"{sign}{_grouped(text)}"


def _grouped(text: str) -> str:
    return text if _SIMPLE.fullmatch(text) else f"({text})"
