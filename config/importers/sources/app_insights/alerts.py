"""Maps metric alerts about the availability of web tests to the rule of their job. Called by source."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from config.importers.errors import NotCarriedOver
from config.importers.import_context import ImportContext
from config.importers.job_draft import JobDraft
from config.importers.node import SourceNode
from config.importers.sources.app_insights.standard import find_key
from config.importers.unresolved import is_unresolved
from config.importers.values.reading import read_boolean, read_integer, read_optional_text
from config.importers.values.sections import add_named_entry

_SEVERITIES = {0: "down", 1: "down", 2: "degraded", 3: "degraded", 4: "info"}
_IDLE = "part of the alert rule of the job"
_NO_TEST = "an alert about something else than an imported web test: it stays in Azure"
_CRITERIA = "applicationinsightswebtestlocationavailabilitycriteria"


def import_alert(context: ImportContext, node: SourceNode, drafts: Mapping[str, JobDraft]) -> None:
    """Set the rule of the test's job. `drafts`: by the name of the test, and by its address in Terraform."""
    properties = find_key(node, "properties") or node
    criteria = find_key(properties, "criteria", _CRITERIA)
    test = find_key(criteria, "webtestid")
    draft = _find_draft(test, drafts)
    if draft is None:
        context.use(node, _NO_TEST)
        return
    enabled = find_key(properties, "enabled")
    if enabled is not None and enabled.value is not None and not is_unresolved(enabled) and not read_boolean(enabled):
        draft.drop(node, "the alert is not enabled")
        return
    count_node = find_key(criteria, "failedlocationcount")
    rule: dict[str, Any] = {"open_after": _read_count(count_node)}
    _put_severity(rule, find_key(properties, "severity"))
    _put_channels(context, draft, rule, find_key(properties, "actions", "action"))
    if count_node is not None:
        draft.use(count_node, how="so many runs in a row must fail, as the scheduler checks from one place")
    rules = draft.get("alerts") or []
    draft.put("alerts", [rule] if rules == [{"open_after": 1}] else [*rules, {"name": f"rule-{len(rules)}", **rule}])
    for leaf in node.leaves():
        if not context.ledger.is_recorded(leaf):
            draft.use(leaf, how=_IDLE)


def _find_draft(node: SourceNode | None, drafts: Mapping[str, JobDraft]) -> JobDraft | None:
    if node is None:
        return None
    text = str(node.value)
    whole = re.sub(r"\[[^\]]*\]", "", text)  # the index of an only instance
    for address, draft in drafts.items():
        if address and (text.lower().endswith(f"/{address.lower()}") or f"{address}.id" in (text, whole)):
            return draft
    return None


def _read_count(node: SourceNode | None) -> int:
    try:
        return min(max(read_integer(node), 1), 100) if node is not None and not is_unresolved(node) else 1
    except NotCarriedOver:
        return 1


def _put_severity(rule: dict[str, Any], node: SourceNode | None) -> None:
    if node is not None and str(node.value) in map(str, _SEVERITIES):
        rule["severity"] = _SEVERITIES[int(node.value)]


def _put_channels(context: ImportContext, draft: JobDraft, rule: dict[str, Any], actions: SourceNode | None) -> None:
    names: list[str] = []
    entries = list(actions.children()) if actions is not None and isinstance(actions.value, list) else []
    if actions is not None and isinstance(actions.value, dict) and actions.value:
        entries = [actions]
    for entry in entries:
        group = find_key(entry, "actiongroupid")
        identifier = read_optional_text(group) if group is not None else ""
        try:
            if not identifier.lower().startswith("/subscriptions/"):
                raise NotCarriedOver("the id of the action group is only known in Azure")
            channel = {"kind": "azure_action_group", "id": identifier}
            names.append(_add_channel(context, identifier.rpartition("/")[2], channel))
        except NotCarriedOver as error:
            draft.drop(entry, error.why, "define a channel azure_action_group, and name it in notify")
    if names:
        rule["notify"] = names


def _add_channel(context: ImportContext, hint: str, channel: dict[str, Any]) -> str:
    known = context.sections.get("alerting", {}).get("channels", {})
    same = next((name for name, entry in known.items() if entry == channel), None)
    return same if same is not None else add_named_entry(context, "channels", hint, channel)
