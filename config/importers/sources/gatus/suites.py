"""A suite of Gatus as a job with several steps. Called by files.

Endpoints that always run at the end become `cleanup`. Values are carried by `[CONTEXT].name`, here by `${name}`.
"""

from __future__ import annotations

import re
from typing import Any

from config.importers.errors import NotCarriedOver
from config.importers.import_context import ImportContext
from config.importers.job_draft import JobDraft
from config.importers.node import SourceNode
from config.importers.sources.gatus.alerts import AlertDefaults
from config.importers.sources.gatus.conditions.json_paths import to_json_path
from config.importers.sources.gatus.conditions.mapping import map_condition
from config.importers.sources.gatus.conditions.operands import parse_condition
from config.importers.sources.gatus.endpoints import put_enabled, put_group, put_interval, start_job
from config.importers.sources.gatus.step_requests import StepWriter
from config.importers.sources.gatus.variables import read_known_text
from config.importers.values.durations import read_seconds, write_duration
from config.importers.values.reading import read_boolean, read_list, read_mapping, read_text

DEFAULT_INTERVAL, DEFAULT_TIMEOUT = "10m", 300.0
LONGEST_RUN = 8 * 60.0
_STORED = re.compile(r"\[BODY\]\.?(?P<path>.*)", re.IGNORECASE | re.DOTALL)
_CONTEXT = re.compile(r"\[CONTEXT\]\.([\w.-]*[\w-])", re.IGNORECASE)


def map_suite(suite: SourceNode, context: ImportContext, defaults: AlertDefaults) -> None:
    """Add the job of a suite, or report why there cannot be one."""
    try:
        draft = start_job(suite, context)
    except NotCarriedOver as error:
        context.ledger.record_rest(suite, error.why, error.nearest)
        return
    draft.put("schedule", {"every": DEFAULT_INTERVAL})
    draft.put("retry", {"attempts": 1})
    draft.put("check.kind", "steps")
    timeout = write_duration(DEFAULT_TIMEOUT)
    draft.put("timeout", {"attempt": timeout, "run": timeout})
    try:
        constants = _read_context(draft, suite.child("context"))
        _put_steps(context, draft, suite, constants)
    except NotCarriedOver as error:
        context.discard_job(draft, error.why, error.nearest)
        return
    draft.map_keys(
        suite,
        {"enabled": put_enabled, "group": put_group, "interval": put_interval, "timeout": _put_timeout},
    )


def _put_timeout(draft: JobDraft, node: SourceNode) -> None:
    seconds = read_seconds(node) or DEFAULT_TIMEOUT
    limited = write_duration(min(seconds, LONGEST_RUN))
    how = "" if seconds <= LONGEST_RUN else "a run takes at most 8 minutes"
    draft.put("timeout", {"attempt": limited, "run": limited}, node, how=how)


def _read_context(draft: JobDraft, node: SourceNode | None) -> dict[str, str]:
    """Return the initial values by their path: they do not change, so they are written where they are used."""
    constants: dict[str, str] = {}
    for leaf in node.leaves() if node is not None else ():
        if any(isinstance(part, int) for part in leaf.path[-1:]) or leaf.value in ({}, []):
            draft.drop(leaf, "only single values can be used", "a text")
            continue
        constants[".".join(map(str, leaf.path[len(node.path) :]))] = read_known_text(leaf)  # type: ignore[union-attr]
        draft.use(leaf, how="written where it is used")
    return constants


def _put_steps(context: ImportContext, draft: JobDraft, suite: SourceNode, constants: dict[str, str]) -> None:
    endpoints = suite.child("endpoints")
    nodes = read_list(endpoints) if endpoints is not None else []
    if not nodes:
        raise NotCarriedOver("the suite has no endpoints")
    steps: list[dict[str, Any]] = []
    cleanup: list[dict[str, Any]] = []
    saved: set[str] = set()
    for at, node in enumerate(nodes):
        always = node.child("always-run")
        is_last = (
            always is not None
            and read_boolean(always)
            and all((later := one.child("always-run")) is not None and later.value is True for one in nodes[at:])
        )
        step = StepWriter(context, draft, constants, saved).write(node)
        _put_expectations(draft, node, step, constants)
        _put_saved(draft, node, step, saved)
        (cleanup if is_last else steps).append(step)
        if always is not None:
            how = "the step is part of cleanup" if is_last else "only the last steps can always run: it is a usual step"
            draft.use(always, how="" if always.value is False else how)
    if not steps:
        steps, cleanup = cleanup, []
    draft.put("check.steps", steps)
    if cleanup:
        draft.put("check.cleanup", cleanup)


def _put_expectations(draft: JobDraft, node: SourceNode, step: dict[str, Any], constants: dict[str, str]) -> None:
    conditions = node.child("conditions")
    entries: list[dict[str, Any]] = []
    for one in conditions.children() if conditions is not None else ():
        text = _CONTEXT.sub(lambda found: constants.get(found[1], "${" + found[1] + "}"), read_known_text(one))
        try:
            mapped = map_condition(parse_condition(text), "http")
        except NotCarriedOver as error:
            draft.drop(one, error.why, error.nearest)
            continue
        if any("error" in entry for entry in mapped.entries):
            draft.drop(one, "a step must have an answer", "a job of kind http with the expectation error")
            continue
        entries += mapped.entries
        draft.use(one, how=mapped.how)
    if not any("status" in entry for entry in entries):
        entries.append({"status": "100-599"})
    step["expect"] = entries


def _put_saved(draft: JobDraft, node: SourceNode, step: dict[str, Any], saved: set[str]) -> None:
    store = node.child("store")
    if store is None:
        return
    values: dict[str, Any] = {}
    for key, value in read_mapping(store).items():
        found = _STORED.fullmatch(read_text(value).strip())
        name = re.sub(r"[^A-Za-z0-9_]", "_", key)
        if found is None:
            draft.drop(value, "only values of the body can be saved", "save with header, cookie or regex")
            continue
        path = found["path"]
        values[name] = {"json": to_json_path(path)} if path else {"regex": r"(?s)\A\s*(.*?)\s*\Z"}
        saved.add(name)
        draft.use(value, how="" if name == key else f"the value is named {name}")
    if values:
        step["save"] = values
