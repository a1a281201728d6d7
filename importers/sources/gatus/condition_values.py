"""Conditions of Gatus as data: two operands and an operator, values as Go has them, and conditions of answers and
bodies. Pure.

Gatus has no grammar: the first operator that the text contains, with blanks around it, separates it. Names of
placeholders are read without regard to case.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from importers.reading import parse_seconds
from importers.source_tree import NotCarriedOver

OPERATORS = ("==", "!=", "<=", ">=", ">", "<")
"""In the order in which Gatus looks for them."""
FLIPPED = {"==": "==", "!=": "!=", "<=": ">=", ">=": "<=", ">": "<", "<": ">"}
_FUNCTION = re.compile(r"(len|has)\((.*)\)", re.DOTALL)
_PLACEHOLDER = re.compile(r"\[([A-Za-z_]+)\](.*)", re.DOTALL)


class Placeholder(StrEnum):
    """What an operand stands for."""

    LITERAL = "literal"
    STATUS = "STATUS"
    IP = "IP"
    DNS_RCODE = "DNS_RCODE"
    RESPONSE_TIME = "RESPONSE_TIME"
    BODY = "BODY"
    CONNECTED = "CONNECTED"
    CERTIFICATE_EXPIRATION = "CERTIFICATE_EXPIRATION"
    DOMAIN_EXPIRATION = "DOMAIN_EXPIRATION"
    CONTEXT = "CONTEXT"


@dataclass(frozen=True, slots=True)
class Operand:
    """One side of a condition. `text`: as written. `function`: len, has or empty. `path`: below the body."""

    text: str
    placeholder: Placeholder = Placeholder.LITERAL
    function: str = ""
    path: str = ""

    @property
    def is_literal(self) -> bool:
        return self.placeholder is Placeholder.LITERAL


@dataclass(frozen=True, slots=True)
class Condition:
    """`left` is the placeholder if only one side is one."""

    left: Operand
    operator: str
    right: Operand


def parse_condition(text: str) -> Condition:
    """Return a condition. Raises NotCarriedOver: Gatus refuses it."""
    for operator in OPERATORS:
        if f" {operator} " in text:
            first, second, *_ = text.split(f" {operator} ")
            left, right = _parse_operand(first.strip()), _parse_operand(second.strip())
            if left.is_literal and not right.is_literal:
                return Condition(right, FLIPPED[operator], left)
            return Condition(left, operator, right)
    raise NotCarriedOver("Gatus refuses it: it has no operator between blanks")


def _parse_operand(text: str) -> Operand:
    function, inner = "", text
    if (found := _FUNCTION.fullmatch(text)) is not None:
        function, inner = found[1], found[2]
    placeholder = _PLACEHOLDER.fullmatch(inner)
    name = placeholder[1].upper() if placeholder is not None else ""
    if placeholder is None or name not in Placeholder.__members__ or name == "LITERAL":
        return Operand(text)
    rest = placeholder[2]
    has_path = name in ("BODY", "CONTEXT") and rest[:1] in (".", "[")
    if rest and not has_path:
        return Operand(text)
    return Operand(text, Placeholder[name], function, rest.removeprefix("."))


_WITH_BASE = re.compile(r"[+-]?0(?:[xX][0-9a-fA-F]+|[oO]?[0-7]+|[bB][01]+)", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(?:0|[1-9][0-9]*)", re.ASCII)
_INT64 = 2**63
_GLOB = re.compile(r"\\(.)|(\*)|(\?)|(\[\^?(?:\\.|[^\]\\])+\])|(.)", re.DOTALL)


def parse_int(text: str) -> int | None:
    """Return what strconv.ParseInt with base 0 returns; None for its error."""
    digits = text.replace("_", "") if re.search(r"[0-9]_[0-9]", text) else text
    if _DECIMAL.fullmatch(digits):
        number = int(digits)
    elif _WITH_BASE.fullmatch(digits):
        sign, body = ("-", digits[1:]) if digits.startswith("-") else ("", digits.removeprefix("+"))
        body = f"0o{body[1:]}" if body[1:].isdecimal() else body
        number = int(sign + body, 0)
    else:
        return None
    return number if -_INT64 <= number < _INT64 else None


def to_number(text: str) -> int:
    """Return the number by which Gatus compares a text with < and >: durations in milliseconds, 0 for other texts."""
    seconds = _duration(text)
    if seconds:
        return int(seconds * 1000)
    number = parse_int(text)
    if number is not None:
        return number
    try:
        return int(float(text.strip())) if text.strip() == text else 0
    except (ValueError, OverflowError):
        return 0


def _duration(text: str) -> float:
    negative = text.startswith("-")
    digits = text[1:] if negative else text
    if re.search(r"[dwy]", digits) or digits.startswith("+"):
        return 0.0
    seconds = parse_seconds(digits) or 0.0
    return -seconds if negative else seconds


def split_function(text: str, name: str) -> str | None:
    """Return what is in the parentheses of `pat(...)` or `any(...)`; None for another text."""
    if text.startswith(f"{name}(") and text.endswith(")"):
        return text.removeprefix(f"{name}(").removesuffix(")")
    return None


def list_options(text: str) -> list[str] | None:
    """Return the options of `any(...)`; None for another text."""
    inner = split_function(text, "any")
    return None if inner is None else [option.strip() for option in inner.split(",")]


def is_equal(value: str, expected: str) -> bool:
    """Whether a text equals an expected one, which can be `pat(...)`, `any(...)` or a number."""
    pattern = split_function(expected, "pat")
    if pattern is not None:
        return glob_matches(pattern, value)
    options = list_options(expected)
    if options is not None:
        return value in options
    first, second = parse_int(value), parse_int(expected)
    return first == second if first is not None and second is not None else value == expected


def holds(value: str, operator: str, expected: str) -> bool:
    """Whether a condition about a known text holds."""
    if operator in ("==", "!="):
        return is_equal(value, expected) is (operator == "==")
    first, second = to_number(value), to_number(expected)
    return {"<": first < second, "<=": first <= second, ">": first > second, ">=": first >= second}[operator]


def glob_matches(pattern: str, text: str) -> bool:
    """Whether filepath.Match of Go matches, without the separators in both. A malformed pattern matches nothing."""
    if pattern == "*":
        return True
    expression = glob_to_regex(pattern.replace("/", ""))
    return expression is not None and re.fullmatch(expression, text.replace("/", ""), re.DOTALL) is not None


def glob_to_regex(pattern: str) -> str | None:
    """Return the regular expression of a pattern; None if it is malformed."""
    parts: list[str] = []
    at = 0
    while at < len(pattern):
        piece = _GLOB.match(pattern, at)
        if piece is None or piece[5] == "[" or (piece[5] == "\\" and at == len(pattern) - 1):
            return None
        escaped, star, one, group, plain = piece.groups()
        if star or one:
            parts.append(".*" if star else ".")
        elif group:
            parts.append("[" + re.sub(r"(?<!^)\[", r"\\[", group[1:-1]) + "]")
        else:
            parts.append(re.escape(escaped or plain))
        at = piece.end()
    return "".join(parts)


Entry = dict[str, Any]
MakeEntry = Callable[[Entry], Entry]
"""Puts a comparison next to its key."""

_JSON_WORDS = {"true": True, "false": False}
_MAX_LIKE = 1000


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
    if not re.search(r"[?\[\\]", pattern) and len(pattern) <= _MAX_LIKE:
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


def map_answers(condition: Condition) -> tuple[list[Entry], str]:
    """Return the entries for a condition about an answer, and in what they differ. Raises NotCarriedOver."""
    left, expected = condition.left, condition.right.text
    how = "each answer is compared; Gatus compares the last one"
    if left.path or left.function:
        raise NotCarriedOver("a function or path of a DNS answer has no meaning", "answers")
    if condition.operator == "==" and "(" not in expected:
        return [{"answers": {"contains": _record(expected)}}], "any of the answers"
    entries = map_value(condition, lambda comparison: {"answers": _without_dots(comparison)}, is_json=False)
    return entries, how


def _record(text: str) -> str:
    return text.rstrip(".") or text


def _without_dots(comparison: Entry) -> Entry:
    """Names of answers have no dot at their end here."""

    def strip(value: Any) -> Any:
        return _record(value) if isinstance(value, str) else [_record(str(one)) for one in value]

    return {name: strip(value) if isinstance(value, (str, list)) else value for name, value in comparison.items()}
