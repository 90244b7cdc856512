from __future__ import annotations

import threading

import pytest
from jinja2.exceptions import TemplateRuntimeError

from qwen3_chat.models.errors import TemplateError
from qwen3_chat.models.template_sandbox import MAX_SOURCE, SandboxedTemplate
from qwen3_chat.models.template_work import MAX_STEPS, MAX_TEXT, Work, WorkExceededError

# Doubles or triples a value a hundred times.
GROW = "{% set n = namespace(x=['a']) %}{% for i in range(100) %}{% set n.x = @ %}{% endfor %}{{ n.x | tojson }}"


def rendered(text: str, **variables: object) -> str:
    return SandboxedTemplate(text, "the template").render(**variables)


def refused(text: str, words: str) -> None:
    with pytest.raises(TemplateError) as caught:
        rendered(text, messages=[{"role": "user", "content": "Hi"}])
    message = str(caught.value)
    assert message.startswith("the template: ") and words in message and "\n" not in message


# ---- bounds ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
        "{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}",
        "{% for i in range(100000) %}{% for j in range(100000) if false %}{% endfor %}{% endfor %}",
        "{% for i in range(100000) %}{% set x = range(100000) | list %}{% endfor %}",
        "{% for i in range(100000) %}{% set x = range(100000) | map('string') | join %}{% endfor %}",
        "{% macro m(n) %}{% if n %}{% set a = m(n - 1) %}{% set b = m(n - 1) %}{% endif %}{% endmacro %}{{ m(60) }}",
        "{% for x in [[[]]] recursive %}{{ loop(range(100000) | list) }}{% endfor %}",
        "{{ [0] * 10 ** 9 }}",
        "{{ 10 ** 9 * [0] }}",
        "{{ ([0] * 1000) * 1000000 }}",
        GROW.replace("@", "n.x + n.x"),
        GROW.replace("@", "n.x * 3"),
        GROW.replace("@", "[n.x, n.x]"),
        GROW.replace("@", "(n.x, n.x)"),
        GROW.replace("@", "{'a': n.x, 'b': n.x}"),
        GROW.replace("@", "dict(a=n.x, b=n.x)"),
        GROW.replace("@", "[none, none] | map('d', n.x, true) | list"),
    ],
)
def test_steps(text: str) -> None:
    refused(text, "the template ")  # takes too many steps, or on a slow machine the time for them


@pytest.mark.parametrize(
    "text",
    [
        "{{ 'a' * 10 ** 10 }}",
        "{{ 10 ** 10 * 'a' }}",
        "{{ 'aaaa' | replace('a', 'b' * 1000000) | replace('b', 'c' * 1000000) }}",
        "{{ ('a' * 1000000).replace('a', 'b' * 1000000) }}",
        "{{ ('x' * 10000).join(['a'] * 100000) }}",
        "{{ (['a'] * 100000) | join('x' * 10000) }}",
        "{{ 'a\\nb' | indent(10 ** 10) }}",
        "{{ ('a\\t' * 100000).expandtabs(10000) }}",
        "{{ range(100000) | map('string') | map('replace', '0', 'b' * 10000) | join }}",
        "{{ [['a' * 1000000] * 1000] | tojson }}",
        GROW.replace("['a']", "'a'").replace("@", "n.x ~ n.x"),
        GROW.replace("['a']", "'a'").replace("@", "n.x + n.x"),
        GROW.replace("['a']", "'a'").replace("@", "'%s%s' % (n.x, n.x)"),
        GROW.replace("['a']", "'a'").replace("@", "'{0}{0}'.format(n.x)"),
        GROW.replace("['a']", "'a'").replace("@", "n.x | replace('a', 'aa')"),
        "{% set n = namespace(x='a') %}{% for i in range(100) %}"
        "{% set y %}{{ n.x }}{{ n.x }}{% endset %}{% set n.x = y %}{% endfor %}",
        "{% macro m(x) %}{{ x }}{{ x }}{% endmacro %}"
        "{% set n = namespace(x='a') %}{% for i in range(100) %}{% set n.x = m(n.x) %}{% endfor %}",
        "{% set x = 'a' * 1000000 %}{% for i in range(1000) %}{{ x }}{% endfor %}",
        "{% set x = 'a' * 1000000 %}{% set y %}{% for i in range(1000) %}{{ x }}{% endfor %}{% endset %}",
    ],
)
def test_text(text: str) -> None:
    refused(text, f"more than {MAX_TEXT} characters")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{% for i in range(10 ** 9) %}{% endfor %}", "Range too big"),
        ("{{ 10 ** 10 ** 10 ** 10 ** 10 }}", "a power is too large"),
        ("{% set n = namespace(x=9) %}{% for i in range(99) %}{% set n.x = n.x * n.x %}{% endfor %}", "a product"),
        ("{{ '%10000000000d' % 1 }}", "a width"),
        ("{{ '%.1000000000f' % 1 }}", "a width"),
        ("{{ '%((a))99999999d' % {'(a)': 1} }}", "a width"),
        ("{{ '%*d' % (10000000000, 1) }}", "a width"),
        ("{{ '%99999999d' | format(1) }}", "a width"),
        ("{{ '{:10000000000}'.format(1) }}", "a width"),
        ("{{ '{a:99999999}'.format_map({'a': 1}) }}", "a width"),
        ("{{ '{:{}}'.format(1, 10000000000) }}", "width is a value"),
        ("{{ 'a'.ljust(10 ** 10) }}", "a width"),
        ("{{ 'a'.center(10 ** 10) }}", "a width"),
        ("{{ 'a'.zfill(10 ** 10) }}", "a width"),
        ("{{ 'a' | center(10 ** 10) }}", "a width"),
        ("{{ 1.5 | round(10 ** 9, 'ceil') }}", "rounding"),
        ("{{ [] | tojson(indent=10 ** 9) }}", "indent"),
        ("{{ [[1], [2]] | sum(start=[]) }}", "sum adds up numbers only"),
        ("{{ strftime_now('%99999999d') }}", "strftime_now"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "RecursionError"),
        ("{% for a in 'x' recursive %}{{ loop(['x', 'y']) }}{% endfor %}", "RecursionError"),
    ],
)
def test_much_out_of_little(text: str, words: str) -> None:
    refused(text, words)


