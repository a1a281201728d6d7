"""Files that a user gives to an import, their documents as trees of nodes that know their path and line, and the
errors of an import.

A leaf is a value without children: a text, a number, true, false, null, or an empty mapping or list. Whatever a file
contains, only UnreadableSource is raised: size, depth, aliases and encoding are bounded. The value of an
`UnresolvedText` is only known when its template is deployed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from config.documents.document import Document, UnreadableFile, parse_document, read_file
from jobs.problems import KeyPath, dotted_path


class UnreadableSource(Exception):
    """A source that cannot be read: nothing is imported. Lines and columns count from 1."""

    def __init__(
        self, file: str, message: str, hint: str = "", line: int | None = None, column: int | None = None
    ) -> None:
        place = ":".join([file, *(str(part) for part in (line, column) if part is not None)])
        super().__init__(f"{place}: {message}{f'; {hint}' if hint else ''}")
        self.file = file
        self.message = message
        self.hint = hint
        self.line = line
        self.column = column


class NotCarriedOver(Exception):
    """A value of a source has no equivalent. `nearest`: what can be used instead."""

    def __init__(self, why: str, nearest: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.nearest = nearest


class ImportFailed(Exception):
    """The jobs of an import are refused for a reason that belongs to none of them."""


def _unknown_line(path: KeyPath) -> int | None:
    """Return no line: of a source without lines, such as a database."""
    return None


def _dotted(path: KeyPath) -> str:
    return dotted_path(*path)


@dataclass(frozen=True, eq=False)
class SourceTree:
    """One document of a source. `value`: mappings with text keys, lists and scalars.

    `line_of`: the line of a path, from 1. `show_path`: the path in reports, for sources whose own words are better than
    keys and indexes.
    """

    file: str
    value: Any
    line_of: Callable[[KeyPath], int | None] = _unknown_line
    show_path: Callable[[KeyPath], str] = _dotted

    @property
    def root(self) -> SourceNode:
        return SourceNode(self, (), self.value)


def find_line(lines: Mapping[KeyPath, int | None], path: KeyPath) -> int | None:
    """Return the line of a path, or of the nearest value around it."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path)


def create_tree(document: Document) -> SourceTree:
    """Return the tree of a YAML or JSON document."""
    return SourceTree(document.file, document.value, document.line_of)


@dataclass(frozen=True, slots=True)
class SourceNode:
    """One value of a tree, and where it stands."""

    tree: SourceTree
    path: KeyPath
    value: Any

    @property
    def line(self) -> int | None:
        return self.tree.line_of(self.path)

    @property
    def key(self) -> str:
        """The last part of the path as a text."""
        return str(self.path[-1]) if self.path else ""

    @property
    def shown_path(self) -> str:
        return self.tree.show_path(self.path)

    @property
    def is_leaf(self) -> bool:
        return not (isinstance(self.value, (dict, list)) and self.value)

    def child(self, *path: str | int) -> SourceNode | None:
        """Return the node below these keys; None if it does not exist."""
        node = self
        for key in path:
            value = node.value
            is_index = isinstance(value, list) and isinstance(key, int) and 0 <= key < len(value)
            if not is_index and not (isinstance(value, dict) and key in value):
                return None
            node = SourceNode(self.tree, (*node.path, key), value[key])
        return node

    def children(self) -> Iterator[SourceNode]:
        """Yield the nodes of a mapping's keys or a list's entries; nothing of a scalar."""
        if isinstance(self.value, dict):
            for key, value in self.value.items():
                yield SourceNode(self.tree, (*self.path, key), value)
        elif isinstance(self.value, list):
            for index, value in enumerate(self.value):
                yield SourceNode(self.tree, (*self.path, index), value)

    def leaves(self) -> Iterator[SourceNode]:
        """Yield each leaf in the order of the document; of a leaf, the node itself."""
        stack = [iter((self,))]
        while stack:
            node = next(stack[-1], None)
            if node is None:
                stack.pop()
            elif node.is_leaf:
                yield node
            else:
                stack.append(node.children())


def child_of(node: SourceNode | None, *path: str | int) -> SourceNode | None:
    """Return the node below these keys; None if it does not exist, or without a node."""
    return None if node is None else node.child(*path)


