"""A value of a source document with its path and line, so that each leaf can be reported.

Used by the sources, which read a document only through its nodes. A leaf is a value without children: a text, a number,
true, false, null, or an empty mapping or list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from config.documents.document import Document
from jobs.problems import KeyPath, dotted_path


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
