"""Templates of users: what they can do, and that their work is bounded."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.notifications.templates.sandbox import MAX_OUTPUT, TemplateProblem, check_template, render_template

VALUES = {"title": "DOWN checkout", "tags": {"team": "payments"}, "names": ["a", "b"], "number": 3, "empty": ""}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("plain", "plain"),
        ("{{ title|lower }}", "down checkout"),
        ("{{ tags.team }} {{ tags['team'] }}", "payments payments"),
        ("{% if number > 2 %}many{% else %}few{% endif %}", "many"),
        ("{% for name in names %}[{{ name }}]{% endfor %}", "[a][b]"),
        ("{% for name, value in tags|items %}{{ name }}={{ value }}{% endfor %}", "team=payments"),
        ("{{ names|join(' and ') }}", "a and b"),
        ("{{ empty or 'nothing' }}", "nothing"),
        ("{% if tags.stage is defined %}x{% endif %}", ""),
        ("{{ tags.stage|default('prod') }}", "prod"),
        ("{{ title|replace('DOWN', 'out') }}", "out checkout"),
        ("{{ tags|tojson }}", '{"team": "payments"}'),
    ],
)
def test_a_template_is_rendered(template: str, text: str) -> None:
    assert render_template(template, VALUES) == text


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{{ titel }}", "line 1: 'titel' is not a name of messages, did you mean title?"),
        ("a\n{{ zzz }}", "line 2: 'zzz' is not a name of messages; known names: "),
        ("{{ tags.taem }}", "has no attribute 'taem', did you mean team?"),
        ("{{ title|upcase }}", "'upcase' is not a filter"),
        ("{{ title|uppr }}", "did you mean upper?"),
        ("{{ title", "line 1: unexpected end"),
        ("{{ title.upper() }}", "Call is not allowed"),
        ("{{ ''.__class__ }}", "cannot be rendered|unsafe|has no attribute|undefined"),
        ("{{ 'a' * 1000000000 }}", "Mul is not allowed"),
        ("{{ '%9999999d' % 1 }}", "Mod is not allowed"),
        ("{% set x = 1 %}", "Assign is not allowed"),
        ("{% include 'x' %}", "Include is not allowed"),
        ("{% macro a() %}{% endmacro %}", "Macro is not allowed"),
        ("{% for a in names %}{% for b in names %}{% endfor %}{% endfor %}", "a loop inside a loop"),
        ("{{ range(9) }}", "Call is not allowed"),
        ("{{ title.upper }}", "a method is not a value"),
        ("{% if number > title %}{% endif %}", "cannot be rendered"),
    ],
)
def test_a_problem_names_the_line_and_the_remedy(template: str, problem: str) -> None:
    with pytest.raises(TemplateProblem, match=problem.replace("?", r"\?")):
        render_template(template, VALUES)


def test_a_text_that_grows_with_each_filter_is_stopped() -> None:
    growing = "{{ title" + "|replace('o', 'oooooooooooooooooooo')" * 12 + " }}"
    with pytest.raises(TemplateProblem, match="returns more than"):
        render_template(growing, VALUES)


def test_a_long_output_is_stopped() -> None:
    with pytest.raises(TemplateProblem, match="has more than"):
        render_template("{% for c in title %}{{ title }}{% endfor %}", {"title": "x" * 1000})
    assert len("x" * 1000) * 1000 > MAX_OUTPUT


def test_a_long_template_is_refused() -> None:
    with pytest.raises(TemplateProblem, match="at most 10,000 characters"):
        check_template("{{ title }}" * 2000, VALUES)


def test_control_characters_of_values_are_escaped() -> None:
    assert render_template("{{ title }}", {"title": "a\x1b[31m"}) == "a\\x1b[31m"


@settings(max_examples=60)
@given(
    st.lists(
        st.sampled_from(
            ["{{", "}}", "{%", "%}", " title", "|upper", " for x in names ", "endfor", " if ", "endif", "(", ")", "a"]
        ),
        max_size=15,
    ).map("".join)
)
def test_any_text_is_rendered_or_refused_with_a_problem(template: str) -> None:
    with contextlib.suppress(TemplateProblem):
        render_template(template, VALUES)
