"""Redacts the texts of a judgement from the judging process, which has no secrets. Pure.

The child stores each text to redact and writes a mark instead (child.py). The parent, which has the secrets, replaces
the marks by the redacted texts (service.py).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Sequence

from jobs.expectations.answer import shorten_redacted
from jobs.redaction import Redact


class RedactionRecorder:
    """A `Redact` that stores texts and returns marks. A random nonce prevents a target from writing a mark."""

    def __init__(self) -> None:
        self.nonce = secrets.token_hex(8)
        self.texts: list[tuple[str, bool]] = []
        """Each text, and whether it is truncated."""

    def __call__(self, text: str, *, cut: bool = False) -> str:
        self.texts.append((text, cut))
        return f"<{self.nonce}:{len(self.texts) - 1}>"


def make_completer(nonce: str, texts: Sequence[tuple[str, bool]], redact: Redact) -> Callable[[str], str]:
    """Return a function that replaces the marks in a text by the redacted and shortened texts."""
    mark = re.compile(rf"<{re.escape(nonce)}:(\d+)>")

    def shown(found: re.Match[str]) -> str:
        text, cut = texts[int(found[1])]
        return shorten_redacted(redact(complete(text), cut=cut))

    def complete(text: str) -> str:
        # A stored text can contain marks of earlier ones.
        return mark.sub(shown, text)

    return complete
