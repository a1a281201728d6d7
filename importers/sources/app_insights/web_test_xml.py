"""Reads the XML of a web test as a tree with lines. Called by source and standard.

An element with attributes is a mapping of them and its child elements (a list of those that occur several times). An
element that only contains others is a list in their order: `WebTest.Items[0].Request.Url`. A document type is refused:
its entities can make a small file huge, or read other files. Everything else of XML is harmless, as expat expands
nothing and opens nothing by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn
from xml.parsers import expat

from importers.errors import UnreadableSource
from importers.ledger import SourceNode, SourceTree
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
    return SourceTree(shown, value, lambda path: _find_line(lines, path))


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
    child = node.child(name) if node is not None else None
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


def _find_line(lines: dict[KeyPath, int], path: KeyPath) -> int | None:
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path)


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
