"""The errors of an import. Raised by the sources and by source_file; caught by running and the command `import`."""

from __future__ import annotations


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
