"""Expressions and blocks of HCL, with what is not known before Terraform runs; and files that are not HCL."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from importers.import_context import ImportContext, ImportOptions
from importers.source_tree import UnreadableSource, UnresolvedText
from importers.terraform import read_resources
from tests.config.importers.importing import text_file

KINDS = frozenset({"probe"})


def _resources(text: str, *others: tuple[str, str], **values: str) -> dict[str, Any]:
    files = [text_file(text, "main.tf"), *(text_file(content, name) for name, content in others)]
    found = read_resources(files, ImportContext(ImportOptions(values)), KINDS)
    return {resource.address: resource.values for resource, _ in found}


def _value(expression: str, before: str = "", **values: str) -> Any:
    return _resources(f'{before}\nresource "probe" "x" {{\n  value = {expression}\n}}', **values)["probe.x"]["value"]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("5", 5),
        ("-2.5", -2.5),
        ("true", True),
        ("null", None),
        (r'"a\tb\"c\u00e4"', 'a\tb"cä'),
        ('"$${x} %%{y}"', "${x} %{y}"),
        ('"a${1 + 2 * 3}b"', "a7b"),
        ("(1 + 2) * 3", 9),
        ("7 / 2", 3.5),
        ('1 < 2 && !(3 == 4) ? "yes" : "no"', "yes"),
        ('[1, "a", [true],]', [1, "a", [True]]),
        ('{ a = 1, "b" : 2\n  c = 3 }', {"a": 1, "b": 2, "c": 3}),
        ('[for one in ["a", "b"] : upper(one)]', ["A", "B"]),
        ('{ for key, one in { a = 1, b = 2 } : "${key}1" => one if one > 1 }', {"b1": 2}),
        ("merge({ a = 1 }, { b = 2 })", {"a": 1, "b": 2}),
        ('format("%s-%02d", "a", 7)', "a-07"),
        ('join(",", concat(["a"], ["b"]))', "a,b"),
        ('lookup({ a = 1 }, "b", 9)', 9),
        ('try(var.gone, "other")', "other"),
        ("jsonencode({ a = [1, true] })", '{"a":[1,true]}'),
        ("[{ n = 1 }, { n = 2 }][*].n", [1, 2]),
        ('{ a = ["x"] }.a[0]', "x"),
        ("max([1, 5, 2]...)", 5),
        ("<<EOT\none\n  two\nEOT", "one\n  two\n"),
        ("<<-EOT\n    one ${1}\n      two\n    EOT", "one 1\n  two\n"),
    ],
)
def test_the_value_of_an_expression(expression: str, value: Any) -> None:
    assert _value(expression) == value


@pytest.mark.parametrize(
    "expression",
    [
        "var.gone",
        "local.loop",
        "data.a.b.c",
        '"a${module.x.y}"',
        "uuid()",
        'file("a")',
        "[1][5]",
        '{ a = 1 }["b"]',
        '1 + "a"',
        "1 / 0",
    ],
)
def test_a_value_that_is_not_known_before_terraform_runs(expression: str) -> None:
    value = _value(expression, "locals {\n  loop = local.loop\n}")
    assert isinstance(value, UnresolvedText)
    assert value == expression


def test_only_the_unknown_part_of_a_list_is_unknown() -> None:
    value = _value('["a", var.gone]')
    assert value == ["a", "var.gone"]
    assert [type(one) for one in value] == [str, UnresolvedText]


def test_variables_have_the_value_of_the_command_line_then_of_the_file_then_their_default() -> None:
    variables = 'variable "a" { default = "1" }\nvariable "b" { default = "1" }\nvariable "c" { default = "1" }\n'
    text = variables + 'resource "probe" "x" {\n  value = [var.a, var.b, var.c]\n}'
    found = _resources(text, ("prod.tfvars", 'b = "2"\nc = "2"\n'), c="3")
    assert found["probe.x"]["value"] == ["1", "2", "3"]


def test_instances_of_count_and_for_each() -> None:
    text = """
    resource "probe" "none" { count = 0 }
    resource "probe" "one" {
      count = 1
      n = count.index
    }
    resource "probe" "two" {
      count = 2
      n = count.index
    }
    resource "probe" "each" {
      for_each = toset(["a"])
      n = "${each.key}${each.value}"
    }
    resource "other" "x" {}
    """
    assert _resources(text) == {
        "probe.one": {"n": 0},
        "probe.two[0]": {"n": 0},
        "probe.two[1]": {"n": 1},
        'probe.each["a"]': {"n": "aa"},
    }


def test_dynamic_blocks() -> None:
    text = """
    resource "probe" "x" {
      part { n = 0 }
      dynamic "part" {
        for_each = [1, 2]
        iterator = it
        content { n = it.value }
      }
    }
    """
    assert _resources(text)["probe.x"]["part"] == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_count_as_an_attribute_of_a_block_is_a_value() -> None:
    assert _resources('resource "probe" "x" {\n  retry {\n    count = 2\n  }\n}')["probe.x"]["retry"] == [{"count": 2}]


def test_comments_of_all_kinds() -> None:
    text = '# a\n// b\n/* c\n d */ resource "probe" "x" { # e\n  value = 1 // f\n  other = /* g */ 2\n}\n'
    assert _resources(text)["probe.x"] == {"value": 1, "other": 2}


def test_lines_of_attributes() -> None:
    text = 'resource "probe" "x" {\n  a = 1\n\n  part {\n    b = 2\n  }\n}\n'
    ((_, node),) = read_resources([text_file(text, "main.tf")], ImportContext(), KINDS)
    assert [(leaf.key, leaf.line) for leaf in node.leaves()] == [("a", 2), ("b", 5)]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('resource "probe" "x" {', "1:23"),
        ("a = ", "1:5"),
        ('a = "b\n', "1:7"),
        ("a = <<EOT\nb\n", "2:1"),
        ("a = 1\na = 2\n", "2:5"),
        ("a = [1 2]", "1:8"),
        ("= 1", "1:1"),
        ('a = "\\q"', "1:8"),
        ("a = (1", "1:7"),
    ],
)
def test_a_file_that_is_not_hcl(text: str, place: str) -> None:
    with pytest.raises(UnreadableSource, match=r"is not valid HCL") as caught:
        _resources(text)
    assert str(caught.value).startswith(f"main.tf:{place.split(':')[0]}:")


@pytest.mark.parametrize(
    "text",
    ["a = " + "[" * 5000, "a = " + "(" * 5000, "a {" * 5000, "a = " + "!" * 100_000 + "true", 'a = "' + "${" * 5000],
)
def test_deep_nesting_is_refused(text: str) -> None:
    with pytest.raises(UnreadableSource):
        _resources(text)


@given(st.text(alphabet='ab "{}[]()=<>.,:?$%!\n\\E1', max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(UnreadableSource):
        assert isinstance(_resources(text), dict)
