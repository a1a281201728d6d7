"""Reads the XML of a web test as a tree with lines, and maps its validation and extraction rules.

An element with attributes is a mapping of them and its child elements (a list of those that occur several times). An
element that only contains others is a list in their order: `WebTest.Items[0].Request.Url`. A document type is refused:
its entities can make a small file huge, or read other files. Everything else of XML is harmless, as expat expands
nothing and opens nothing by itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn
from xml.parsers import expat

from importers.http_requests import TestVariables
from importers.ledger import JobDraft
from importers.source_tree import (
    NotCarriedOver,
    SourceNode,
    SourceTree,
    UnreadableSource,
    child_of,
    find_line,
)
from jobs.problems import KeyPath

_MAX_ELEMENTS = 50_000
_MAX_LEVELS = 100
_TEXT = "#text"


@dataclass
class _Element:
    tag: str
    line: int
    attributes: dict[str, str]
    children: list[_Element] = field(default_factory=list)
    text: list[str] = field(default_factory=list)


def parse_web_test(content: bytes | str, shown: str, first_line: int = 1) -> SourceTree:
    """Return the document. `first_line`: of the XML in the file that contains it. Raises UnreadableSource."""
    reader = _Reader(shown, first_line)
    root = reader.read(content)
    lines: dict[KeyPath, int] = {}
    value = {root.tag: _to_value(root, (root.tag,), lines)}
    return SourceTree(shown, value, partial(find_line, lines))


def child_elements(node: SourceNode | None) -> Iterator[tuple[str, SourceNode]]:
    """Yield tag and node of each child element, in the order of the document where they have one."""
    if node is None:
        return
    for child in node.children():
        if isinstance(node.value, list):
            yield from ((one.key, one) for one in child.children())
        elif isinstance(child.value, list) and all(isinstance(one, dict) for one in child.value):
            if _is_container(child):
                yield child.key, child
            else:
                yield from ((child.key, one) for one in child.children())
        elif isinstance(child.value, dict):
            yield child.key, child


def _is_container(node: SourceNode) -> bool:
    """Whether a list is an element that contains others, and not several elements of one tag."""
    return all(len(one) == 1 and isinstance(next(iter(one.values())), (dict, list)) for one in node.value)


def find_element(node: SourceNode | None, tag: str) -> SourceNode | None:
    """Return the first child element of a tag."""
    return next((child for name, child in child_elements(node) if name == tag), None)


def read_attribute(node: SourceNode | None, name: str, default: str = "") -> str:
    """Return an attribute; `default` without one."""
    child = child_of(node, name)
    return child.value if child is not None and isinstance(child.value, str) else default


def element_text(node: SourceNode) -> str:
    """Return the text of an element."""
    return read_attribute(node, _TEXT)


def _to_value(element: _Element, path: KeyPath, lines: dict[KeyPath, int]) -> Any:
    lines[path] = element.line
    text = "".join(element.text).strip()
    if element.children and not element.attributes and not text:
        return [
            {child.tag: _to_value(child, (*path, index, child.tag), lines)}
            for index, child in enumerate(element.children)
        ]
    value: dict[str, Any] = dict(element.attributes)
    if text:
        value[_TEXT] = text
    for tag in dict.fromkeys(child.tag for child in element.children):
        same = [child for child in element.children if child.tag == tag]
        key = f"{tag} (element)" if tag in value else tag
        if len(same) == 1:
            value[key] = _to_value(same[0], (*path, key), lines)
        else:
            value[key] = [_to_value(one, (*path, key, index), lines) for index, one in enumerate(same)]
    return value


class _Reader:
    """Collects the elements of one document."""

    def __init__(self, shown: str, first_line: int) -> None:
        self._shown = shown
        self._offset = first_line - 1
        self._open: list[_Element] = []
        self._count = 0
        self._root: _Element | None = None
        self._parser = expat.ParserCreate()

    def read(self, content: bytes | str) -> _Element:
        parser = self._parser
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._add_text
        parser.StartDoctypeDeclHandler = self._refuse_document_type
        try:
            parser.Parse(content, True)
        except expat.ExpatError as error:
            message = f"is not valid XML: {expat.ErrorString(error.code)}"
            raise UnreadableSource(self._shown, message, "", self._offset + error.lineno, error.offset + 1) from None
        except (ValueError, LookupError):
            self._fail("is not valid XML: its encoding is not known")
        assert self._root is not None
        return self._root

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > _MAX_ELEMENTS or len(self._open) >= _MAX_LEVELS:
            self._fail(f"has more than {_MAX_ELEMENTS} elements, or more than {_MAX_LEVELS} levels of them")
        element = _Element(tag.rpartition(":")[2], self._line(), attributes)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self._root = element
        self._open.append(element)

    def _end(self, tag: str) -> None:
        self._open.pop()

    def _add_text(self, text: str) -> None:
        if self._open:
            self._open[-1].text.append(text)

    def _refuse_document_type(self, *_: object) -> None:
        self._fail("has a document type (<!DOCTYPE), which can contain entities", "remove it")

    def _fail(self, message: str, hint: str = "") -> NoReturn:
        raise UnreadableSource(self._shown, message, hint, self._line())

    def _line(self) -> int:
        return self._offset + self._parser.CurrentLineNumber


_SPECIAL = re.compile(r"([\\.^$*+?{}\[\]|()])")


def escape(text: str) -> str:
    """Return a pattern that matches the text."""
    return _SPECIAL.sub(r"\\\1", text).replace("\n", r"\n").replace("\r", r"\r").replace("\t", r"\t")


def with_flags(pattern: str, *, ignore_case: bool, dot_all: bool = False) -> str:
    flags = f"{'i' if ignore_case else ''}{'s' if dot_all else ''}"
    return f"(?{flags}){pattern}" if flags else pattern


def between(start: str, end: str, index: int) -> str:
    """Return a pattern whose group is the text between two others, of the index-th occurrence from 0."""
    first = f"(?:{start}.*?{end}.*?){{{index}}}" if index > 0 else ""
    return f"{first}{start}(.*?){end if end else '$'}"


def attribute_of_tag(tag: str, attribute: str, match_name: str = "", match_value: str = "") -> str:
    """Return a pattern whose group is an attribute of a tag, which has another attribute with a value before it."""
    condition = rf"""[^>]*\b{escape(match_name)}=["']{escape(match_value)}["']""" if match_name else ""
    return rf"""<{escape(tag)}\b{condition}[^>]*\b{escape(attribute)}=["']([^"']*)["']"""


ANY_STATUS = "100-599"
NO_ERROR = "200-399"
"""Without an expected status, a status of 400 or more fails."""


def expect_status(expected: str, *, is_ignored: bool) -> dict[str, Any]:
    """Return the expectation of a status; 0 and an empty text stand for no error."""
    if is_ignored:
        return {"status": ANY_STATUS}
    code = expected.strip()
    return {"status": int(code)} if code.isdecimal() and int(code) else {"status": NO_ERROR}


def expect_text(text: str, *, is_pattern: bool = False, ignore_case: bool, passes_if_found: bool) -> dict[str, Any]:
    """Return the expectation of a text in the body."""
    if is_pattern or ignore_case:
        pattern = with_flags(text if is_pattern else escape(text), ignore_case=ignore_case)
        return {"body_matches" if passes_if_found else "body_not_matches": pattern}
    return {"body_contains" if passes_if_found else "body_not_contains": text}


RuleParameters = Mapping[str, str]
_DISPLAY = ("Classname", "DisplayName", "Description", "Level", "ExectuionOrder", "ExecutionOrder", "VariableName")
_NO_RULE = "write an expectation for it, such as body_matches or json"
_NO_EXTRACTION = "save the value from a step by a regular expression, a JSONPath, a header or a cookie"
_UNDECODED = "references to characters, such as &amp;, are not decoded"


def put_validation_rules(variables: TestVariables, draft: JobDraft, node: SourceNode | None, step: str) -> None:
    """Add an expectation for each rule."""
    for _, rule in child_elements(node):
        parameters = _read_parameters(variables, rule)
        build = _VALIDATIONS.get(_class_name(rule))
        try:
            if build is None:
                raise NotCarriedOver("a validation rule of this class is not known", _NO_RULE)
            entry = variables.escape_compared(build(parameters))
        except NotCarriedOver as error:
            draft.drop(rule, error.why, error.nearest)
        else:
            draft.expect(entry, *rule.leaves(), step=step)


def put_extraction_rules(variables: TestVariables, draft: JobDraft, node: SourceNode | None, step: str) -> None:
    """Save the value of each rule."""
    for _, rule in child_elements(node):
        variable = read_attribute(rule, "VariableName")
        kind = _class_name(rule)
        try:
            if kind == "ExtractHiddenFields":
                draft.use(*rule.leaves(), how="each hidden field that a later request uses is saved")
                continue
            build = _EXTRACTIONS.get(kind)
            if build is None:
                raise NotCarriedOver("an extraction rule of this class is not known", _NO_EXTRACTION)
            source = build(_read_parameters(variables, rule))
        except NotCarriedOver as error:
            draft.drop(rule, error.why, error.nearest)
        else:
            how = "" if "header" in source else _UNDECODED
            draft.put(f"{step}.save.{variables.save(variable)}", source, *rule.leaves(), how=how)


def save_hidden_field(variables: TestVariables, draft: JobDraft, variable: str, step: str) -> None:
    """Save a hidden field that a later request uses as `$HIDDEN1.__VIEWSTATE`."""
    field = variable.partition(".")[2]
    pattern = attribute_of_tag("input", "value", "name", field)
    draft.put(f"{step}.save.{variables.save(variable)}", {"regex": pattern})


def hidden_field_groups(node: SourceNode | None) -> list[str]:
    """Return the groups, such as `$HIDDEN1`, whose fields a request extracts."""
    names = (read_attribute(rule, "VariableName") for _, rule in child_elements(node) if _is_of_hidden_fields(rule))
    return [f"$HIDDEN{name}" for name in names]


def _is_of_hidden_fields(rule: SourceNode) -> bool:
    return _class_name(rule) == "ExtractHiddenFields"


def _class_name(rule: SourceNode) -> str:
    """`Microsoft.VisualStudio.TestTools.WebTesting.Rules.ExtractText, Microsoft....` -> `ExtractText`."""
    return read_attribute(rule, "Classname").partition(",")[0].strip().rpartition(".")[2]


def _read_parameters(variables: TestVariables, rule: SourceNode) -> dict[str, str]:
    parameters = child_elements(find_element(rule, "RuleParameters"))
    return {read_attribute(node, "Name"): read_attribute(node, "Value") for _, node in parameters}


def _is_true(parameters: RuleParameters, name: str, default: bool = False) -> bool:
    return parameters.get(name, str(default)).lower() == "true"


def _find_text(parameters: RuleParameters) -> dict[str, Any]:
    text = parameters.get("FindText", "")
    if not text or "{{" in text:
        raise NotCarriedOver("it searches for no fixed text", _NO_RULE)
    return expect_text(
        text,
        is_pattern=_is_true(parameters, "UseRegularExpression"),
        ignore_case=_is_true(parameters, "IgnoreCase"),
        passes_if_found=_is_true(parameters, "PassIfTextFound", default=True),
    )


def _request_time(parameters: RuleParameters) -> dict[str, Any]:
    milliseconds = parameters.get("MaxRequestTime", "")
    if not milliseconds.isdecimal() or not int(milliseconds):
        raise NotCarriedOver("it has no time", _NO_RULE)
    return {"response_time_below": f"{int(milliseconds)}ms"}


def _required_tag(parameters: RuleParameters) -> dict[str, Any]:
    tag, least = parameters.get("RequiredTagName", ""), parameters.get("MinimumOccurrences", "1")
    if not tag:
        raise NotCarriedOver("it has no tag", _NO_RULE)
    count = int(least) if least.isdecimal() and int(least) > 1 else 1
    return {"body_matches": rf"(?is)(?:<{escape(tag)}\b.*?){{{count}}}"}


def _required_attribute(parameters: RuleParameters) -> dict[str, Any]:
    tag, attribute = parameters.get("TagName", ""), parameters.get("AttributeName", "")
    if not tag or not attribute:
        raise NotCarriedOver("it has no tag and attribute", _NO_RULE)
    pattern = attribute_of_tag(
        tag, attribute, parameters.get("MatchAttributeName", ""), parameters.get("MatchAttributeValue", "")
    )
    expected = escape(parameters.get("ExpectedValue", ""))
    return {"body_matches": f"(?i){pattern.replace('([^' + chr(34) + chr(39) + ']*)', expected)}"}


def _form_field(parameters: RuleParameters) -> dict[str, Any]:
    expected = escape(parameters.get("ExpectedValue", ""))
    name = escape(parameters.get("Name", ""))
    return {"body_matches": rf"""(?i)<input\b[^>]*\bname=["']{name}["'][^>]*\bvalue=["']{expected}["']"""}


_VALIDATIONS: Mapping[str, Callable[[RuleParameters], dict[str, Any]]] = {
    "ValidationRuleFindText": _find_text,
    "ValidationRuleRequestTime": _request_time,
    "ValidationRuleRequiredTag": _required_tag,
    "ValidationRuleRequiredAttributeValue": _required_attribute,
    "ValidateFormField": _form_field,
}


def _index(parameters: RuleParameters) -> int:
    text = parameters.get("Index", "0").strip()
    return min(int(text), 1000) if text.isdecimal() else 0


def _extract_text(parameters: RuleParameters) -> dict[str, Any]:
    if _is_true(parameters, "ExtractRandomMatch"):
        raise NotCarriedOver("a value is not selected at random", _NO_EXTRACTION)
    start, end = parameters.get("StartsWith", ""), parameters.get("EndsWith", "")
    if not start:
        raise NotCarriedOver("it has no text before the value", _NO_EXTRACTION)
    if not _is_true(parameters, "UseRegularExpression"):
        start, end = escape(start), escape(end)
    pattern = between(start, end, _index(parameters))
    pattern = with_flags(pattern, ignore_case=_is_true(parameters, "IgnoreCase"), dot_all=True)
    if _is_true(parameters, "SearchInHeaders"):
        raise NotCarriedOver("it searches in all headers", _NO_EXTRACTION)
    return {"regex": pattern}


def _extract_pattern(parameters: RuleParameters) -> dict[str, Any]:
    pattern = parameters.get("RegularExpression", "")
    if not pattern:
        raise NotCarriedOver("it has no regular expression", _NO_EXTRACTION)
    index = _index(parameters)
    if not _is_true(parameters, "UseGroups"):
        pattern = f"({pattern})"  # the whole match is the value
    if index:
        pattern = f"(?:{pattern.replace('(', '(?:', 1)}.*?){{{index}}}{pattern}"
    return {"regex": with_flags(pattern, ignore_case=_is_true(parameters, "IgnoreCase"), dot_all=bool(index))}


def _extract_header(parameters: RuleParameters) -> dict[str, Any]:
    name = parameters.get("Header", "")
    if not name:
        raise NotCarriedOver("it has no header", _NO_EXTRACTION)
    return {"header": name}


def _extract_attribute(parameters: RuleParameters) -> dict[str, Any]:
    tag, attribute = parameters.get("TagName", ""), parameters.get("AttributeName", "")
    if not tag or not attribute:
        raise NotCarriedOver("it has no tag and attribute", _NO_EXTRACTION)
    match = (parameters.get("MatchAttributeName", ""), parameters.get("MatchAttributeValue", ""))
    pattern, index = attribute_of_tag(tag, attribute, *match), _index(parameters)
    if index:
        first = pattern.replace("([", "(?:[")
        pattern = f"(?:{first}.*?){{{index}}}{pattern}"
    return {"regex": f"(?is){pattern}"}


def _extract_field(parameters: RuleParameters) -> dict[str, Any]:
    return {"regex": f"(?i){attribute_of_tag('input', 'value', 'name', parameters.get('Name', ''))}"}


_EXTRACTIONS: Mapping[str, Callable[[RuleParameters], dict[str, Any]]] = {
    "ExtractText": _extract_text,
    "ExtractRegularExpression": _extract_pattern,
    "ExtractHttpHeader": _extract_header,
    "ExtractAttributeValue": _extract_attribute,
    "ExtractFormField": _extract_field,
}
