"""Maps assertions, whose operators become comparisons, to expectations."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from importers.http_requests import TestVariables
from importers.ledger import JobDraft
from importers.reading import write_ranges
from importers.source_tree import (
    NotCarriedOver,
    SourceNode,
    children_of,
)

_COMPARISONS = {
    "is": "equals",
    "isNot": "not_equals",
    "contains": "contains",
    "doesNotContain": "not_contains",
    "matches": "matches",
    "doesNotMatch": "not_matches",
}
_NUMERIC = {"lessThan": "below", "lessThanOrEqual": "at_most", "moreThan": "above", "moreThanOrEqual": "at_least"}
_MISSING = ("doesNotExist", "isUndefined")
_NEAREST_OF_OPERATOR = "write an expectation for it, such as cel"
_LEAST_STATUS, _MAX_STATUS = 100, 599


def convert_comparison(operator: str, target: Any) -> dict[str, Any]:
    """Return a comparison such as `{contains: ok}`. Raises NotCarriedOver."""
    if operator in _MISSING:
        return {"exists": False}
    if operator in _NUMERIC:
        return {_NUMERIC[operator]: read_number(target)}
    key = _COMPARISONS.get(operator)
    if key is None:
        raise NotCarriedOver(f"the operator {operator} has no equivalent", _NEAREST_OF_OPERATOR)
    return {key: target if key in ("equals", "not_equals") else str(target)}


def read_number(target: Any) -> float | int:
    """Return a number; also of a text with one. Raises NotCarriedOver."""
    try:
        number = float(target)
    except (TypeError, ValueError):
        raise NotCarriedOver("it compares with no number", _NEAREST_OF_OPERATOR) from None
    if number != number or abs(number) > 1e15:
        raise NotCarriedOver("it compares with no number", _NEAREST_OF_OPERATOR)
    return int(number) if number.is_integer() else number


def convert_statuses(operator: str, target: Any) -> list[Any]:
    """Return the statuses that an assertion accepts, as ranges. Raises NotCarriedOver."""
    accepted = [status for status in range(_LEAST_STATUS, _MAX_STATUS + 1) if _accepts(operator, target, status)]
    if not accepted:
        raise NotCarriedOver("no status fulfils it", _NEAREST_OF_OPERATOR)
    return [int(text) if text.isdecimal() else text for text in write_ranges(accepted)]


def _accepts(operator: str, target: Any, status: int) -> bool:
    text = str(target).strip()
    match operator:
        case "is":
            return str(status) == text
        case "isNot":
            return str(status) != text
        case "contains":
            return text in str(status)
        case "doesNotContain":
            return text not in str(status)
        case "matches" | "doesNotMatch":
            # The pattern is that of a user, and short texts are matched: a status has three digits.
            return _matches(text, str(status)) is (operator == "matches")
        case "lessThan":
            return status < read_number(target)
        case "lessThanOrEqual":
            return status <= read_number(target)
        case "moreThan":
            return status > read_number(target)
        case "moreThanOrEqual":
            return status >= read_number(target)
    raise NotCarriedOver(f"the operator {operator} has no equivalent", _NEAREST_OF_OPERATOR)


def _matches(pattern: str, text: str) -> bool:
    if len(pattern) > 100:
        raise NotCarriedOver("its pattern is too long", _NEAREST_OF_OPERATOR)
    try:
        return re.search(pattern, text) is not None
    except (re.error, OverflowError, RecursionError):
        raise NotCarriedOver("its pattern is not valid", _NEAREST_OF_OPERATOR) from None


_NEAREST = "write an expectation for it, such as json, body_matches or cel"
_ANY_STATUS = {"status": "100-599"}
_TLS_VERSIONS = {"1.0": "TLSv1", "1.1": "TLSv1.1", "1.2": "TLSv1.2", "1.3": "TLSv1.3"}
_BODY_KEYS = {
    "contains": "body_contains",
    "doesNotContain": "body_not_contains",
    "matches": "body_matches",
    "doesNotMatch": "body_not_matches",
}
_NAME_TESTS = {
    "is": "{0} == {1}",
    "isNot": "{0} != {1}",
    "contains": "{0}.contains({1})",
    "doesNotContain": "!{0}.contains({1})",
    "matches": "{0}.matches({1})",
    "doesNotMatch": "!{0}.matches({1})",
}
_COMPARED_TEXTS = ("equals", "not_equals", "contains", "not_contains", "body_contains", "body_not_contains")


def put_assertions(
    variables: TestVariables, draft: JobDraft, node: SourceNode | None, step: str = "", *, is_http: bool = True
) -> None:
    """Add an expectation for each assertion. Without one about the status, Datadog accepts each status."""
    entries = list(children_of(node))
    if node is not None and not entries:
        draft.use(node)
    has_status = False
    for entry in entries:
        try:
            expectation, how = _convert(variables, entry)
        except NotCarriedOver as error:
            draft.drop(entry, error.why, error.nearest)
            continue
        has_status |= "status" in expectation
        draft.expect(expectation, *entry.leaves(), step=step, how=how)
    if is_http and not has_status:
        draft.expect(_ANY_STATUS, step=step)


def _convert(variables: TestVariables, node: SourceNode) -> tuple[dict[str, Any], str]:
    kind, operator = _text(node, "type"), _text(node, "operator")
    build = _KINDS.get(kind)
    if build is None:
        raise NotCarriedOver(f"an assertion about {kind or 'nothing'} has no equivalent", _NEAREST)
    entry, how = build(node, operator)
    return _fill(variables, entry), how


def _fill(variables: TestVariables, entry: dict[str, Any]) -> dict[str, Any]:
    """Replace variables in the texts that are compared with."""
    filled: dict[str, Any] = {}
    for key, value in entry.items():
        if isinstance(value, str) and "{{" in value:
            if key not in _COMPARED_TEXTS:
                raise NotCarriedOver("a pattern or a number cannot contain a variable", _NEAREST)
            filled[key] = variables.fill(value)
        else:
            filled |= variables.escape_compared({key: value})
    return filled


def _text(node: SourceNode, key: str) -> str:
    child = node.child(key)
    return "" if child is None or child.value is None else str(child.value)


def _target(node: SourceNode) -> Any:
    child = node.child("target")
    return child.value if child is not None else None


def _status(node: SourceNode, operator: str) -> tuple[dict[str, Any], str]:
    if operator == "isNot" and str(_target(node)).isdecimal():
        return {"status_not": str(_target(node))}, ""
    statuses = convert_statuses(operator, _target(node))
    return {"status": statuses[0] if len(statuses) == 1 else statuses}, ""


def _response_time(node: SourceNode, operator: str) -> tuple[dict[str, Any], str]:
    if operator not in ("lessThan", "lessThanOrEqual"):
        raise NotCarriedOver("a response time is only compared with a maximum", _NEAREST)
    milliseconds = read_number(_target(node))
    how = "the time includes that of the name resolution" if _text(node, "timingsScope") == "withoutDNS" else ""
    return {"response_time_below": f"{max(round(milliseconds), 1)}ms"}, how


def _body(node: SourceNode, operator: str) -> tuple[dict[str, Any], str]:
    target = _target(node)
    if operator == "validatesJSONPath" and isinstance(target, dict):
        return _json_path(target)
    if operator in _BODY_KEYS:
        return {_BODY_KEYS[operator]: str(target)}, ""
    if operator in ("is", "isNot"):
        return {"body": {"equals" if operator == "is" else "not_equals": str(target)}}, ""
    raise NotCarriedOver(f"the operator {operator} has no equivalent for a body", _NEAREST)


def _json_path(target: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    path = str(target.get("jsonPath", "")).strip()
    path = path if path.startswith("$") else f"$.{path}"
    operator, value = str(target.get("operator", "is")), target.get("targetValue")
    if isinstance(value, str) and operator in ("is", "isNot") and re.fullmatch(r"true|false|null|-?\d+(\.\d+)?", value):
        # A text is compared with the JSON text of a value.
        comparison: dict[str, Any] = {"like" if operator == "is" else "not_like": value}
    else:
        comparison = convert_comparison(operator, value)
    elements = str(target.get("elementsOperator") or "firstElementMatches")
    if elements == "serializationMatches":
        raise NotCarriedOver("a list of values is not compared as one text", _NEAREST)
    has_many = any(sign in path for sign in ("*", "..", "?", ":", ","))
    how = "the comparison must hold for all values" if has_many and elements != "everyElementMatches" else ""
    return {"json": path, **comparison}, how


def _body_hash(node: SourceNode, operator: str) -> tuple[dict[str, Any], str]:
    if operator != "sha256":
        raise NotCarriedOver(f"a digest is one of sha256, not of {operator}", "body_hash: {sha256: ...}")
    return {"body_hash": {"sha256": str(_target(node))}}, ""


def _header(node: SourceNode, operator: str) -> tuple[dict[str, Any], str]:
    name = _text(node, "property")
    comparison = convert_comparison(operator, _target(node))
    return {"header": name, **comparison}, ""


def _certificate(node: SourceNode, operator: str) -> tuple[dict[str, Any], str]:
    days = read_number(_target(node))
    if operator == "isInMoreThan":
        return {"certificate_valid_for": f"{days:g}d"}, ""
    if operator == "isInLessThan":
        return {"cel": f"certificate.days_left < {days:g}"}, ""
    raise NotCarriedOver(f"the operator {operator} has no equivalent for a certificate", _NEAREST)


def _property(node: SourceNode, operator: str) -> tuple[dict[str, Any], str]:
    """A field of the certificate, such as `subject.CN`: of the names, the common name is recorded."""
    holder, _, field = _text(node, "property").partition(".")
    if holder not in ("subject", "issuer") or field not in ("", "CN"):
        raise NotCarriedOver("of a certificate, the common names of subject and issuer are recorded", _NEAREST)
    test = _NAME_TESTS.get(operator)
    if test is None:
        raise NotCarriedOver(f"the operator {operator} has no equivalent for a certificate", _NEAREST)
    return {"cel": test.format(f"certificate.{holder}", json.dumps(str(_target(node)), ensure_ascii=False))}, ""


def _tls_version(node: SourceNode, operator: str) -> tuple[dict[str, Any], str]:
    target = str(_target(node)).removeprefix("TLSv")
    if operator == "is":
        accepted = [version for version in _TLS_VERSIONS if version == target]
    else:
        number = read_number(target)
        accepted = [version for version in _TLS_VERSIONS if _fulfils(operator, float(version), number)]
    if not accepted:
        raise NotCarriedOver("no version of TLS fulfils it", _NEAREST)
    return {"tls_version": [_TLS_VERSIONS[version] for version in accepted]}, ""


def _fulfils(operator: str, version: float, number: float) -> bool:
    tests: dict[str, Callable[[], bool]] = {
        "moreThan": lambda: version > number,
        "moreThanOrEqual": lambda: version >= number,
        "lessThan": lambda: version < number,
        "lessThanOrEqual": lambda: version <= number,
    }
    return operator in tests and tests[operator]()


_KINDS: Mapping[str, Callable[[SourceNode, str], tuple[dict[str, Any], str]]] = {
    "statusCode": _status,
    "responseTime": _response_time,
    "body": _body,
    "bodyHash": _body_hash,
    "header": _header,
    "certificate": _certificate,
    "property": _property,
    "tlsVersion": _tls_version,
    "minTlsVersion": _tls_version,
}
