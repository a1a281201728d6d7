"""The evaluation of a configuration ends, whatever it contains."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from importers.expressions.evaluation import MAX_DEPTH, MAX_ENTRIES, MAX_TEXT, Budget, TooLarge
from importers.import_context import ImportContext
from importers.source_tree import UnreadableSource, UnresolvedText
from importers.terraform import read_resources
from tests.config.importers.importing import leaf_paths, text_file

KINDS = frozenset({"probe"})


def _value(text: str, expression: str) -> Any:
    source = f'{text}\nresource "probe" "x" {{\n  value = {expression}\n}}\n'
    found = read_resources([text_file(source, "main.tf")], ImportContext(), KINDS)
    return found[0][0].values["value"]


def _parts(value: Any) -> list[Any]:
    """All leaves; a value that is not bounded has too many for a list."""
    pending, leaves = [value], []
    while pending:
        one = pending.pop()
        if isinstance(one, (dict, list)):
            pending += one.values() if isinstance(one, dict) else one
        else:
            leaves.append(one)
    return leaves


def _chain(step: str, first: str, count: int = 40) -> str:
    """Locals of which each one is made from the one before it, which `@` stands for."""
    lines = [f"  a{at} = {step.replace('@', f'local.a{at - 1}')}" for at in range(1, count + 1)]
    return "\n".join(["locals {", f"  a0 = {first}", *lines, "}"])


@pytest.mark.parametrize(
    ("step", "first"),
    [
        ('"${@}${@}"', '"x"'),
        ("[@, @]", '["x"]'),
        ("{ a = @, b = @ }", "{}"),
        ("concat(@, @)", '["x"]'),
        ("[for one in [@, @] : one]", '["x"]'),
        ('{ for key in ["a", "b"] : key => @ }', '"x"'),
        ("@ * @", "1234567"),
        ('join("", [@, @])', '"x"'),
        ('format("%s%s", @, @)', '"x"'),
        ('replace(@, "x", "xx")', '"x"'),
        ("jsonencode([@, @])", '"x"'),
        ("base64encode(@)", '"xxxxxxxx"'),
        ("flatten([@, @])", '["x"]'),
        ("try(@, @)", "var.unknown"),
        ("@ == @ ? [@, @] : [@, @]", "[1]"),
    ],
)
def test_locals_that_double_each_other_end(step: str, first: str) -> None:
    value = _value(_chain(step, first), "local.a40")
    assert "UnresolvedText" in {type(part).__name__ for part in _parts(value)}
    few = _value(_chain(step, first, 3), "local.a3")
    assert isinstance(few, UnresolvedText) == (first == "var.unknown")


@pytest.mark.parametrize(
    "expression",
    [
        'replace("aaaaaaaaaa", "", local.long)',
        'join(local.long, ["a", "b", "c", "d"])',
        'format("%0999999999d", 1)',
        "9 " + "* 999999999999999999999999999999" * 60,
        'jsondecode("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]")',
    ],
)
def test_a_value_that_is_too_large_is_not_known(expression: str) -> None:
    long = f'locals {{ long = "{"x" * 150_000}" }}'
    assert isinstance(_value(long, expression), UnresolvedText)


@pytest.mark.parametrize(
    "expression",
    [
        "[for a in local.many : [for b in local.many : [for c in local.many : 1]]]",
        "length([for a in local.many : [for b in local.many : length(local.many)]])",
        "length([for a in local.many : [for b in local.many : local.many == local.many]])",
    ],
)
def test_an_evaluation_of_too_many_steps_is_refused(expression: str) -> None:
    many = f"locals {{ many = [{', '.join(['1'] * 2000)}] }}"
    with pytest.raises(UnreadableSource, match=r"^main\.tf: its expressions take more than 1000000 steps"):
        _value(many, expression)


def test_blocks_within_each_other_that_multiply_are_refused() -> None:
    inner = "content {}"
    for _ in range(4):
        inner = f'content {{\n dynamic "one" {{\n for_each = local.many\n {inner}\n}}\n}}'
    many = f"locals {{ many = [{', '.join(map(str, range(500)))}] }}"
    text = f'{many}\nresource "probe" "x" {{\n dynamic "one" {{\n for_each = local.many\n {inner}\n}}\n}}\n'
    with pytest.raises(UnreadableSource, match="its expressions take more than"):
        read_resources([text_file(text, "main.tf")], ImportContext(), KINDS)


def test_a_configuration_with_many_resources_that_read_one_map_is_within_the_budget() -> None:
    entries = "\n".join(f'p{at} = {{ url = "https://shop.example/{at}", hosts = ["a", "b"] }}' for at in range(300))
    attributes = "\n".join(f"v{at} = local.probes[each.key].url" for at in range(20))
    resource = f'resource "probe" "x" {{\n for_each = local.probes\n{attributes}\n}}'
    found = read_resources([text_file(f"locals {{\n probes = {{\n{entries}\n}}\n}}\n{resource}\n", "a.tf")],
                           ImportContext(), KINDS)  # fmt: skip
    assert len(found) == 300
    assert found[-1][0].values["v19"] == "https://shop.example/299"


def test_a_number_that_is_too_long_is_refused() -> None:
    with pytest.raises(UnreadableSource, match="a number is too long"):
        _value("", "9" * 5000)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=5),
    max_leaves=30,
)


@given(VALUES)
def test_the_size_of_a_value_is_at_least_the_number_of_its_leaves(value: Any) -> None:
    budget = Budget()
    size = budget.measure(value)
    assert size >= len(leaf_paths(value))
    shared = [value, value]
    assert budget.measure(shared) == 1 + 2 * size


def test_a_value_of_too_many_parts_levels_or_characters_is_too_large() -> None:
    deep: Any = 1
    for _ in range(MAX_DEPTH + 1):
        deep = [deep]
    for value in ([1] * MAX_ENTRIES, deep, "x" * (MAX_TEXT + 1), 1 << 1024):
        with pytest.raises(TooLarge):
            Budget().measure(value)
    assert Budget().measure(deep[0]) == MAX_DEPTH + 1
