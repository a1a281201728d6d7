"""Maps one request of a web test in XML to an http check, or to a step. Called by web_tests."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from config.importers.errors import NotCarriedOver
from config.importers.job_draft import JobDraft
from config.importers.node import SourceNode
from config.importers.sources.app_insights.expectations import expect_status
from config.importers.sources.app_insights.web_test_xml import (
    child_elements,
    element_text,
    find_element,
    read_attribute,
)
from config.importers.values.durations import write_duration
from config.importers.values.http_requests import put_body, put_header, put_url
from config.importers.values.test_variables import TestVariables
from jobs.problems import looks_secret

_IDLE = ("Guid", "Version", "RecordResult", "Cache", "Encoding", "DataSource", "RecordedValue", "CorrelationBinding")
_IDLE_OF_PARAMETERS = (*_IDLE, "UrlEncode", "UseToGroupResults")
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


def _attributes(node: SourceNode, *names: str) -> list[SourceNode]:
    found = (node.child(name) for name in names)
    return [one for one in found if one is not None and one.is_leaf]


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
    if read_attribute(node, "FollowRedirects", "True").lower() == "false":
        draft.put(f"{path}.redirects", 0, *_attributes(node, "FollowRedirects"))
    else:
        draft.use(*_attributes(node, "FollowRedirects"))
    for attribute in _attributes(node, "ParseDependentRequests"):
        if str(attribute.value).lower() == "true":
            draft.drop(attribute, _DEPENDENT, "a job for each of them that matters")
        else:
            draft.use(attribute)
    for attribute in _attributes(node, "ThinkTime"):
        if str(attribute.value).strip() in ("", "0"):
            draft.use(attribute)
        else:
            draft.drop(attribute, "steps follow each other without a pause")
    for attribute in _attributes(node, "ExpectedResponseUrl"):
        if attribute.value:
            draft.drop(attribute, "the URL after redirects is not compared", "expect redirects, or text of the page")
        else:
            draft.use(attribute)
    draft.use(*_attributes(node, *_IDLE))


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
