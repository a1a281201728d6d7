"""Maps a web test in XML to a job: of one request an http check, of several a check of steps."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from importers.http_requests import TestVariables, find_variables, put_basic_auth, put_body, put_header, put_url
from importers.import_context import ImportContext
from importers.ledger import JobDraft
from importers.reading import write_duration
from importers.source_tree import NotCarriedOver, SourceNode
from importers.sources.app_insights.resources import DEFAULT_TIMEOUT
from importers.sources.app_insights.web_test_xml import (
    child_elements,
    element_text,
    expect_status,
    find_element,
    hidden_field_groups,
    put_extraction_rules,
    put_validation_rules,
    read_attribute,
    save_hidden_field,
)
from jobs.problems import looks_secret

_IDLE_OF_REQUEST = (
    "Guid",
    "Version",
    "RecordResult",
    "Cache",
    "Encoding",
    "DataSource",
    "RecordedValue",
    "CorrelationBinding",
)
_IDLE_OF_PARAMETERS = (*_IDLE_OF_REQUEST, "UrlEncode", "UseToGroupResults")
"""Attributes that do not change what is sent."""
_DEPENDENT = "images, scripts and style sheets of the page are not requested"


def put_request(variables: TestVariables, draft: JobDraft, node: SourceNode, path: str) -> None:
    """Set a request at a path such as `check` or `check.steps.0`. Raises NotCarriedOver."""
    context = variables.context
    url = read_attribute(node, "Url")
    put_url(context, draft, variables.fill(url), *_attributes(node, "Url"), path=path)
    method = variables.fill(read_attribute(node, "Method", "GET")).upper()
    draft.put(f"{path}.method", method, *_attributes(node, "Method"))
    for _, header in child_elements(find_element(node, "Headers")):
        _put_header(variables, draft, header, path)
    _put_query(variables, draft, find_element(node, "QueryStringParameters"), path)
    _put_form(variables, draft, find_element(node, "FormPostHttpBody"), path)
    _put_text(variables, draft, find_element(node, "StringHttpBody"), path)
    _put_flags(draft, node, path)
    step = path if variables.are_steps else ""
    is_ignored = read_attribute(node, "IgnoreHttpStatusCode").lower() == "true"
    expected = expect_status(read_attribute(node, "ExpectedHttpStatusCode", "0"), is_ignored=is_ignored)
    draft.expect(expected, *_attributes(node, "ExpectedHttpStatusCode", "IgnoreHttpStatusCode"), step=step)
    _put_goals(draft, node, step)


def _attribute(node: SourceNode, name: str) -> SourceNode | None:
    child = node.child(name)
    return child if child is not None and child.is_leaf else None


def _attributes(node: SourceNode, *names: str) -> list[SourceNode]:
    return [child for name in names if (child := _attribute(node, name)) is not None]


def _put_header(variables: TestVariables, draft: JobDraft, node: SourceNode, path: str) -> None:
    name = read_attribute(node, "Name")
    draft.use(*_attributes(node, *_IDLE_OF_PARAMETERS))
    nodes = _attributes(node, "Name", "Value")
    value = variables.fill_or_reference(read_attribute(node, "Value"), f"{draft.name}-{name}")
    if isinstance(value, str):
        try:
            put_header(variables.context, draft, name, value, *nodes, path=path)
        except NotCarriedOver as error:
            draft.drop(node, error.why, error.nearest)
    else:
        draft.put((*path.split("."), "headers", name), value, *nodes, how="the value becomes a secret")


def _put_query(variables: TestVariables, draft: JobDraft, node: SourceNode | None, path: str) -> None:
    for _, parameter in child_elements(node):
        name = variables.fill(read_attribute(parameter, "Name"))
        value, how = _read_value(variables, draft, parameter, name)
        draft.use(*_attributes(parameter, *_IDLE_OF_PARAMETERS))
        draft.put((*path.split("."), "query", name), value, *_attributes(parameter, "Name", "Value"), how=how)


def _put_form(variables: TestVariables, draft: JobDraft, node: SourceNode | None, path: str) -> None:
    if node is None:
        return
    form: dict[str, Any] = {}
    for tag, parameter in child_elements(node):
        if tag != "FormPostParameter":
            raise NotCarriedOver(f"a form cannot have an element {tag}", "a form of texts")
        name = variables.fill(read_attribute(parameter, "Name"))
        form[name], how = _read_value(variables, draft, parameter, name)
        draft.use(*_attributes(parameter, *_IDLE_OF_PARAMETERS))
        draft.use(*_attributes(parameter, "Name", "Value"), how=how)
    draft.use(*_attributes(node, "ContentType"))
    draft.put(f"{path}.body", {"form": form})


def _read_value(variables: TestVariables, draft: JobDraft, node: SourceNode, name: str) -> tuple[Any, str]:
    """Return a value, as a secret if its name looks like one, and how it was changed."""
    text = read_attribute(node, "Value")
    value = variables.fill_or_reference(text, f"{draft.name}-{name}")
    if isinstance(value, str) and value and looks_secret(name) and "{{" not in text:
        purpose = f"value of {name} of {draft.name}"
        value = variables.context.secrets.reference(value, f"{draft.name}-{name}", purpose, node.child("Value"))
    return value, "" if isinstance(value, str) else "the value becomes a secret"


def _put_text(variables: TestVariables, draft: JobDraft, node: SourceNode | None, path: str) -> None:
    if node is None:
        return
    encoded = element_text(node)
    try:
        # Visual Studio writes the text in UTF-16, as Base64.
        text = base64.b64decode(encoded, validate=True).decode("utf-16-le").removeprefix("\ufeff")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        text = encoded
    content_type = read_attribute(node, "ContentType")
    nodes = [child for child in node.children() if child.is_leaf]
    how = "decoded from Base64" if text != encoded else ""
    put_body(variables.context, draft, variables.fill(text), content_type, *nodes, path=path, how=how)


def _put_flags(draft: JobDraft, node: SourceNode, path: str) -> None:
    is_refused = read_attribute(node, "FollowRedirects", "True").lower() == "false"
    draft.put_if(is_refused, f"{path}.redirects", 0, _attribute(node, "FollowRedirects"))
    is_on = read_attribute(node, "ParseDependentRequests").lower() == "true"
    draft.drop_if(is_on, _attribute(node, "ParseDependentRequests"), _DEPENDENT, "a job for each of them that matters")
    has_pause = read_attribute(node, "ThinkTime").strip() not in ("", "0")
    draft.drop_if(has_pause, _attribute(node, "ThinkTime"), "steps follow each other without a pause")
    url, nearest = _attribute(node, "ExpectedResponseUrl"), "expect redirects, or text of the page"
    draft.drop_if(read_attribute(node, "ExpectedResponseUrl"), url, "the URL after redirects is not compared", nearest)
    draft.use(*_attributes(node, *_IDLE_OF_REQUEST))


def _put_goals(draft: JobDraft, node: SourceNode, step: str) -> None:
    for attribute in _attributes(node, "Timeout"):
        seconds = _read_number(attribute)
        if seconds > 0 and step:
            draft.put(f"{step}.timeout", write_duration(min(seconds, 480)), attribute)
        else:
            draft.use(attribute, how="the timeout of the test applies" if seconds > 0 else "")
    for attribute in _attributes(node, "ResponseTimeGoal"):
        seconds = _read_number(attribute)
        if seconds > 0:
            entry = {"response_time_below": write_duration(seconds), "severity": "degraded"}
            draft.expect(entry, attribute, step=step, how="a missed goal degrades the run")
        else:
            draft.use(attribute)


def _read_number(node: SourceNode) -> float:
    try:
        return float(str(node.value).strip() or 0)
    except ValueError:
        return 0.0


_MAX_STEPS = 50
_MAX_LEVELS = 20
_IDLE_OF_ELEMENT = (
    "Id",
    "CssProjectStructure",
    "CssIteration",
    "WorkItemIds",
    "RecordedResultFile",
    "ResultsLocale",
    "xmlns",
)
_IDLE_OF_TEST = (
    *_IDLE_OF_ELEMENT,
    "PreAuthenticate",
    "xmlns:xsi",
    "xmlns:xsd",
    "schemaLocation",
    "Name",
    "Timeout",
    "Owner",
)
_NOT_SENT = {
    "DataSources": "there are no data sources",
    "WebTestPlugins": "there are no plug-ins",
    "RequestPlugins": "there are no plug-ins",
    "DependentRequests": "images, scripts and style sheets of the page are not requested",
}


def put_web_test(context: ImportContext, draft: JobDraft, root: SourceNode) -> None:
    """Set the check and the expectations of a test. Raises NotCarriedOver: a part of what it does has no equivalent."""
    test = root.child("WebTest")
    if test is None:
        raise NotCarriedOver("the XML has no element WebTest")
    requests = _collect_requests(context, draft, find_element(test, "Items"), 0)
    if not requests:
        raise NotCarriedOver("the test has no requests")
    if len(requests) > _MAX_STEPS:
        raise NotCarriedOver(f"the test has more than {_MAX_STEPS} requests", "several jobs")
    variables = TestVariables(context, draft.name, are_steps=len(requests) > 1)
    for _, parameter in child_elements(find_element(test, "ContextParameters")):
        variables.values[read_attribute(parameter, "Name")] = (
            read_attribute(parameter, "Value"),
            parameter.child("Value"),
        )
        draft.use(*(leaf for leaf in parameter.leaves() if leaf.key != "Value"))
    if variables.are_steps:
        _put_steps(variables, draft, test, requests)
    else:
        draft.put("check.kind", "http")
        put_request(variables, draft, requests[0], "check")
        for rules in (requests[0], test):
            put_validation_rules(variables, draft, find_element(rules, "ValidationRules"), "")
        for _, rule in child_elements(find_element(requests[0], "ExtractionRules")):
            draft.use(*rule.leaves(), how="no later request uses it")
        _put_credentials(context, draft, test, "check")
        draft.use(*_attributes(requests[0], "ReportingName"))
    _use_attributes(context, draft, test)


def _collect_requests(
    context: ImportContext, draft: JobDraft, items: SourceNode | None, level: int
) -> list[SourceNode]:
    """Return all requests in order; those of a transaction are part of the sequence."""
    requests: list[SourceNode] = []
    for tag, node in child_elements(items):
        if tag == "Request":
            requests.append(node)
        elif tag == "TransactionTimer" and level < _MAX_LEVELS:
            draft.use(*_attributes(node, "Name"), how="the steps are part of the sequence; their total is not measured")
            requests += _collect_requests(context, draft, find_element(node, "Items"), level + 1)
        elif tag == "Comment":
            draft.use(*node.leaves(), how="a comment")
        else:
            raise NotCarriedOver(f"an element {tag} has no equivalent", "a job for each path of the test")
    return requests


def _put_steps(variables: TestVariables, draft: JobDraft, test: SourceNode, requests: list[SourceNode]) -> None:
    draft.put("check.kind", "steps")
    draft.put("check.steps", [])
    names: set[str] = set()
    for number, request in enumerate(requests):
        step = f"check.steps.{number}"
        name, base = "", _step_name(request, number)
        attempt = 1
        while not name or name in names:
            name = base if attempt == 1 else f"{base[:90]} ({attempt})"
            attempt += 1
        names.add(name)
        draft.put(f"{step}.name", name, *_attributes(request, "ReportingName"))
        put_request(variables, draft, request, step)
        _put_credentials(variables.context, draft, test, step)
        for rules in (request, test):
            put_validation_rules(variables, draft, find_element(rules, "ValidationRules"), step)
        extraction = find_element(request, "ExtractionRules")
        put_extraction_rules(variables, draft, extraction, step)
        _save_hidden_fields(variables, draft, hidden_field_groups(extraction), requests[number + 1 :], step)
    stop = test.child("StopOnError")
    if stop is not None:
        how = "" if str(stop.value).lower() == "true" else "the first step that fails ends the sequence"
        draft.use(stop, how=how)


def _step_name(request: SourceNode, number: int) -> str:
    name = read_attribute(request, "ReportingName").strip()
    if not name:
        path = re.sub(r"^(?:[a-z]+://[^/]*|\{\{[^}]*\}\})", "", read_attribute(request, "Url")).split("?")[0]
        name = f"{number + 1} {read_attribute(request, 'Method', 'GET')} {path}".strip()
    return "".join(sign for sign in name if sign.isprintable())[:100]


def _save_hidden_fields(
    variables: TestVariables, draft: JobDraft, groups: list[str], later: list[SourceNode], step: str
) -> None:
    """Save the fields that a later request uses, until another request extracts them again."""
    for request in later:
        for leaf in request.leaves():
            for variable in find_variables(str(leaf.value)):
                if variable.partition(".")[0] in groups:
                    save_hidden_field(variables, draft, variable, step)
        again = hidden_field_groups(find_element(request, "ExtractionRules"))
        groups = [group for group in groups if group not in again]


def _put_credentials(context: ImportContext, draft: JobDraft, test: SourceNode, path: str) -> None:
    user = read_attribute(test, "CredentialUserName")
    nodes = _attributes(test, "CredentialUserName", "CredentialPassword")
    if user:
        put_basic_auth(context, draft, user, read_attribute(test, "CredentialPassword"), *nodes, path=path)
    else:
        draft.use(*nodes)


def _use_attributes(context: ImportContext, draft: JobDraft, test: SourceNode) -> None:
    draft.use(*_attributes(test, *_IDLE_OF_TEST))
    is_disabled = read_attribute(test, "Enabled", "True").lower() == "false"
    draft.put_if(is_disabled, "enabled", False, _attribute(test, "Enabled"))
    description = read_attribute(test, "Description")
    has_text = bool(description) and draft.get("description") is None
    draft.put_if(has_text, "description", description[:500], _attribute(test, "Description"))
    has_proxy = read_attribute(test, "Proxy", "default") not in ("", "default")
    nearest = "write it as check.proxy"
    draft.drop_if(has_proxy, _attribute(test, "Proxy"), "a proxy is set for each check", nearest)
    if draft.get("check.kind") == "http":
        draft.use(*_attributes(test, "StopOnError"))
    for tag, node in _unsupported(test):
        draft.drop(node, _NOT_SENT[tag])
    for parameter in child_elements(find_element(test, "ContextParameters")):
        for leaf in parameter[1].leaves():
            if not context.ledger.is_recorded(leaf):
                draft.use(leaf, how="no request uses the parameter")


def sum_timeouts(test: SourceNode) -> float:
    """Return the seconds of a test without a timeout of its resource: its own, or those of its requests together."""
    own = read_attribute(test, "Timeout").strip()
    if own.isdecimal() and int(own):
        return float(own)
    pending, total = [test], 0.0
    while pending:
        for tag, node in child_elements(pending.pop()):
            pending.append(node)
            limit = read_attribute(node, "Timeout").strip() if tag == "Request" else ""
            total += float(limit) if limit.isdecimal() else 0.0
    return total or DEFAULT_TIMEOUT


def _unsupported(test: SourceNode) -> list[tuple[str, SourceNode]]:
    unsupported: list[tuple[str, SourceNode]] = []
    pending = [test]
    while pending:
        for tag, node in child_elements(pending.pop()):
            if tag in _NOT_SENT:
                unsupported.append((tag, node))
            else:
                pending.append(node)
    return unsupported
