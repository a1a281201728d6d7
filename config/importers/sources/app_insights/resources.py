"""Maps web tests as resources: of ARM templates, of the API and the command line of Azure, and of Terraform. Called by
source.
"""

from __future__ import annotations

from config.importers.errors import NotCarriedOver, UnreadableSource
from config.importers.import_context import ImportContext
from config.importers.job_draft import JobDraft
from config.importers.node import SourceNode, SourceTree
from config.importers.sources.app_insights.settings import SETTING_HANDLERS, put_timing, use_own
from config.importers.sources.app_insights.standard import (
    find_key,
    first_entry,
    normalise,
    put_standard_request,
    put_validation_rules,
)
from config.importers.sources.app_insights.web_test_xml import parse_web_test
from config.importers.sources.app_insights.web_tests import put_web_test
from config.importers.unresolved import is_unresolved, refuse_unresolved
from config.importers.values.reading import find_text

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
        parent = parent.child(key) if parent is not None else None
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
