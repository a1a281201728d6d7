"""Maps one test of Datadog Synthetics to a job. Called by source."""

from __future__ import annotations

import re
from collections.abc import Mapping

from config.importers.errors import NotCarriedOver
from config.importers.import_context import ImportContext
from config.importers.job_draft import JobDraft, KeyHandler
from config.importers.node import SourceNode
from config.importers.sources.datadog.kinds import MAPPED_SUBTYPES, REFUSED_SUBTYPES
from config.importers.sources.datadog.options import put_options
from config.importers.sources.datadog.steps import map_steps
from config.importers.unresolved import refuse_unresolved
from config.importers.values.reading import find_text, read_optional_text
from config.importers.values.tags import split_tags
from config.importers.values.test_variables import TestVariables

_REFUSED_TYPES = {
    "browser": ("there is no browser", "an http job for the start page, or steps for its requests"),
    "mobile": ("there are no mobile devices", "steps for the requests of the app"),
    "network": ("paths of packets are not traced", "a job of the kind tcp"),
}
_OF_DATADOG = "state of Datadog, which the job does not need"
_LONGEST_DESCRIPTION = 500


def import_test(context: ImportContext, node: SourceNode, globals_: Mapping[str, tuple[str, SourceNode]]) -> None:
    """Add the job of a test."""
    kind = find_text(node.child("type")) or "api"
    if kind != "api":
        why, nearest = _REFUSED_TYPES.get(kind, (f"a test of the type {kind} has no equivalent", ""))
        context.ledger.record_rest(node, why, nearest)
        return
    names = [child for child in (node.child("name"),) if child is not None]
    draft = context.new_job(find_text(node.child("name")) or "test", node, *names)
    try:
        _put_check(context, draft, node, globals_)
    except NotCarriedOver as error:
        context.discard_job(draft, error.why, error.nearest)
        return
    draft.map_keys(node, _HANDLERS)


def _put_check(
    context: ImportContext, draft: JobDraft, node: SourceNode, globals_: Mapping[str, tuple[str, SourceNode]]
) -> None:
    config, options = node.child("config"), node.child("options")
    if config is None:
        raise NotCarriedOver("the test has no configuration")
    subtype = read_optional_text(node.child("subtype")) or "http"
    if subtype in REFUSED_SUBTYPES:
        raise NotCarriedOver(*REFUSED_SUBTYPES[subtype])
    mapper = map_steps if subtype == "multi" else MAPPED_SUBTYPES.get(subtype)
    if mapper is None:
        raise NotCarriedOver(f"a test of the subtype {subtype} has no equivalent")
    variables = _read_variables(context, draft, config, globals_)
    variables.are_steps = subtype == "multi"
    draft.use(*(child for child in (node.child("type"), node.child("subtype")) if child is not None))
    seconds = mapper(variables, draft, config, options)
    put_options(context, draft, options, seconds)
    script = config.child("variablesFromScript")
    if script is not None and script.value:
        draft.drop(script, "there are no scripts", "write the values of the variables")
    elif script is not None:
        draft.use(script)


def _read_variables(
    context: ImportContext, draft: JobDraft, config: SourceNode, globals_: Mapping[str, tuple[str, SourceNode]]
) -> TestVariables:
    variables = TestVariables(context, draft.name)
    variables.values.update(globals_)
    variables.values.update({name: (value, None) for name, value in context.options.variables.items()})
    for key in ("configVariables", "variables"):
        listed = config.child(key)
        for node in listed.children() if listed is not None else ():
            name = read_optional_text(node.child("name"))
            if read_optional_text(node.child("type")) == "global":
                if name not in variables.values:
                    variables.external.add(name)
                draft.use(*node.leaves(), how="a global variable of Datadog")
                continue
            value = node.child("pattern")
            text = read_optional_text(value)
            if "{{" not in text:  # a pattern such as {{ numeric(3) }} is different in each run
                variables.values.setdefault(name, (text, value))
            draft.use(*(leaf for leaf in node.leaves() if leaf.key != "pattern"))
            if value is not None:
                draft.use(value)
        if listed is not None and not listed.value:
            draft.use(listed)
    return variables


def _map_message(draft: JobDraft, node: SourceNode) -> None:
    refuse_unresolved(node)
    text = read_optional_text(node).strip()
    if not text:
        draft.use(node)
        return
    handles = re.findall(r"@[\w.:@-]+", text)
    how = "the message is the description"
    if handles:
        how += f"; it does not notify ({', '.join(handles[:5])}): define channels, and name them in notify"
    printable = "".join(sign if sign.isprintable() or sign in "\n\t" else " " for sign in text)
    draft.put("description", printable[:_LONGEST_DESCRIPTION], node, how=how)


def _map_status(draft: JobDraft, node: SourceNode) -> None:
    if node.value == "paused":
        draft.put("enabled", False, node)
    else:
        draft.use(node)


def _map_tags(draft: JobDraft, node: SourceNode) -> None:
    texts = [str(child.value) for child in node.children() if isinstance(child.value, str)]
    tags = split_tags(texts)
    if tags:
        how = "a tag without a value has the value true" if "true" in tags.values() else ""
        draft.put("tags", tags, node, how=how)
    else:
        draft.use(node)


def _map_locations(draft: JobDraft, node: SourceNode) -> None:
    if not node.value:
        draft.use(node)
        return
    nearest = "run a scheduler in each region, and let a group of alerts decide (down_when: {at_least: 2})"
    raise NotCarriedOver("the scheduler checks from where it runs", nearest)


def _use_state(draft: JobDraft, node: SourceNode) -> None:
    draft.use(node, how=_OF_DATADOG)


_HANDLERS: dict[str, KeyHandler] = {
    "message": _map_message,
    "status": _map_status,
    "tags": _map_tags,
    "locations": _map_locations,
    **dict.fromkeys(
        (
            "public_id",
            "monitor_id",
            "creator",
            "created_at",
            "modified_at",
            "modified_by",
            "org_id",
            "id",
            "overall_state",
        ),
        _use_state,
    ),
    **dict.fromkeys(
        (
            "overall_state_modified",
            "created_by",
            "deleted_at",
            "editor",
            "version",
            "force_delete_dependencies",
            "forceDeleteDependencies",
            "steps",
            "stepCount",
        ),
        _use_state,
    ),
}
