"""What other monitors expect, said by our entries: blackbox_exporter, cloudprober, uptime-kuma and Gatus."""

from __future__ import annotations

import re
from typing import Any

Entries = list[dict[str, Any]]


def entries_for(requests: dict[str, Any], body: str = "") -> Entries:
    """Our entries for one case; `body` is what some of them are judged by in the other monitor."""
    if "condition" in requests:
        return gatus_condition(requests["condition"], body)
    if "pattern" in requests:
        return [{"body": {"like": requests["pattern"]}}]
    if "path" in requests:
        return _gatus_path(requests["path"], requests["text"], requests["length"])
    if "operator" in requests:
        return _OPERATORS[requests["operator"]](requests["than"])
    return [entry for key, value in requests.items() for entry in _PROBES[key](value)]


# --- blackbox_exporter, cloudprober ---


def _cel(expression: str) -> str:
    return re.sub(r"\bbody\b", "json", expression)


def _header(kind: str, value: dict[str, Any]) -> Entries:
    missing = {"missing": "ok"} if value["allow_missing"] else {}
    return [{"header": value["header"], kind: value["regexp"], **missing}]


def _success_header(value: tuple[str, str]) -> Entries:
    name, regexp = value
    return [{"header": name, "matches": regexp} if regexp else {"header": name, "exists": True}]


def _failure_header(value: tuple[str, str]) -> Entries:
    name, regexp = value
    return [{"header": name, "not_matches": regexp, "missing": "ok"} if regexp else {"header": name, "exists": False}]


# --- uptime-kuma ---


def _json_query(value: tuple[str, str, str]) -> Entries:
    path, operator, expected = value
    assert operator == "=="
    return [{"json": path, "like": expected}]


def _all_of(groups: list[str | list[str]]) -> Entries:
    """Texts that the body holds; of those in a list, one."""
    return [_one_of([group] if isinstance(group, str) else group) for group in groups]


def _one_of(texts: list[str]) -> dict[str, Any]:
    if len(texts) == 1:
        return {"body_contains": texts[0]}
    return {"cel": " || ".join(f"body.contains('{text}')" for text in texts)}


_PROBES: dict[str, Any] = {
    "valid_status_codes": lambda codes: [{"status": codes}] if codes else [],
    "valid_http_versions": lambda versions: [{"http_version": versions}] if versions else [],
    "fail_if_ssl": lambda expected: [{"tls": "absent"}] if expected else [],
    "fail_if_not_ssl": lambda expected: [{"tls": "required"}] if expected else [],
    "fail_if_body_json_matches": lambda cel: [{"cel": f"!({_cel(cel)})"}],
    "fail_if_body_json_not_matches": lambda cel: [{"cel": _cel(cel)}],
    "fail_if_body_matches": lambda patterns: [{"body_not_matches": pattern} for pattern in patterns],
    "fail_if_body_not_matches": lambda patterns: [{"body_matches": pattern} for pattern in patterns],
    "fail_if_header_matches": lambda value: _header("not_matches", value),
    "fail_if_header_not_matches": lambda value: _header("matches", value),
    "success_status": lambda statuses: [{"status": statuses}],
    "failure_status": lambda statuses: [{"status_not": statuses}],
    "success_header": _success_header,
    "failure_header": _failure_header,
    "max_last_modified_diff_sec": lambda most: [{"header": "Last-Modified", "age_below": f"{most}s"}] if most else [],
    "accepted": lambda statuses: [{"status": statuses}],
    "keyword": lambda text: [{"body_contains": text}],
    "keyword_absent": lambda text: [{"body_not_contains": text}],
    "json_query": _json_query,
    "all": _all_of,
    "cel": lambda expression: [{"cel": expression}],
    "json": lambda _: [{"json": "$", "exists": True}],
}


# --- uptime-kuma: the left side is the body's document ---


def _all(**comparisons: Any) -> Entries:
    return [{"json": "$", name: value} for name, value in comparisons.items()]


_OPERATORS: dict[str, Any] = {
    "str_equals": lambda than: _all(equals=than),
    "str_not_equals": lambda than: _all(not_equals=than),
    "contains": lambda than: _all(contains=than),
    "not_contains": lambda than: _all(not_contains=than),
    "starts_with": lambda than: _all(starts_with=than),
    "not_starts_with": lambda than: _all(not_starts_with=than),
    "ends_with": lambda than: _all(ends_with=than),
    "not_ends_with": lambda than: _all(not_ends_with=than),
    "num_equals": lambda than: _all(at_least=than, at_most=than),
    "num_not_equals": lambda than: _all(not_equals=float(than)),
    "lt": lambda than: _all(below=than),
    "gt": lambda than: _all(above=than),
    "lte": lambda than: _all(at_most=than),
    "gte": lambda than: _all(at_least=than),
}


# --- Gatus ---

_OPERATOR = re.compile(r"(.*?) (==|!=|<=|>=|<|>) (.*)", re.DOTALL)
_CALL = re.compile(r"(len|has|pat|any)\((.*)\)", re.DOTALL)
_BOUNDS = {"<": "below", ">": "above", "<=": "at_most", ">=": "at_least"}
_TURNED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
_MILLISECONDS = re.compile(r"\d+")


