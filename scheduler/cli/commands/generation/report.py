"""Prints what was applied, conflicts, and drift. Used by group."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from scheduler.cli.output import print_error, print_warning, show_json, show_tabs

if TYPE_CHECKING:
    from observability.generation.applying import ApplyOutcome, DocumentDrift

_MAX_VALUE_LENGTH = 200
"""Characters of a value in a line. JSON has all of it."""
_DONE = {"create": "created", "update": "updated", "delete": "deleted", "none": "unchanged"}


def show_outcomes(outcomes: Sequence[ApplyOutcome], *, as_json: bool) -> None:
    """Print a line a document, then conflicts and errors on stderr; or everything as JSON."""
    if as_json:
        show_json(json.dumps({"documents": [_outcome_as_json(outcome) for outcome in outcomes]}, indent=2))
        return
    show_tabs(("action", "document"), [("failed" if one.error else _DONE[one.action], one.path) for one in outcomes])
    for outcome in outcomes:
        for conflict in outcome.conflicts:
            print_warning(
                f"{outcome.path}{_format_place(conflict.pointer)}: retained {_format(conflict.theirs)}, which was set "
                f"by hand; generated is {_format(conflict.ours)}, before it was {_format(conflict.base)}"
            )
        if outcome.error:
            print_error(f"{outcome.path}: {outcome.error}")


def show_drift(found: Sequence[DocumentDrift], *, as_json: bool) -> None:
    """Print a line a difference: document, JSON pointer, value before and after; or everything as JSON."""
    if as_json:
        show_json(json.dumps({"documents": [_drift_as_json(one) for one in found]}, indent=2))
    else:
        rows = [
            (one.path, _format_place(difference.pointer), _format(difference.before), _format(difference.after))
            for one in found
            for difference in one.differences
        ]
        if rows:
            show_tabs(("document", "pointer", "applied", "now"), rows)
    for one in found:
        if one.error:
            print_error(f"{one.path}: {one.error}")


def _outcome_as_json(outcome: ApplyOutcome) -> dict[str, object]:
    conflicts = [
        {"pointer": _format_place(one.pointer), **_present(base=one.base, generated=one.ours, retained=one.theirs)}
        for one in outcome.conflicts
    ]
    return {"path": outcome.path, "action": outcome.action, "conflicts": conflicts, "error": outcome.error or None}


def _drift_as_json(drift: DocumentDrift) -> dict[str, object]:
    differences = [
        {"pointer": _format_place(one.pointer), **_present(before=one.before, after=one.after)}
        for one in drift.differences
    ]
    return {"path": drift.path, "differences": differences, "error": drift.error or None}


def _present(**values: Any) -> dict[str, Any]:
    """The values that exist."""
    from observability.generation.merge import MISSING

    return {name: value for name, value in values.items() if value is not MISSING}


def _format_place(pointer: Sequence[str]) -> str:
    from observability.generation.merge import format_pointer

    return format_pointer(tuple(pointer))


def _format(value: Any) -> str:
    from observability.generation.merge import MISSING

    if value is MISSING:
        return "nothing"
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return text if len(text) <= _MAX_VALUE_LENGTH else f"{text[: _MAX_VALUE_LENGTH - 1]}…"
