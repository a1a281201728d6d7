"""Prints progress. The values of secret variables are replaced in every line, whatever printed them."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from delivery.clock import DeliveryClock, format_duration

_MASK = "***"


class Reporter:
    """Writes progress to standard error, so that results alone are on standard output.

    Each line begins with the time since the start.
    """

    def __init__(self, clock: DeliveryClock, secrets: Iterable[str] = ()) -> None:
        self._clock = clock
        self._start = clock.now()
        self._secrets = sorted({secret for secret in secrets if secret}, key=len, reverse=True)

    def report(self, message: str) -> None:
        """Print a line of progress."""
        elapsed = (self._clock.now() - self._start).total_seconds()
        print(f"[{format_duration(round(elapsed))}] {self.redact(message)}", file=sys.stderr, flush=True)

    def fail(self, message: str) -> None:
        """Print the error that ends the script."""
        print(f"error: {self.redact(message)}", file=sys.stderr, flush=True)

    def result(self, text: str) -> None:
        """Print a result to standard output."""
        print(self.redact(text), flush=True)

    def redact(self, text: str) -> str:
        """Return the text without the values of secrets."""
        for secret in self._secrets:
            text = text.replace(secret, _MASK)
        return text
