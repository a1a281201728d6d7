"""One file that a user gives to an import. Created by the command `import`; read by detection and the sources.

Whatever a file contains, only UnreadableSource is raised: size, depth, aliases and encoding are bounded.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from config.documents.document import Document, UnreadableFile, parse_document, read_file
from importers.errors import UnreadableSource
from importers.ledger import SourceTree, create_tree

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