def test_every_rendering_has_a_budget_of_its_own() -> None:
    template = SandboxedTemplate("{% for i in range(100000) %}x{% endfor %}", "the template")
    for _ in range(2 * MAX_STEPS // 100_000 + 1):
        assert len(template.render()) == 100_000


def test_cpu_time_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.thread_time", lambda: now[0])
    work = Work()
    work.steps(1000)
    now[0] = 1000.0
    with pytest.raises(WorkExceededError, match="seconds"):
        work.steps(1000)


def test_long_conversations_are_within_bounds() -> None:
    messages = [{"role": "user", "content": "word " * 300}] * 2000
    text = (
        "{% for m in messages[::-1] %}{% set place = messages | length - loop.index0 %}{% endfor %}"
        "{% for m in messages %}{{ '<' + m.role + '>' + m.content.strip() + '\\n' }}{% endfor %}"
    )
    assert len(rendered(text, messages=messages)) == 2000 * len("<user>" + "word " * 300)


def test_long_and_deep_templates() -> None:
    with pytest.raises(TemplateError, match=f"longer than {MAX_SOURCE}"):
        SandboxedTemplate("x" * (MAX_SOURCE + 1), "the template")
    with pytest.raises(TemplateError, match="the template: the chat template"):
        SandboxedTemplate("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "the template")
    with pytest.raises(TemplateError, match="the template: the chat template"):
        SandboxedTemplate("{% if x %}" * 2000 + "{% endif %}" * 2000, "the template")


# ---- reach ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__ }}",
        "{% if ''.__class__ %}{% endif %}",
        "{{ ''['__class__'] }}",
        "{{ messages.__class__.__mro__ }}",
        "{{ messages[0].__class__ }}",
        "{{ messages | map(attribute='__class__') | list }}",
        "{{ '{0.__class__}'.format(1) }}",
        "{{ ''.join.__self__ }}",
        "{{ raise_exception.__globals__ }}",
        "{{ strftime_now.__globals__ }}",
        "{{ namespace.__init__.__globals__ }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ self.__init__ }}",
        "{{ messages.append(1) }}",
        "{{ messages[0].update({'role': 'x'}) }}",
        "{{ messages.clear() }}",
        "{{ 'a'.encode() }}",
        "{{ 'a'.translate({}) }}",
        "{% macro m() %}{% endmacro %}{{ m.__call__ }}",
        "{% for m in messages %}{{ loop.__init__ }}{% endfor %}",
    ],
)
def test_attributes(text: str) -> None:
    refused(text, "reaches for attribute")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{% include 'x' %}", "no loader"),
        ("{% import 'x' as y %}", "no loader"),
        ("{% extends 'x' %}", "no loader"),
        ("{{ open('/etc/passwd') }}", "'open' is undefined"),
        ("{{ lipsum(100000) }}", "'lipsum' is undefined"),
        ("{{ '' | attr('__class__') }}", "No filter named 'attr'"),
        ("{{ [1, 2] | random }}", "No filter named 'random'"),
        ("{{ range(10) | slice(10 ** 9) | list }}", "No filter named 'slice'"),
        ("{% set messages.x = 1 %}", "namespace"),
    ],
)
def test_what_is_not_there(text: str, words: str) -> None:
    refused(text, words)


