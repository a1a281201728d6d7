"""Maps a multistep API test to a check of steps. Called by synthetic_tests."""

from __future__ import annotations

from typing import Any

from config.importers.errors import NotCarriedOver
from config.importers.job_draft import JobDraft
from config.importers.node import SourceNode
from config.importers.sources.datadog.assertions import put_assertions
from config.importers.sources.datadog.requests import put_request, put_step_timeout, read_timeout
from config.importers.values.reading import read_boolean, read_optional_text
from config.importers.values.test_variables import TestVariables

_MOST_STEPS = 50
_LONGEST_NAME = 100
_WHOLE_BODY = "(?s)(.*)"
_NO_EXTRACTION = "save the value by a JSONPath or a regular expression"


def map_steps(variables: TestVariables, draft: JobDraft, config: SourceNode, options: SourceNode | None) -> float:
    """Set the steps, and return the seconds of all of them together. Raises NotCarriedOver."""
    listed = config.child("steps")
    steps = list(listed.children()) if listed is not None else []
    requests = [node for node in steps if read_optional_text(node.child("subtype")) not in ("wait",)]
    if not 0 < len(requests) <= _MOST_STEPS:
        raise NotCarriedOver(f"the test has {len(requests)} steps with requests; 1 to {_MOST_STEPS} are possible")
    draft.put("check.kind", "steps")
    draft.put("check.steps", [])
    names: set[str] = set()
    seconds = 0.0
    for node in steps:
        if node not in requests:
            draft.drop(node, "steps follow each other without a pause")
    for number, node in enumerate(requests):
        kind = read_optional_text(node.child("subtype")) or "http"
        request = node.child("request")
        if kind != "http" or request is None:
            raise NotCarriedOver(f"a step of the type {kind} has no equivalent", "a job for it, and depends_on")
        step = f"check.steps.{number}"
        _put_name(draft, node, number, names, step)
        put_request(variables, draft, request, step, options)
        put_step_timeout(draft, request, step)
        seconds += read_timeout(request.child("timeout"), 60.0)
        put_assertions(variables, draft, node.child("assertions"), step)
        _put_extractions(variables, draft, node.child("extractedValues"), step)
        _put_flags(draft, node, step)
    request = config.child("request")
    draft.use(*(request.leaves() if request is not None else ()))
    return seconds


def _put_name(draft: JobDraft, node: SourceNode, number: int, names: set[str], step: str) -> None:
    child = node.child("name")
    base = "".join(sign for sign in read_optional_text(child) if sign.isprintable()) or f"step {number + 1}"
    name, attempt = base[:_LONGEST_NAME], 1
    while name in names:
        attempt += 1
        name = f"{base[: _LONGEST_NAME - 5]} ({attempt})"
    names.add(name)
    how = "" if child is None or name == child.value else f"the step is named {name}"
    draft.put(f"{step}.name", name, *([child] if child is not None else []), how=how)
    draft.use(*(one for one in (node.child("subtype"), node.child("id")) if one is not None))


def _put_extractions(variables: TestVariables, draft: JobDraft, node: SourceNode | None, step: str) -> None:
    for value in node.children() if node is not None else ():
        name = read_optional_text(value.child("name"))
        try:
            source = _convert_extraction(value)
        except NotCarriedOver as error:
            draft.drop(value, error.why, error.nearest)
            continue
        secure = value.child("secure")
        if secure is not None and secure.value is not None and read_boolean(secure):
            source["secret"] = True
        draft.put(f"{step}.save.{variables.save(name)}", source, *value.leaves())
    if node is not None and not node.value:
        draft.use(node)


def _convert_extraction(node: SourceNode) -> dict[str, Any]:
    kind, parser = read_optional_text(node.child("type")), read_optional_text(node.child("parser", "type")) or "raw"
    value, field = read_optional_text(node.child("parser", "value")), read_optional_text(node.child("field"))
    if kind == "http_header" and field:
        if parser == "raw":
            return {"header": field}
        if parser == "regex":
            return {"header": field, "regex": value}
    if kind == "http_body":
        if parser == "json_path":
            return {"json": value if value.startswith("$") else f"$.{value}"}
        if parser == "regex":
            return {"regex": value}
        if parser == "raw":
            return {"regex": _WHOLE_BODY}
    raise NotCarriedOver(f"a value of {kind} by {parser} cannot be saved", _NO_EXTRACTION)


def _put_flags(draft: JobDraft, node: SourceNode, step: str) -> None:
    allows = node.child("allowFailure")
    is_allowed = allows is not None and allows.value is not None and read_boolean(allows)
    if is_allowed:
        for entry in draft.get(f"{step}.expect") or []:
            entry["severity"] = "degraded"
    how = "its expectations degrade the run; a step without an answer ends it" if is_allowed else ""
    draft.use(*([allows] if allows is not None else []), how=how)
    critical = node.child("isCritical")
    if critical is not None:
        draft.use(critical)
    for key in ("retry", "exitIfSucceed", "extractedValuesFromScript"):
        child = node.child(key)
        if child is None:
            continue
        if key == "exitIfSucceed" and child.value:
            raise NotCarriedOver("a sequence does not end early with success", "two jobs")
        if child.value and any(leaf.value for leaf in child.leaves()):
            draft.drop(child, "a step has neither retries nor scripts", "retry of the job repeats all steps")
        else:
            draft.use(*child.leaves())
