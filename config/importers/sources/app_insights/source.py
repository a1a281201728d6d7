"""Imports web tests of Application Insights. Called by registry.

Files are XML (`.webtest`), ARM templates with parameter files, JSON of the API and command line of Azure, or Terraform.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from config.importers.errors import NotCarriedOver, UnreadableSource
from config.importers.import_context import ImportContext
from config.importers.job_draft import JobDraft
from config.importers.node import SourceNode
from config.importers.source_file import SourceFile
from config.importers.sources.app_insights.alerts import import_alert
from config.importers.sources.app_insights.resources import import_web_test
from config.importers.sources.app_insights.settings import DEFAULT_FREQUENCY, put_timing
from config.importers.sources.app_insights.standard import find_key
from config.importers.sources.app_insights.templates import (
    METRIC_ALERT,
    WEB_TEST,
    add_template,
    is_parameter_file,
    is_template,
    read_parameter_file,
)
from config.importers.sources.app_insights.web_test_xml import parse_web_test, read_attribute
from config.importers.sources.app_insights.web_tests import put_web_test, sum_timeouts
from config.importers.terraform.resources import has_resources, is_hcl, read_resources

_ALERT_RESOURCE = "azurerm_monitor_metric_alert"
_TEST_RESOURCES = frozenset({"azurerm_application_insights_web_test", "azurerm_application_insights_standard_web_test"})
TERRAFORM_KINDS = _TEST_RESOURCES | {_ALERT_RESOURCE}
_BICEP = "build it first: az bicep build --file main.bicep"
_EXPECTED = "name a .webtest file, an ARM template, or the answer of: az monitor app-insights web-test list"


def detects(file: SourceFile) -> bool:
    """Return whether the file has web tests."""
    head = file.head.lstrip(b"\xef\xbb\xbf").lstrip()
    if head.startswith(b"<"):
        return b"<WebTest" in file.head
    if is_hcl(file):
        return has_resources(file, _TEST_RESOURCES)
    if not head.startswith((b"{", b"[")):
        return False
    if has_resources(file, _TEST_RESOURCES):
        return True
    value = file.tree.root.value
    if is_template(value):
        return WEB_TEST in file.text.lower()
    return any(_is_web_test(node.value) for node in _list_resources(file.tree.root))


def import_files(files: Sequence[SourceFile], context: ImportContext) -> None:
    """Add the jobs of all files. Raises UnreadableSource."""
    parameters: dict[str, Any] = {name.lower(): value for name, value in context.options.variables.items()}
    for file in files:
        if _is_json(file) and is_parameter_file(file.tree.root.value):
            parameters = {**read_parameter_file(file.tree.root.value), **parameters}
            context.use(context.add_tree(file.tree), "values of the template's parameters")
    drafts: dict[str, JobDraft] = {}
    alerts: list[SourceNode] = []
    terraform = [file for file in files if is_hcl(file) or (_is_json(file) and has_resources(file, TERRAFORM_KINDS))]
    if terraform:
        _import_terraform(terraform, context, drafts, alerts)
    for file in files:
        if file not in terraform:
            _import_file(file, context, parameters, drafts, alerts)
    for node in alerts:
        import_alert(context, node, drafts)


def _import_terraform(
    files: Sequence[SourceFile], context: ImportContext, drafts: dict[str, JobDraft], alerts: list[SourceNode]
) -> None:
    for resource, node in read_resources(files, context, TERRAFORM_KINDS):
        if resource.kind == _ALERT_RESOURCE:
            alerts.append(node)
        elif (draft := import_web_test(context, node)) is not None:
            drafts[resource.address] = draft
            drafts[str(resource.values.get("name", ""))] = draft


def _is_json(file: SourceFile) -> bool:
    return file.head.lstrip(b"\xef\xbb\xbf").lstrip().startswith((b"{", b"["))


def _import_file(
    file: SourceFile,
    context: ImportContext,
    parameters: dict[str, Any],
    drafts: dict[str, JobDraft],
    alerts: list[SourceNode],
) -> None:
    if file.path.suffix.lower() == ".bicep":
        raise UnreadableSource(file.shown, "is Bicep, which is not read", _BICEP)
    if not _is_json(file):
        _import_xml(file, context)
        return
    value = file.tree.root.value
    if is_parameter_file(value):
        return
    if is_template(value):
        found = add_template(context, file.tree, parameters)
    else:
        root = context.add_tree(file.tree)
        found = [(WEB_TEST, node) for node in _list_resources(root) if _is_web_test(node.value)]
        if not found:
            raise UnreadableSource(file.shown, "has no web test", _EXPECTED)
    for kind, node in found:
        if kind == METRIC_ALERT:
            alerts.append(node)
        elif (draft := import_web_test(context, node)) is not None:
            name = find_key(node, "name")
            drafts[str(name.value) if name is not None else node.key] = draft


def _list_resources(root: SourceNode) -> Iterator[SourceNode]:
    """Yield the resources of an answer: one, a list, or `value` of a list's answer."""
    listed = root.child("value") or root
    if isinstance(listed.value, list):
        yield from listed.children()
    else:
        yield listed


def _is_web_test(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    keys = {str(key).lower() for key in value} | {str(key).lower() for key in value.get("properties") or ()}
    return str(value.get("type", "")).lower() == WEB_TEST or (
        {"frequency", "kind"} <= keys & {"frequency", "kind"}
        and bool(keys & {"configuration", "request", "syntheticmonitorid"})
    )


def _import_xml(file: SourceFile, context: ImportContext) -> None:
    """Add the job of a .webtest file, which has no schedule."""
    if not file.content.lstrip(b"\xef\xbb\xbf\xff\xfe").lstrip().startswith((b"<", b"<\0")):
        raise UnreadableSource(file.shown, "is neither XML nor JSON", _EXPECTED)
    root = context.add_tree(parse_web_test(file.content, file.shown))
    test = root.child("WebTest")
    if test is None:
        raise UnreadableSource(file.shown, "is not a web test: its XML has no element WebTest", _EXPECTED)
    nodes = [node for node in (test.child("Name"),) if node is not None]
    draft = context.new_job(read_attribute(test, "Name") or file.path.stem, test, *nodes)
    try:
        put_web_test(context, draft, root)
    except NotCarriedOver as error:
        context.discard_job(draft, error.why, error.nearest)
        return
    put_timing(draft, default_timeout=sum_timeouts(test))
    draft.put("alerts", [{"open_after": 1}])
    context.notes.append(f"{draft.name}: the file has no schedule: each {DEFAULT_FREQUENCY // 60} minutes")