def gatus_condition(condition: str, body: str = "") -> Entries:
    found = _OPERATOR.fullmatch(condition)
    assert found is not None, condition
    left, operator, right = found.groups()
    if "[" not in left.replace("[]", "") and "[" in right:
        left, operator, right = right, _TURNED.get(operator, operator), left
    if "[" not in left:
        return [{"cel": f"'{left}' {operator} '{right}'"}]
    if right.startswith("["):
        return [{"cel": f"{_variable(left)} {operator} {_variable(right)}"}]
    call = _CALL.fullmatch(left)
    function, place = (call[1], call[2]) if call else ("", left)
    subject = _subject(place, body if function == "len" else "")
    return _compared(function, subject, operator, right)


def _compared(function: str, subject: tuple[str, str], operator: str, right: str) -> Entries:
    key, name = subject
    if function == "has":
        return [_entry(subject, exists=(right == "true") is (operator == "=="))]
    if function == "len":
        name_of_bound = "equals" if operator == "==" else _BOUNDS[operator]
        if name == "$[0]":
            # The length of an object is that of its text in Gatus, and here the number of its keys.
            return [{"json": name, "matches": f"^.{{{right}}}$"}]
        return [_entry(subject, length={name_of_bound: int(right) if right.isdigit() else right})]
    if key == "status" and (pattern := _CALL.fullmatch(right)) and pattern[1] == "pat":
        return [{"cel": f"string(status).matches('^{pattern[2].replace('*', '.*')}$')"}]
    if key == "status" and operator == "==":
        return [{"status": [int(one) for one in _any(right)]}]
    if key == "response_time" and operator == "<":
        return [{"response_time_below": _duration(right)}]
    if key == "certificate":
        return [{"cel": "!has(certificate.days_left)"} if right == "0" else {"certificate_valid_for": _duration(right)}]
    if key in ("status", "response_time"):
        return [{"cel": f"{key} {operator} {right.replace('s', '000')}"}]
    assert name or key == "body"
    return _values(subject, operator, right)


def _values(subject: tuple[str, str], operator: str, right: str) -> Entries:
    negated = "not_" if operator == "!=" else ""
    call = _CALL.fullmatch(right)
    if operator in _BOUNDS:
        return [_entry(subject, **{_BOUNDS[operator]: right})]
    if call and call[1] == "pat":
        return [_entry(subject, **{f"{negated}like": call[2]})]
    if call and call[1] == "any":
        return [_entry(subject, one_of=[form for one in _any(right) for form in _forms(one)])]
    number = next((form for form in _forms(right) if isinstance(form, (int, float)) and form is not True), None)
    if number is not None and not negated and not isinstance(number, bool):
        return [_entry(subject, at_least=number), _entry(subject, at_most=number)]
    if negated:
        return [_entry(subject, not_equals=form) for form in _forms(right)]
    return [_entry(subject, one_of=_forms(right))]


def _duration(text: str) -> str:
    """A number is one of milliseconds."""
    return f"{text}ms" if _MILLISECONDS.fullmatch(text) else text


def _forms(text: str) -> list[Any]:
    """What a word may be in JSON: `true` and `"true"`, `12` and `"12"`."""
    if text in ("true", "false"):
        return [text, text == "true"]
    try:
        return [text, int(text, 0)]
    except ValueError:
        return [text]


def _any(text: str) -> list[str]:
    call = _CALL.fullmatch(text)
    return [one.strip() for one in call[2].split(",")] if call else [text]


def _subject(place: str, body: str) -> tuple[str, str]:
    """The key of our entry, and what stands beside it."""
    if place == "[BODY]":
        return ("json", "$") if body.startswith("[") else ("body", "")
    if place.startswith("[BODY]"):
        return "json", "$" + place.removeprefix("[BODY]")
    return {
        "[STATUS]": ("status", ""),
        "[RESPONSE_TIME]": ("response_time", ""),
        "[CERTIFICATE_EXPIRATION]": ("certificate", ""),
        "[CONNECTED]": ("fact", "connected"),
        "[IP]": ("fact", "remote_address"),
    }[place]


def _entry(subject: tuple[str, str], **comparison: Any) -> dict[str, Any]:
    key, name = subject
    return {"body": comparison} if key == "body" else {key: name, **comparison}


def _variable(place: str) -> str:
    names = {"[STATUS]": "status", "[RESPONSE_TIME]": "response_time", "[BODY]": "body"}
    return names.get(place) or place.replace("[BODY]", "json")


def _gatus_path(path: str, text: str, length: int) -> Entries:
    query = "$" + (f".{path}" if path and not path.startswith("[") else path)
    if re.search(r"\[-\d+\]", path):
        # Counting from the end is an error to Gatus, and in RFC 9535 a place like any other.
        return [{"json": query.replace("[-", "[9"), "exists": True}]
    exact = re.escape(text).replace(r"\ ", ",? ?").replace(" ", ",?")
    if text.startswith("{"):
        return [{"json": query, "matches": f"^{exact}$"}, {"json": query, "matches": f"^.{{{length}}}$"}]
    return [{"json": query, "matches": f"^{exact}$" if text else ".*"}, {"json": query, "length": length}]
