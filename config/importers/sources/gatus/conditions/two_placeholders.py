"""Conditions of Gatus with a placeholder on both sides, as CEL. Called by mapping. Pure."""

from __future__ import annotations

from config.importers.errors import NotCarriedOver
from config.importers.sources.gatus.conditions.json_paths import split_path, to_cel
from config.importers.sources.gatus.conditions.operands import Condition, Operand, Placeholder

_PLAIN = {
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
    if operand.placeholder not in _PLAIN:
        raise NotCarriedOver(f"{operand.text} cannot be compared with another placeholder", "one condition for each")
    return _PLAIN[operand.placeholder]


def _exists(operand: Operand) -> str:
    """Return the expression for a path of keys that exists."""
    parts = split_path(operand.path)
    steps, path = [], ""
    for part in parts:
        before = to_cel(path)
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
        steps.append(f"size({before}) > {part}" if isinstance(part, int) else f"has({to_cel(path)})")
    return " && ".join(steps)