# ---- failures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
        ("{{ none + 1 }}", "TypeError"),
        ("{{ none[0].x.y }}", "None has no element 0"),
        ("{% for x in none %}{% endfor %}", "TypeError"),
        ("{{ messages | tojson(separators=1) }}", "TypeError"),
        ("{{ range | tojson }}", "TypeError"),
        ("{{ raise_exception('two\nlines') }}", "fails: two lines"),
        ("{{ 'a'.join() }}", "TypeError"),
        ("{{ 'a'.replace('a') }}", "TypeError"),
        ("{{ 'a' | replace('a') }}", "TypeError"),
        ("{{ strftime_now(1) }}", "TypeError"),
        ("{% for %}", "line 1: Expected an expression"),
        ("\n\n{% if x %}", "line 3: Unexpected end of template"),
        ("{{ 'x' | nosuch }}", "line 1: No filter named 'nosuch'"),
        ("{% nosuch %}", "line 1: Encountered unknown tag"),
        ("{% break %}", "does not compile"),
    ],
)
def test_failures_are_one_line(text: str, words: str) -> None:
    refused(text, words)


# ---- what works as usual --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{% for i in range(3) %}{{ i }}{% if not loop.last %},{% endif %}{% endfor %}", "0,1,2"),
        ("{% for i in [1, 2, 3] | select('odd') %}{{ loop.length }}{{ i }}{% endfor %}", "2123"),
        ("{% for i in [3, 1] | sort %}{{ i }}{% else %}none{% endfor %}", "13"),
        ("{% for i in nothing %}{% else %}none{% endfor %}", "none"),
        ("{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}", "01"),
        ("{% for k, v in {'a': 1}.items() %}{{ k ~ v }}{% endfor %}", "a1"),
        ("{% for k, v in {'b': 1, 'a': 2} | dictsort %}{{ k }}{{ v }}{% endfor %}", "a2b1"),
        ("{% for x in [[1, [2]], [3]] recursive %}{% if x is number %}{{ x }}{% else %}({{ loop(x) }}){% endif %}"
         "{% endfor %}", "(1(2))(3)"),
        ("{{ 'x' ~ 1 ~ none ~ true }}", "x1NoneTrue"),
        ("{{ 'ab' * 2 + 'c' }}{{ [1] + [2] }}{{ 7 % 4 }}{{ 2 ** 10 }}", "ababc[1, 2]31024"),
        ("{{ '{:>4}|{a}'.format('x', a=1) }}{{ '%s=%.2f' % ('x', 1.5) }}", "   x|1x=1.50"),
        ("{{ 'a,b'.split(',') | join('-') }}{{ ' x '.strip() }}{{ 'x'.startswith('x') }}", "a-bxTrue"),
        ("{{ {'a': '<b>'} | tojson }}{{ [1, {'ü': none}] | tojson(indent=1) }}",
         '{"a": "<b>"}[\n 1,\n {\n  "ü": null\n }\n]'),
        ("{{ 'text' | upper | lower | title | length }}{{ missing | default('d') }}{{ '' | d('e', true) }}", "4de"),
        ("{{ 'a\nb' | indent(2) }}", "a\n  b"),
        ("{{ [1, 2] | sum }}{{ [{'a': 1}] | sum('a') }}{{ 1.25 | round(1) }}", "311.2"),
        ("{{ [{'a': 1}, {'a': 2}] | map(attribute='a') | list }}", "[1, 2]"),
        ("{% set n = namespace(a=1) %}{% if true %}{% set n.a = 2 %}{% endif %}{{ n.a }}", "2"),
        ("{% set x %}a{% endset %}{{ x }}{% filter upper %}b{% endfilter %}", "aB"),
        ("{% call(x) m() %}{{ x }}{% endcall %}{% macro m() %}{% endmacro %}", None),
        ("{% macro m(x, y=2) %}{{ x }}{{ y }}{% endmacro %}{{ m(1) }}{{ m(1, y=3) }}", "1213"),
        ("a\n{% if true %}\nb\n{% endif %}\n    {% set x = 1 %}\nc", "a\nb\nc"),
        ("{% generation %}{{ 'x' }}{% endgeneration %}y", "xy"),
        ("{{ strftime_now('%Y-%m-%d') | length }}", "10"),
        ("{{ dict(a=1).a }}{{ dict([('b', 2)])['b'] }}", "12"),
        ("{{ [] }}{{ {} }}{{ () }}{{ (1,) }}{{ messages is defined }}", "[]{}()(1,)False"),
    ],
)  # fmt: skip
def test_ordinary_templates(text: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(TemplateError):
            rendered(text)
    else:
        assert rendered(text) == expected


def test_threads_render_one_template() -> None:
    template = SandboxedTemplate("{% for i in range(1000) %}{{ x }}{% endfor %}", "the template")
    results: dict[int, str] = {}
    threads = [
        threading.Thread(target=lambda n=n: results.update({n: template.render(x=n)}))  # type: ignore[misc]
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {n: str(n) * 1000 for n in range(8)}


def test_work_errors_are_template_errors_of_jinja() -> None:
    assert issubclass(WorkExceededError, TemplateRuntimeError)  # so that no filter takes them for a failed conversion