def children_of(node: SourceNode | None) -> Iterator[SourceNode]:
    """Yield the nodes of a mapping's keys or a list's entries; nothing of a scalar, or without a node."""
    return iter(()) if node is None else node.children()


SET_IT = "give the value by --set NAME=VALUE"


class UnresolvedText(str):
    """The text of an expression without a value. `needs`: the parameter, variable or function that has none."""

    __slots__ = ("needs",)
    needs: str

    def __new__(cls, text: str, needs: str) -> UnresolvedText:
        made = super().__new__(cls, text)
        made.needs = needs
        return made


def is_unresolved(node: SourceNode | None) -> bool:
    return node is not None and isinstance(node.value, UnresolvedText)


def refuse_unresolved(node: SourceNode) -> None:
    """Raises NotCarriedOver: the value is not known."""
    if isinstance(node.value, UnresolvedText):
        raise NotCarriedOver(f"its value is only known when the template is deployed ({node.value.needs})", SET_IT)


MAX_LEAVES = 300_000
"""Leaves of a document, each of which is a line of the report: users do not read a longer report."""
_HEAD_BYTES = 4096


class SourceFile:
    """A file, read on first use. `shown`: its name in reports."""

    def __init__(self, path: Path, shown: str | None = None, content: bytes | None = None) -> None:
        """`content`: what it contains, for tests and for text that is not in a file."""
        self.path = path
        self.shown = shown or str(path)
        if content is not None:
            self.__dict__["content"] = content

    @cached_property
    def content(self) -> bytes:
        """All bytes, at most 20 MiB. Raises UnreadableSource."""
        try:
            return read_file(self.path, self.shown)
        except UnreadableFile as error:
            raise UnreadableSource(self.shown, error.problem.message, error.problem.hint) from None

    @cached_property
    def head(self) -> bytes:
        """The first bytes, for detection; also of a file that is too large for `content`. Raises UnreadableSource."""
        if "content" in self.__dict__:
            return self.content[:_HEAD_BYTES]
        if not self.path.is_file():
            return self.content[:_HEAD_BYTES]  # explains why it cannot be read
        try:
            with self.path.open("rb") as file:
                return file.read(_HEAD_BYTES)
        except OSError as error:
            reason = (error.strerror or type(error).__name__).lower()
            raise UnreadableSource(self.shown, f"cannot be read: {reason}") from None

    @cached_property
    def text(self) -> str:
        """The content as UTF-8 text with `\\n` as line ends. Raises UnreadableSource."""
        try:
            text = self.content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = self.content.count(b"\n", 0, error.start) + 1
            column = error.start - self.content.rfind(b"\n", 0, error.start)
            hint = "save the file in the encoding UTF-8"
            raise UnreadableSource(self.shown, "is not UTF-8 text", hint, line, column) from None
        if (at := text.find("\0")) >= 0:
            line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
            raise UnreadableSource(self.shown, "holds a NUL byte: it is not a text file", "", line, column)
        return text.replace("\r\n", "\n")

    @cached_property
    def document(self) -> Document:
        """The content as YAML or JSON, without duplicate keys. Raises UnreadableSource."""
        _ = self.text  # explains a wrong encoding with its column
        try:
            document = parse_document(self.content, self.shown)
        except UnreadableFile as error:
            raise self._explain(error) from None
        for problem in document.duplicate_problems():
            raise UnreadableSource(self.shown, f"{problem.key} {problem.message}", problem.hint, problem.line, 1)
        return document

    def _explain(self, error: UnreadableFile) -> UnreadableSource:
        line = error.problem.line or 1
        rows = self.text.split("\n")
        row = rows[line - 1] if line <= len(rows) else ""
        column = error.column or len(row) - len(row.lstrip()) + 1
        return UnreadableSource(self.shown, error.problem.message, error.problem.hint, line, column)

    @cached_property
    def tree(self) -> SourceTree:
        """The document as a tree. Raises UnreadableSource."""
        tree = create_tree(self.document)
        for number, leaf in enumerate(tree.root.leaves()):
            if number >= MAX_LEAVES:
                message = f"has more than {MAX_LEAVES} values"
                raise UnreadableSource(self.shown, message, "split it into several files", leaf.line)
        return tree
