"""Imports web tests of Application Insights from its resources.

Files are XML (`.webtest`), ARM templates with parameter files, JSON of the API and command line of Azure, or
Terraform.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from importers.import_context import ImportContext
from importers.ledger import JobDraft
from importers.reading import find_text
from importers.source_tree import (
    NotCarriedOver,
    SourceFile,
    SourceNode,
    SourceTree,
    UnreadableSource,
    child_of,
    is_unresolved,
    refuse_unresolved,
)
from importers.sources.app_insights.resources import (
    DEFAULT_FREQUENCY,
    SETTING_HANDLERS,
    find_key,
    first_entry,
    import_alert,
    normalise,
    put_standard_request,
    put_timing,
    put_validation_rules,
    use_own,
)
from importers.sources.app_insights.templates import (
    METRIC_ALERT,
    WEB_TEST,
    add_template,
    is_parameter_file,
    is_template,
    read_parameter_file,
)
from importers.sources.app_insights.web_test_xml import parse_web_test, read_attribute
from importers.sources.app_insights.web_tests import put_web_test, sum_timeouts
from importers.terraform import has_resources, is_hcl, read_resources

_NAME_KEYS = ("name", "namepropertiesname", "webtestname")
_STRUCTURE = (
    "type",
    "kind",
    "webtestkind",
    "properties",
    "configuration",
    "request",
    "validationrules",
    "configurations",
)


def import_web_test(context: ImportContext, node: SourceNode) -> JobDraft | None:
    """Add the job of a resource; None if it is not carried over."""
    properties = find_key(node, "properties") or node
    draft = context.new_job(_find_name(node, properties), node, *_name_nodes(node, properties))
    try:
        _put_check(context, draft, properties)
        frequency, timeout, retry = (
            _known(find_key(properties, key)) for key in ("frequency", "timeout", "retryenabled")
        )
        put_timing(draft, frequency, timeout, retry)
        draft.put("alerts", [{"open_after": 1}])
        for part in {node.path: node, properties.path: properties}.values():
            _map_settings(draft, part)
    except NotCarriedOver as error:
        context.discard_job(draft, error.why, error.nearest)
        return None
    _drop_unresolved(context, draft, node)
    return draft


def _find_name(node: SourceNode, properties: SourceNode) -> str:
    for part in (node, properties):
        for name in _NAME_KEYS:
            found = find_key(part, name)
            if not is_unresolved(found) and find_text(found):
                # Resource Manager writes the names of nested resources as parent/child.
                return find_text(found).rpartition("/")[2]
    return node.key or "web test"


def _name_nodes(node: SourceNode, properties: SourceNode) -> list[SourceNode]:
    found = [find_key(part, name) for part in (node, properties) for name in _NAME_KEYS]
    nodes = {one.path: one for one in found if one is not None and not is_unresolved(one)}
    return list(nodes.values())


def _put_check(context: ImportContext, draft: JobDraft, properties: SourceNode) -> None:
    for key in ("type", "kind", "webtestkind"):
        for part in (properties, *_parents(properties)):
            if (node := find_key(part, key)) is not None and node.is_leaf:
                draft.use(node)
    xml = _find_xml(properties)
    request = find_key(properties, "request")
    if request is not None and request.value:
        url = find_key(request, "requesturl", "url")
        if url is not None:
            refuse_unresolved(url)
        put_standard_request(context, draft, request)
        put_validation_rules(draft, find_key(properties, "validationrules"))
        if xml is not None:
            draft.use(xml, how="the request and the rules of the resource apply")
    elif xml is not None:
        _put_xml(context, draft, xml)
    else:
        raise NotCarriedOver("the test has neither a request nor a configuration")


def _parents(node: SourceNode) -> list[SourceNode]:
    parent: SourceNode | None = node.tree.root
    for key in node.path[:-1]:
        parent = child_of(parent, key)
    return [] if parent is None or not node.path or node.key != "properties" else [parent]


def _find_xml(properties: SourceNode) -> SourceNode | None:
    configuration = first_entry(find_key(properties, "configuration"))
    if configuration is None or not configuration.value:
        return None
    nested = find_key(configuration, "webtest") if isinstance(configuration.value, dict) else configuration
    return nested if nested is not None and isinstance(nested.value, str) and nested.value.strip() else None


def _put_xml(context: ImportContext, draft: JobDraft, node: SourceNode) -> None:
    refuse_unresolved(node)
    shown = f"{node.tree.file} {node.shown_path}"
    try:
        tree: SourceTree = parse_web_test(str(node.value), shown)
    except UnreadableSource as error:
        raise NotCarriedOver(f"its XML {error.message}", error.hint) from None
    draft.use(node)
    root = context.add_tree(tree)
    try:
        put_web_test(context, draft, root)
    except NotCarriedOver as error:
        context.ledger.record_rest(root, error.why, error.nearest, draft.name)
        raise


def _map_settings(draft: JobDraft, part: SourceNode) -> None:
    for child in part.children():
        key = normalise(child.key)
        handler = SETTING_HANDLERS.get(key)
        if handler is not None and (handler is use_own or not is_unresolved(child)):
            draft.map_key(child, handler)
        elif key in _STRUCTURE and not child.value:
            draft.use(child)


def _known(node: SourceNode | None) -> SourceNode | None:
    return None if is_unresolved(node) else node


def _drop_unresolved(context: ImportContext, draft: JobDraft, node: SourceNode) -> None:
    for leaf in node.leaves():
        if not context.ledger.is_recorded(leaf):
            draft.map_key(leaf, lambda _, one: refuse_unresolved(one))


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
        resources = add_template(context, file.tree, parameters)
    else:
        root = context.add_tree(file.tree)
        resources = [(WEB_TEST, node) for node in _list_resources(root) if _is_web_test(node.value)]
        if not resources:
            raise UnreadableSource(file.shown, "has no web test", _EXPECTED)
    for kind, node in resources:
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
    draft = context.new_job(read_attribute(test, "Name") or file.path.stem, test, test.child("Name"))
    try:
        put_web_test(context, draft, root)
    except NotCarriedOver as error:
        context.discard_job(draft, error.why, error.nearest)
        return
    put_timing(draft, default_timeout=sum_timeouts(test))
    draft.put("alerts", [{"open_after": 1}])
    context.notes.append(f"{draft.name}: the file has no schedule: each {DEFAULT_FREQUENCY // 60} minutes")
