"""Conditions about a body, or a value in its JSON, as entries of `expect`. Called by mapping. Pure.

Gatus compares texts: the number 1 equals the texts `1` and `0x1`. By < and > it compares whole numbers, to which it
cuts others; a missing value is 0 there, and unequal to everything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from config.importers.errors import NotCarriedOver
from config.importers.sources.gatus.conditions.go_values import (
    glob_to_regex,
    holds,
    list_options,
    parse_int,
    split_function,
    to_number,
)
from config.importers.sources.gatus.conditions.operands import Condition

Entry = dict[str, Any]
MakeEntry = Callable[[Entry], Entry]
"""Puts a comparison next to its key."""

_JSON_WORDS = {"true": True, "false": False}
_LONGEST_LIKE = 1000


def map_value(condition: Condition, make: MakeEntry, *, is_json: bool) -> list[Entry]:
    """Return the entries for a condition about a value. `is_json`: a value in a document, which can be missing."""
    operator, expected = condition.operator, condition.right.text
    if operator in ("==", "!="):
        entries = _equality(expected, is_json=is_json) if operator == "==" else _inequality(expected, is_json=is_json)
    else:
        entries = [_order(operator, to_number(expected))]
    may_be_missing = is_json and operator != "==" and (operator == "!=" or holds("0", operator, expected))
    return [make({**entry, "missing": "ok"} if may_be_missing else entry) for entry in entries]


def map_length(operator: str, number: int) -> Entry:
    """Return the bounds of a length."""
    if operator == "==":
        return {"length": number} if number >= 0 else {"exists": False}
    if operator == "!=":
        raise NotCarriedOver("a length cannot be compared with !=", "two entries: length below, or above")
    name, bound = _bound(operator, number)
    if name in ("at_least", "above") and bound < 0:
        return {"length": {"at_least": 0}}
    if bound < 0:
        raise NotCarriedOver("a length is never negative")
    return {"length": {name: bound}}


def _equality(expected: str, *, is_json: bool) -> list[Entry]:
    pattern = split_function(expected, "pat")
    if pattern is not None:
        return [_pattern(pattern, is_negated=False)] if pattern != "*" else []
    options = list_options(expected)
    if options is not None:
        return [{"one_of": [value for option in options for value in _values(option, is_json)]}]
    number = parse_int(expected)
    if number is not None:  # also texts that are this number with another base
        return [{"at_least": number}, {"at_most": number}]
    values = _values(expected, is_json)
    return [{"equals": values[0]} if len(values) == 1 else {"one_of": values}]


def _inequality(expected: str, *, is_json: bool) -> list[Entry]:
    pattern = split_function(expected, "pat")
    if pattern is not None:
        if pattern == "*":
            raise NotCarriedOver("it never holds: * matches every text")
        return [_pattern(pattern, is_negated=True)]
    options = list_options(expected)
    texts = [expected] if options is None else options
    number = parse_int(expected)
    if number is not None and str(number) != expected:
        texts = [str(number), expected]
    return [{"not_equals": value} for text in texts for value in _values(text, is_json)]


def _values(text: str, is_json: bool) -> list[Any]:
    """Return the JSON values whose text in Gatus is this one."""
    if not is_json:
        return [text]
    if text[:1] == "[":
        raise NotCarriedOver("Gatus writes an array as [a b c], which hides its values", "json with equals: [...]")
    if text[:1] == "{":
        try:
            return [json.loads(text)]
        except ValueError:
            return [text]
    if text in _JSON_WORDS:
        return [_JSON_WORDS[text], text]
    number = _json_number(text)
    return [text] if number is None else [number, text]


def _json_number(text: str) -> int | float | None:
    """Return the number that Go writes so."""
    if re.fullmatch(r"-?(?:0|[1-9][0-9]{0,14})", text):
        return int(text)
    if re.fullmatch(r"-?(?:0|[1-9][0-9]*)\.[0-9]*[1-9]", text) and repr(float(text)) == text:
        return float(text)
    return None


def _pattern(pattern: str, *, is_negated: bool) -> Entry:
    name = "not_" if is_negated else ""
    if not re.search(r"[?\[\\]", pattern) and len(pattern) <= _LONGEST_LIKE:
        return {f"{name}like": pattern}
    expression = glob_to_regex(pattern)
    if expression is None:
        raise NotCarriedOver("the pattern is malformed: in Gatus it matches nothing")
    return {f"{name}matches": f"(?s)\\A{expression}\\Z"}


def _order(operator: str, number: int) -> Entry:
    name, bound = _bound(operator, number)
    return {name: bound}


def _bound(operator: str, number: int) -> tuple[str, int]:
    """Return the bound for values that Gatus cuts to whole numbers: 5.9 is not more than 5."""
    match operator:
        case ">":
            return ("at_least", number + 1) if number >= 0 else ("above", number)
        case ">=":
            return ("at_least", number) if number > 0 else ("above", number - 1)
        case "<":
            return ("below", number) if number > 0 else ("at_most", number - 1)
        case _:
            return ("below", number + 1) if number >= 0 else ("at_most", number)
