"""Maps a JSON query of Uptime Kuma: a path of JSONata, and a comparison of texts. Called by http."""

from __future__ import annotations

import re
from typing import Any

from config.importers.errors import NotCarriedOver
from config.importers.job_draft import JobDraft
from config.importers.sources.kuma.monitors.monitor import KumaMonitor

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_PATH_STEP = re.compile(
    rf"\.?(?P<name>{_NAME})|\.?`(?P<quoted>[^`]+)`|\[(?P<index>-?\d+)\]|\.?\[\"(?P<text>[^\"\\]+)\"\]"
)
_NEAREST = "write the query as a JSONPath (RFC 9535), or as an expression (cel)"
_NUMERIC = {">": "above", ">=": "at_least", "<": "below", "<=": "at_most"}


def put_json_query(monitor: KumaMonitor, draft: JobDraft) -> None:
    """Expect what the query compares with. Raises NotCarriedOver: without it, the job would check less."""
    row = monitor.row
    query, operator, expected = (
        row.text("json_path"),
        row.text("json_path_operator") or "==",
        row.text("expected_value"),
    )
    path = convert_jsonata(query)
    comparison = _convert_comparison(operator, expected)
    nodes = row.nodes("json_path", "json_path_operator", "expected_value")
    draft.expect({"json": path, **comparison}, *nodes, how=f"the JSONata query is the JSONPath {path}")


def convert_jsonata(query: str) -> str:
    """Return the JSONPath of a JSONata query that is a path of names and indexes. Raises NotCarriedOver."""
    text = query.strip()
    if text.startswith("$") and not re.match(r"\$[A-Za-z_$]", text):
        text = text[1:]
    path, at = "$", 0
    while at < len(text):
        step = _PATH_STEP.match(text, at)
        if step is None or (at == 0 and step[0].startswith("[") and text != query.strip()[1:]):
            raise NotCarriedOver("the query uses more of JSONata than names and indexes", _NEAREST)
        if step["index"] is not None:
            path += f"[{int(step['index'])}]"
        elif step["name"] is not None:
            path += f".{step['name']}"
        else:
            name = (step["quoted"] or step["text"]).replace("\\", "\\\\").replace("'", "\\'")
            path += f"['{name}']"
        at = step.end()
    return path


def _convert_comparison(operator: str, expected: str) -> dict[str, Any]:
    """Uptime Kuma compares texts: `5` and `true` of a document are the texts 5 and true."""
    if operator in _NUMERIC:
        try:
            number = float(expected)
        except ValueError:
            raise NotCarriedOver(f"{operator} compares with a number, and the expected value is a text") from None
        return {_NUMERIC[operator]: int(number) if number.is_integer() else number}
    if operator == "contains":
        return {"contains": expected}
    if operator not in ("==", "!="):
        raise NotCarriedOver(f"the operator {operator} is not known", _NEAREST)
    return _equal_text(expected, is_negated=operator == "!=")


def _equal_text(expected: str, *, is_negated: bool) -> dict[str, Any]:
    if re.fullmatch(r"true|false|null|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?", expected):
        # `like` compares with the JSON text of a value, `equals` with the value itself.
        return {"not_like" if is_negated else "like": expected}
    return {"not_equals" if is_negated else "equals": expected}
