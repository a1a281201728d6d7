"""What the audit trail records of changes of stored jobs. Pure; called by editing and sets.

The entry of one job has its definition before and after. The entry of a set has each job with its new version, and what
differs as far as MAX_DIFFERENCES allows: the versions themselves contain the rest. It also has the tags of the jobs
before and after, each combination once: they decide who sees what differs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from scheduler.audit.trail import TAGS_OF_JOBS, AuditedChange
from scheduler.identity.principal import written_tags
from scheduler.queries.stored_jobs import compare_definitions
from scheduler.stores.rows.json_text import decode_json, encode_json
from scheduler.stores.stored_jobs.tree import JobTree, StoredEntry
from scheduler.stores.stored_jobs.writes import JobWrite, next_number

MAX_DEFINITION = 50_000
"""Characters of a definition in an entry. Of a longer one its hash and its size are recorded."""
MAX_VERSIONS_OF_SET = 350_000
"""Characters of the names and versions in the entry of a set, about 10,000 jobs."""
MAX_DIFFERENCES = 60_000
"""Characters of what differs, of all jobs in the entry of a set together."""
MAX_TAGS_OF_SET = 20_000
"""Characters of the combinations of tags in the entry of a set. Without them only callers that see all jobs see it."""
_ACTIONS = {
    "created": "create",
    "replaced": "replace",
    "patched": "patch",
    "deleted": "delete",
    "restored": "restore",
}


def audit_job_change(verb: str, before: StoredEntry | None, write: JobWrite, copied: str = "") -> AuditedChange:
    """Return the entry of a change of one job. `verb`: such as `replaced`. `copied`: the job of which it is a copy."""
    old = None if before is None or before.is_deleted else _state(before.number, before.owner, before.text)
    new = None
    if write.definition is not None:
        new = _state(next_number(before), write.owner, encode_json(write.definition))
    return AuditedChange(
        action=f"job.{_ACTIONS[verb]}",
        object_id=write.name,
        summary=f"job {write.name} was {verb}" + (f" as a copy of {copied}" if copied else ""),
        jobs=(write.name, copied) if copied else (write.name,),
        before=old,
        after=new,
    )


def audit_set(owner: str, tree: JobTree, writes: Sequence[JobWrite]) -> AuditedChange:
    """Return the entry of a set that is applied. `tree`: before the change."""
    written = [write for write in writes if write.definition is not None]
    removed = [write for write in writes if write.definition is None]
    differences, omitted = _fit(((write.name, _differences(tree, write)) for write in writes), MAX_DIFFERENCES)
    versions, unnamed = _fit(((write.name, write.to_entry(tree).number) for write in writes), MAX_VERSIONS_OF_SET)
    after: dict[str, Any] = {
        "written": {write.name: versions[write.name] for write in written if write.name in versions},
        "removed": {write.name: versions[write.name] for write in removed if write.name in versions},
        "differences": differences,
    }
    tags = _combine_tags(tree, writes)
    if len(encode_json(tags)) <= MAX_TAGS_OF_SET:
        after[TAGS_OF_JOBS] = tags
    counts = {"versions_omitted": unnamed, "differences_omitted": omitted}
    return AuditedChange(
        action="set.apply",
        object_id=owner,
        summary=f"the set {owner} was applied: {len(written)} written, {len(removed)} removed",
        jobs=tuple(write.name for write in (*written, *removed)),
        after=after | {key: count for key, count in counts.items() if count},
        max_state=MAX_VERSIONS_OF_SET + MAX_DIFFERENCES + MAX_TAGS_OF_SET + 1000,
    )


def _state(version: int, owner: str, text: str) -> Mapping[str, Any]:
    """`text`: the definition as JSON."""
    if len(text) <= MAX_DEFINITION:
        return {"version": version, "owner": owner, "definition": decode_json(text)}
    digest = hashlib.sha256(text.encode()).hexdigest()
    return {"version": version, "owner": owner, "definition_characters": len(text), "definition_sha256": digest}


def _differences(tree: JobTree, write: JobWrite) -> Sequence[Mapping[str, Any]]:
    """Return each key that differs, in the definitions as users wrote them."""
    entry = tree.find_job(write.name)
    before = {} if entry is None else decode_json(entry.text)
    changes = compare_definitions(before, write.definition or {})
    return [{"path": change.path, "before": change.before, "after": change.after} for change in changes]


def _combine_tags(tree: JobTree, writes: Sequence[JobWrite]) -> Sequence[Mapping[str, str]]:
    """Return each combination of tags that a job has before or after the change."""
    found: dict[str, Mapping[str, str]] = {}
    for write in writes:
        entry = tree.find_job(write.name)
        for definition in (None if entry is None else decode_json(entry.text), write.definition):
            if definition is not None:
                tags = written_tags(definition)
                found[encode_json(tags)] = tags
    return list(found.values())


def _fit(items: Iterable[tuple[str, Any]], limit: int) -> tuple[dict[str, Any], int]:
    """Return the items that fit as JSON, and the number of the others."""
    fitting, size, omitted = dict[str, Any](), 0, 0
    for name, value in items:
        length = len(name) + len(encode_json(value)) + 4
        if size + length > limit:
            omitted += 1
        else:
            size += length
            fitting[name] = value
    return fitting, omitted
