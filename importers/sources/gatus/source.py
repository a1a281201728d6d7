"""Files of Gatus: finds what each top-level key becomes, suites included.

Several files are read together, as Gatus merges the files of a folder. A suite becomes a job of steps.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from importers.import_context import ImportContext
from importers.ledger import JobDraft, drop_key
from importers.reading import read_boolean, read_list, read_mapping, read_seconds, read_text, write_duration
from importers.source_tree import (
    NotCarriedOver,
    SourceFile,
    SourceNode,
    UnreadableSource,
    children_of,
)
from importers.sources.gatus.alerts import AlertDefaults, add_channels
from importers.sources.gatus.clients import expand_tree, find_kind, put_client, put_target, read_known_text
from importers.sources.gatus.condition_values import parse_condition
from importers.sources.gatus.conditions import map_condition, to_json_path
from importers.sources.gatus.endpoints import (
    UI_REASON,
    add_window,
    map_endpoint,
    map_external,
    put_enabled,
    put_group,
    put_interval,
    put_labels,
    put_request,
    start_job,
)

_CONTEXT = re.compile(r"\[CONTEXT\]\.([\w.-]*[\w-])", re.IGNORECASE)


class StepWriter:
    """Writes steps through a draft of a job, so that secrets and headers are mapped by the same code as endpoints."""

    def __init__(self, context: ImportContext, draft: JobDraft, constants: dict[str, str], saved: set[str]) -> None:
        self._context = context
        self._draft = draft
        self._constants = constants
        self._saved = saved

    def write(self, node: SourceNode) -> dict[str, Any]:
        """Return the step of an endpoint. Raises NotCarriedOver: it is not a request."""
        kind = find_kind(node)
        if kind != "http":
            raise NotCarriedOver("steps are requests by http", "a job for each endpoint")
        step = JobDraft(self._draft.name, node, self._context.ledger)
        put_target(self._context, step, node, kind)
        put_client(self._context, step, node.child("client"), kind)
        put_request(self._context, step, node)
        name = node.child("name")
        if name is None:
            raise NotCarriedOver("an endpoint has no name")
        step.use(name)
        step.map_keys(
            node,
            {
                "ui": drop_key(UI_REASON),
                "group": partial(_drop, "the steps of a suite have its group"),
                "alerts": drop_key("a job has alerts, a step has none", "alerts of the job"),
                "interval": partial(_drop, "the steps of a suite have its interval"),
                "enabled": partial(_drop, "a step cannot be disabled"),
                "extra-labels": put_labels,
                "maintenance-windows": drop_key("a step has no maintenance window", "a window for the job"),
            },
        )
        check = step.definition["check"]
        del check["kind"]
        timeout = step.definition.get("timeout", {}).get("attempt")
        written = {"name": read_text(name), **self._replace(check)}
        return {**written, "timeout": timeout} if timeout else written

    def _replace(self, value: Any) -> Any:
        """Write `[CONTEXT].name` as the constant or as `${name}`. A dollar sign of the source is doubled."""
        if isinstance(value, str):
            return self._replace_text(value)
        if isinstance(value, dict):
            if value.keys() == {"secret"}:
                return value
            return {key: self._replace(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self._replace(one) for one in value]
        return value

    def _replace_text(self, text: str) -> str:
        parts: list[str] = []
        end = 0
        for found in _CONTEXT.finditer(text):
            parts += [text[end : found.start()].replace("$", "$$"), self._value(found[1])]
            end = found.end()
        return "".join([*parts, text[end:].replace("$", "$$")])

    def _value(self, name: str) -> str:
        if name in self._constants:
            return self._constants[name].replace("$", "$$")
        written = re.sub(r"[^A-Za-z0-9_]", "_", name)
        if written not in self._saved:
            raise NotCarriedOver(f"[CONTEXT].{name} is used, but no earlier endpoint stores it")
        return f"${{{written}}}"


def _drop(why: str, draft: JobDraft, node: SourceNode) -> None:
    draft.drop(node, why)


DEFAULT_INTERVAL, DEFAULT_TIMEOUT = "10m", 300.0
MAX_RUN = 8 * 60.0
_STORED = re.compile(r"\[BODY\]\.?(?P<path>.*)", re.IGNORECASE | re.DOTALL)


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
    limited = write_duration(min(seconds, MAX_RUN))
    how = "" if seconds <= MAX_RUN else "a run takes at most 8 minutes"
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
    nodes = read_list(endpoints)
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
    for condition in children_of(conditions):
        text = _CONTEXT.sub(lambda found: constants.get(found[1], "${" + found[1] + "}"), read_known_text(condition))
        try:
            mapped = map_condition(parse_condition(text), "http")
        except NotCarriedOver as error:
            draft.drop(condition, error.why, error.nearest)
            continue
        if any("error" in entry for entry in mapped.entries):
            draft.drop(condition, "a step must have an answer", "a job of kind http with the expectation error")
            continue
        entries += mapped.entries
        draft.use(condition, how=mapped.how)
    if not any("status" in entry for entry in entries):
        entries.append({"status": "100-599"})
    step["expect"] = entries


def _put_saved(draft: JobDraft, node: SourceNode, step: dict[str, Any], saved: set[str]) -> None:
    store = node.child("store")
    if store is None:
        return
    values: dict[str, Any] = {}
    for key, value in read_mapping(store).items():
        stored = _STORED.fullmatch(read_text(value).strip())
        name = re.sub(r"[^A-Za-z0-9_]", "_", key)
        if stored is None:
            draft.drop(value, "only values of the body can be saved", "save with header, cookie or regex")
            continue
        path = stored["path"]
        values[name] = {"json": to_json_path(path)} if path else {"regex": r"(?s)\A\s*(.*?)\s*\Z"}
        saved.add(name)
        draft.use(value, how="" if name == key else f"the value is named {name}")
    if values:
        step["save"] = values


_SUFFIXES = (".yaml", ".yml", ".json")
_SERVES = "the scheduler is configured by its settings"
_DASHBOARD = "it changes the pages of Gatus"
_GLOBAL_REASONS = {
    "debug": (_SERVES, "the setting log_level"),
    "metrics": (_SERVES, "the page of metrics, docs/telemetry.md"),
    "skip-invalid-config-update": ("job files with problems are never used: the last valid set stays in force", ""),
    "disable-monitoring-lock": ("jobs do not wait for each other", "concurrency_group, or the setting max_running"),
    "concurrency": (_SERVES, "the setting max_running, or concurrency_group"),
    "security": (_SERVES, "identities and roles, docs/security.md"),
    "storage": (_SERVES, "the setting store"),
    "web": (_SERVES, "serve --host and --port"),
    "ui": (_DASHBOARD, "docs/dashboard.md"),
    "remote": ("other instances are not shown", "the API of each instance"),
    "connectivity": ("it is the scheduler's own check", "alerts of the scheduler that is blind, docs/alerting.md"),
    "tunneling": ("there are no SSH tunnels", "run the scheduler within that network"),
    "announcements": ("there are no announcements", "a note of an incident"),
}
_ANCHOR = re.compile(r"""["']?[^\s"':]+["']?:[ \t]+&\S""")
"""A key whose value has an anchor; Gatus ignores keys that it does not know."""
_KEYS = frozenset({"endpoints", "external-endpoints", "suites", "services"})
_TOP_KEYS = _KEYS | _GLOBAL_REASONS.keys() | {"alerting", "maintenance"}


def detects(file: SourceFile) -> bool:
    """Return whether the file has endpoints with conditions, external endpoints or suites."""
    if not file.shown.lower().endswith(_SUFFIXES):
        return False
    try:
        value = file.document.value
    except UnreadableSource:
        return False
    if not isinstance(value, dict):
        return False
    lists = [value[key] for key in _KEYS if isinstance(value.get(key), list)]
    entries = [entry for entries in lists for entry in entries if isinstance(entry, dict)]
    return any({"conditions", "url"} <= entry.keys() or "token" in entry or "endpoints" in entry for entry in entries)


def import_files(files: Sequence[SourceFile], context: ImportContext) -> None:
    """Add the jobs of all files."""
    roots: list[SourceNode] = []
    for file in files:
        root = context.add_tree(expand_tree(file.tree, context.options.variables))
        if not isinstance(root.value, dict):
            hint = "give a configuration of Gatus, with the key endpoints"
            raise UnreadableSource(file.shown, "is not a mapping", hint, 1, 1)
        roots.append(root)
    defaults = AlertDefaults()
    for root in roots:
        if (alerting := root.child("alerting")) is not None:
            add_channels(alerting, context, defaults)
    for file, root in zip(files, roots, strict=True):
        rows = file.text.split("\n")
        for node in root.children():
            _map_key(node, context, defaults)
            if node.line is not None and _ANCHOR.match(rows[node.line - 1]) and node.key not in _TOP_KEYS:
                context.use(node, "shared by an anchor: it is part of what refers to it")


def _map_key(node: SourceNode, context: ImportContext, defaults: AlertDefaults) -> None:
    mappings: dict[str, Callable[[SourceNode, ImportContext, AlertDefaults], None]] = {
        "endpoints": map_endpoint,
        "services": map_endpoint,  # its name before version 3
        "external-endpoints": map_external,
        "suites": map_suite,
    }
    if node.key in mappings and isinstance(node.value, list):
        for entry in node.children():
            if isinstance(entry.value, dict):
                mappings[node.key](entry, context, defaults)
            else:
                context.drop(entry, "expected a mapping")
    elif node.key == "maintenance":
        add_window(context, node, {"all": True}, "gatus")
    elif node.key in _GLOBAL_REASONS:
        why, nearest = _GLOBAL_REASONS[node.key]
        context.ledger.record_rest(node, why, nearest)
