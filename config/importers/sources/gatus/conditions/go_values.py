"""Compares texts and numbers as Gatus does, in Go. Used by mapping and its helpers. Pure."""

from __future__ import annotations

import re

from config.importers.values.durations import parse_seconds

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
        found = _GLOB.match(pattern, at)
        if found is None or found[5] == "[" or (found[5] == "\\" and at == len(pattern) - 1):
            return None
        escaped, star, one, group, plain = found.groups()
        if star or one:
            parts.append(".*" if star else ".")
        elif group:
            parts.append("[" + re.sub(r"(?<!^)\[", r"\\[", group[1:-1]) + "]")
        else:
            parts.append(re.escape(escaped or plain))
        at = found.end()
    return "".join(parts)
