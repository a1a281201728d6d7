"""The content of an entry: JSON of a bounded size, without secrets. Pure. Used by scheduler.audit.stored_trail."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from jobs.redaction import Redactor
from scheduler.audit.trail import AuditedChange
from scheduler.identity.caller import Caller
from scheduler.stores.audit import canonical_json, digest_of

MAX_JOBS_CHARACTERS = 400_000
"""Characters of the names of an entry's jobs."""
_MAX_TEXT = 1000
_MAX_DEPTH = 50
_STATE_START = 2000


def entry_content(
    at: datetime, kind: str, caller: Caller, change: AuditedChange, redactor: Redactor, **more: Any
) -> dict[str, Any]:
    """Return the fields of an entry about a change. `kind`: change or failure."""
    jobs = _fitting_names(change.jobs)
    omitted = len(change.jobs) - len(jobs)
    return {
        "at": at.isoformat(),
        "kind": kind,
        "action": change.action,
        "object": clean_text(change.object_id, redactor),
        "summary": clean_text(change.summary, redactor),
        "jobs": jobs,
        **({"jobs_omitted": omitted} if omitted else {}),
        "principal": caller.principal.id,
        "role": caller.principal.role.value,
        "source": caller.source.name.lower(),
        "address": caller.address[:100],
        "request_id": redactor.redact(caller.request_id),
        "before": _state(change.before, redactor, change.max_state),
        "after": _state(change.after, redactor, change.max_state),
        **more,
    }


def clean_text(text: str, redactor: Redactor) -> str:
    """Redact and cut a text."""
    return redactor.redact(text)[:_MAX_TEXT]


def _state(value: Mapping[str, Any] | None, redactor: Redactor, limit: int) -> Any:
    clean = _clean(value, redactor, _MAX_DEPTH)
    text = canonical_json(clean)
    if len(text) <= limit:
        return clean
    return {"cut": True, "characters": len(text), "sha256": digest_of(clean), "start": text[:_STATE_START]}


def _clean(value: Any, redactor: Redactor, depth: int) -> Any:
    """Return JSON: texts redacted, other values as texts."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str) or not depth:
        return redactor.redact(str(value))
    if isinstance(value, Mapping):
        return {redactor.redact(str(key)): _clean(each, redactor, depth - 1) for key, each in value.items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes):
        return [_clean(each, redactor, depth - 1) for each in value]
    return redactor.redact(str(value))


def _fitting_names(names: Sequence[str]) -> list[str]:
    size, fitting = 0, list[str]()
    for name in names:
        size += len(name) + 3
        if size > MAX_JOBS_CHARACTERS:
            break
        fitting.append(name)
    return fitting
