"""The port of a tool: reads, writes and deletes documents by id; and what a target of `generate` is.

Implemented by the folders of the targets next to this package, Used by
observability.generation.core.applying.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from observability.generation.core.document import GeneratedDocument, Json
from observability.generation.core.portfolio import Portfolio


class ToolError(Exception):
    """A tool did not do what it was requested to do. The message contains why, and what to change; no credentials."""


@dataclass(frozen=True, slots=True)
class ToolDocument:
    """A document in a tool. `id`: the tool's. `value`: without what the tool changes by itself: times, versions."""

    id: str
    value: Json


class Tool(Protocol):
    """The API of a tool. Every method raises ToolError."""

    def fetch(self, kind: str, tool_id: str) -> ToolDocument | None:
        """Return the document with this id; None if the tool has none."""
        ...

    def find(self, document: GeneratedDocument) -> ToolDocument | None:
        """Return the document that an earlier apply has written and whose id is unknown here; None without one."""
        ...

    def write(self, document: GeneratedDocument, value: Json, tool_id: str | None) -> ToolDocument:
        """Create the document with this value, or replace that with the id; return it as the tool stores it."""
        ...

    def delete(self, kind: str, tool_id: str) -> None:
        """Delete the document; without it in the tool, this is a success."""
        ...


@dataclass(frozen=True, slots=True)
class GenerationTarget:
    """A target of `generate`.

    `generate`: all documents, in the order in which they are applied: a document comes after those that it references.
    `connect`: the tool, with the credentials of the environment variables; raises ToolError.
    """

    name: str
    generate: Callable[[Portfolio], Sequence[GeneratedDocument]]
    connect: Callable[[Mapping[str, str]], AbstractContextManager[Tool]]
