"""The error of a Bicep file. Raised by tools.infra.bicep and tools.infra.arm."""

from __future__ import annotations


class BicepError(Exception):
    """What is wrong in a file, or what this compiler does not know, with its line."""

    def __init__(self, message: str, line: int = 0, file: str = "") -> None:
        self.message, self.line, self.file = message, line, file
        super().__init__(f"{file}:{line}: {message}" if file else f"line {line}: {message}")

    def in_file(self, file: str) -> BicepError:
        """Return the error with the name of the file."""
        return self if self.file else BicepError(self.message, self.line, file)
