"""Conditions of Gatus as entries of `expect`. Paths into a body become JSONPath or CEL; with placeholders on both
sides, CEL. Pure.

Where the possible values of a placeholder can be listed (status, response code, connected), the condition is
evaluated for each of them as Gatus does it, so that the entry is exact whatever the condition is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

from importers.reading import write_duration, write_ranges
from importers.source_tree import NotCarriedOver
from importers.sources.gatus.condition_values import (
    Condition,
    Entry,
    Operand,
    Placeholder,
    holds,
    map_answers,
    map_length,
    map_value,
    parse_int,
    to_number,
)

_PART = re.compile(r"(?P<key>[^.\[\]]+)|\[(?P<index>\d+)\]")
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CEL_WORDS = frozenset(
    {"in", "true", "false", "null", "as", "break", "const", "continue", "else", "for", "function", "if", "import",
     "let", "loop", "package", "namespace", "return", "var", "void", "while"}
)  # fmt: skip


def to_json_path(path: str) -> str:
    """Return `$.data[0].id` for `data[0].id`. Raises NotCarriedOver: Gatus finds nothing by it."""
    return "$" + "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" if _PLAIN_KEY.fullmatch(part) else f"[{_quote(part)}]"
        for part in split_path(path)
    )


def to_cel(path: str) -> str:
    """Return `json.data[0].id`; `json` for an empty path."""
    return "json" + "".join(
        f"[{part}]"
        if isinstance(part, int)
        else f".{part}"
        if _PLAIN_KEY.fullmatch(part) and part not in _CEL_WORDS
        else f"[{_quote(part)}]"
        for part in split_path(path)
    )


def split_path(path: str) -> list[str | int]:
    """Return keys and indexes."""
    parts: list[str | int] = []
    at = 0
    while at < len(path):
        if path[at] == "." and at:
            at += 1
        part = _PART.match(path, at)
        if part is None:
            raise NotCarriedOver(
                "the path is not known: expected keys and indexes, such as data[0].id", "json with a JSONPath"
            )
        parts.append(part["key"] if part["key"] is not None else int(part["index"]))
        at = part.end()
    return parts


def _quote(key: str) -> str:
    return "'" + key.replace("\\", "\\\\").replace("'", "\\'") + "'"


_PLAIN_PLACEHOLDERS = {
    Placeholder.STATUS: "status",
    Placeholder.RESPONSE_TIME: "response_time",
    Placeholder.IP: "facts.remote_address",
    Placeholder.CONNECTED: "true",
}


def compare_placeholders(condition: Condition) -> dict[str, str]:
    """Return the entry for `[BODY].a == [BODY].b`. Raises NotCarriedOver."""
    left, right = condition.left, condition.right
    if condition.operator in ("==", "!="):
        expression = f"string({_write(left)}) {condition.operator} string({_write(right)})"
        if condition.operator == "!=":
            # A missing value is unequal to all others.
            missing = [
                f"!({_exists(one)})" for one in (left, right) if one.placeholder is Placeholder.BODY and one.path
            ]
            expression = " || ".join([*missing, expression])
    else:
        expression = f"int(double({_write(left)})) {condition.operator} int(double({_write(right)}))"
    return {"cel": expression}


def _write(operand: Operand) -> str:
    if operand.function == "len":
        return f"size({_write(Operand(operand.text, operand.placeholder, '', operand.path))})"
    if operand.function == "has":
        if operand.placeholder is Placeholder.BODY and operand.path:
            return f"({_exists(operand)})"
        raise NotCarriedOver("has of this placeholder cannot be compared")
    if operand.placeholder is Placeholder.BODY:
        return to_cel(operand.path) if operand.path else "body"
    if operand.placeholder not in _PLAIN_PLACEHOLDERS:
        raise NotCarriedOver(f"{operand.text} cannot be compared with another placeholder", "one condition for each")
    return _PLAIN_PLACEHOLDERS[operand.placeholder]


def _exists(operand: Operand) -> str:
    """Return the expression for a path of keys that exists."""
    parts = split_path(operand.path)
    steps, path = [], ""
    for part in parts:
        before = to_cel(path)
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
        steps.append(f"size({before}) > {part}" if isinstance(part, int) else f"has({to_cel(path)})")
    return " && ".join(steps)


STATUSES = tuple(map(str, range(100, 600)))
RCODES = (
    "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH",
    "NOTZONE",
)  # fmt: skip
ERRORS = (
    "connection_refused", "connection_reset", "connection_failed", "connect_timeout", "dns_failure", "dns_timeout",
    "tls_certificate", "tls_failure", "tls_timeout", "response_timeout", "body_timeout", "protocol_error",
)  # fmt: skip


@dataclass(slots=True)
class MappedCondition:
    """The entries for one condition. `how`: in what they differ. `subject`: what the condition is about."""

    entries: list[Entry] = field(default_factory=list)
    how: str = ""
    subject: Placeholder = Placeholder.LITERAL


def map_condition(condition: Condition, kind: str) -> MappedCondition:
    """Return the entries for a check of a kind. Raises NotCarriedOver."""
    left, right = condition.left, condition.right
    if left.is_literal:
        return _constant(holds(left.text, condition.operator, right.text))
    if Placeholder.CONTEXT in (left.placeholder, right.placeholder):
        raise NotCarriedOver("a value of the context of a suite is not known here")
    if not right.is_literal:
        mapped = MappedCondition([compare_placeholders(condition)], "compared by an expression", left.placeholder)
        if kind == "dns":
            raise NotCarriedOver("two values of a DNS answer cannot be compared")
        return mapped
    mapped = _MAPPINGS[left.placeholder](condition, kind)
    mapped.subject = left.placeholder
    return mapped


def _constant(is_true: bool) -> MappedCondition:
    if is_true:
        return MappedCondition([], "it always holds")
    return MappedCondition([{"cel": "false"}], "it never holds")


@lru_cache(maxsize=1024)
def _texts_that_hold(condition: Condition, texts: tuple[str, ...]) -> list[str]:
    """Return the texts for which a condition holds. Thousands of endpoints have the same few conditions."""
    left = condition.left
    return [
        text for text in texts if holds(_apply_function(left.function, text), condition.operator, condition.right.text)
    ]


def _apply_function(function: str, text: str) -> str:
    if function == "has":
        return "true" if text else "false"
    return str(len(text.encode())) if function == "len" else text


def _status(condition: Condition, kind: str) -> MappedCondition:
    if kind != "http":
        # Of other kinds, Gatus's status is 0 where a connection is enough.
        return _constant(bool(_texts_that_hold(condition, ("0",))))
    statuses = [int(text) for text in _texts_that_hold(condition, STATUSES)]
    if not statuses:
        return _constant(False)
    return MappedCondition([{"status": ",".join(write_ranges(statuses))}])


def _connected(condition: Condition, kind: str) -> MappedCondition:
    states = _texts_that_hold(condition, ("true", "false"))
    if states == ["true"]:
        return MappedCondition()  # what each check requires
    if states == ["false"]:
        if kind == "dns":
            raise NotCarriedOver("a DNS check cannot expect that there is no answer")
        return MappedCondition([{"error": list(ERRORS)}])
    return _constant(bool(states))


def _rcode(condition: Condition, kind: str) -> MappedCondition:
    found = _texts_that_hold(condition, RCODES)
    if kind != "dns":
        return _constant(holds("", condition.operator, condition.right.text))
    return MappedCondition([{"rcode": found}]) if found else _constant(False)


def _response_time(condition: Condition, kind: str) -> MappedCondition:
    number, operator = to_number(condition.right.text), condition.operator
    how = "the time includes reading the whole body" if kind == "http" else ""
    if condition.left.function:
        raise NotCarriedOver("a function of the response time has no meaning", "response_time_below")
    if operator in ("<", "<="):
        limit = number + (operator == "<=")
        return (
            MappedCondition([{"response_time_below": write_duration(limit / 1000)}], how)
            if limit > 0
            else _constant(False)
        )
    return MappedCondition([{"cel": f"response_time {operator} {number}"}], how)


def _certificate(condition: Condition, kind: str) -> MappedCondition:
    number, operator = to_number(condition.right.text), condition.operator
    if condition.left.function:
        raise NotCarriedOver("a function of the expiry of the certificate has no meaning", "certificate_valid_for")
    if operator in (">", ">="):
        if number <= 0:
            return MappedCondition([{"certificate_valid_for": "1s"}], "the certificate must be valid")
        return MappedCondition([{"certificate_valid_for": write_duration(number / 1000)}])
    if operator == "==" and number == 0 and kind in ("http", "tcp"):
        return MappedCondition([{"tls": "absent"}], "0 means a connection without a certificate")
    days = round(number / 86_400_000, 4)
    return MappedCondition([{"cel": f"certificate.days_left {operator} {days}"}], "compared in days by an expression")


def _domain(condition: Condition, kind: str) -> MappedCondition:
    raise NotCarriedOver(
        "the expiry of a domain is not looked up",
        "an alert rule with certificate_days_below, and a heartbeat of a script",
    )


def _address(condition: Condition, kind: str) -> MappedCondition:
    if kind == "dns":
        raise NotCarriedOver("the address of the name server is the one of the check itself")

    def make(comparison: Entry) -> Entry:
        return {"fact": "remote_address", **comparison}

    if condition.left.function:
        raise NotCarriedOver("a function of the address has no meaning", "fact: remote_address")
    entries = map_value(condition, make, is_json=False)
    return MappedCondition(entries, "it is the address of the connection, not another look-up")


def _body(condition: Condition, kind: str) -> MappedCondition:
    left = condition.left
    if kind == "dns":
        entries, how = map_answers(condition)
        return MappedCondition(entries, how)
    if kind == "tls":
        return _constant(holds("", condition.operator, condition.right.text))
    if left.path:
        if kind != "http":
            raise NotCarriedOver("values in JSON can be read from http answers only", "body")
        return _json(condition, to_json_path(left.path))
    if left.function == "has":
        return _existence(condition, [{"min_body": "1B"}], [{"body": {"equals": ""}}])
    if left.function == "len":
        _require_number(condition)
        return MappedCondition([_body_length(condition)], "compared by an expression")
    return MappedCondition(map_value(condition, lambda comparison: {"body": comparison}, is_json=False))


def _require_number(condition: Condition) -> None:
    if condition.operator in ("==", "!=") and parse_int(condition.right.text) is None:
        raise NotCarriedOver("a length is compared with something else than a whole number", "json with length")


def _body_length(condition: Condition) -> Entry:
    number = to_number(condition.right.text)
    array = 'body.startsWith("[") && body.endsWith("]")'
    return {"cel": f"({array} ? size(json) : size(body)) {condition.operator} {number}"}


def _json(condition: Condition, path: str) -> MappedCondition:
    function = condition.left.function
    if function == "has":
        return _existence(
            condition, [{"json": path, "not_equals": None}], [{"json": path, "equals": None, "missing": "ok"}]
        )
    if function == "len":
        _require_number(condition)
        number = to_number(condition.right.text)
        entry: Entry = {"json": path, **map_length(condition.operator, number)}
        if condition.operator != "==" and holds("0", condition.operator, condition.right.text):
            entry["missing"] = "ok"
        return MappedCondition([entry])
    return MappedCondition(map_value(condition, lambda comparison: {"json": path, **comparison}, is_json=True))


def _existence(condition: Condition, if_true: list[Entry], if_false: list[Entry]) -> MappedCondition:
    is_true, is_false = (holds(text, condition.operator, condition.right.text) for text in ("true", "false"))
    if is_true is is_false:
        return _constant(is_true)
    return MappedCondition(if_true if is_true else if_false)


def _context(condition: Condition, kind: str) -> MappedCondition:
    raise NotCarriedOver("a value of the context of a suite is not known here")


_MAPPINGS = {
    Placeholder.STATUS: _status,
    Placeholder.CONNECTED: _connected,
    Placeholder.DNS_RCODE: _rcode,
    Placeholder.RESPONSE_TIME: _response_time,
    Placeholder.CERTIFICATE_EXPIRATION: _certificate,
    Placeholder.DOMAIN_EXPIRATION: _domain,
    Placeholder.IP: _address,
    Placeholder.BODY: _body,
    Placeholder.CONTEXT: _context,
}
