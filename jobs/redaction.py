"""Takes secrets out of texts, by value. One redactor a process.

Who fetches or derives a secret registers it; everything that writes (logs, errors, history, exporters) passes its texts
through.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections import OrderedDict
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

REDACTED = "***"

SHORTEST = 4
"""Characters. Shorter values stand in ordinary texts too often: whoever needs one secret must make it longer."""

MOST_VALUES = 1000
"""Values that are remembered. Rotated secrets and tokens push out those that were registered longest ago."""

_ESCAPE = re.compile(r"%[0-9A-F]{2}")


class Redactor:
    """Replaces every registered value, in each form it may take on its way, by `***`.

    Forms: as it is; URL-encoded; Base64 (also the URL-safe kind); escaped as in JSON. May be used from any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forms_of: OrderedDict[str, frozenset[str]] = OrderedDict()
        # Replaced as a whole, so that readers need no lock.
        self._forms: tuple[str, ...] = ()

    def add(self, value: str) -> None:
        """Register a value. Does nothing if it is shorter than SHORTEST or known already."""
        if len(value) < SHORTEST:
            return
        with self._lock:
            if value in self._forms_of:
                self._forms_of.move_to_end(value)
                return
            self._forms_of[value] = frozenset(_forms(value))
            if len(self._forms_of) > MOST_VALUES:
                self._forms_of.popitem(last=False)
            # The longest first: of a value that begins like another one the end must not stay.
            self._forms = tuple(sorted(set().union(*self._forms_of.values()), key=len, reverse=True))

    def redact(self, text: str) -> str:
        """The text with every registered value replaced."""
        # Looking for a hundred values one by one takes a tenth of what one expression of all of them takes.
        for form in self._forms:
            if form in text:
                text = text.replace(form, REDACTED)
        return text


def _forms(value: str) -> Iterator[str]:
    yield value
    for encoded in (
        quote(value, errors="replace"),
        quote(value, "", errors="replace"),
        quote_plus(value, errors="replace"),
    ):
        yield encoded
        yield _ESCAPE.sub(lambda escape: escape[0].lower(), encoded)  # as .NET writes it
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    raw = value.encode("utf-8", "replace")
    # Without the padding, which tells nothing: so both kinds are found.
    yield base64.b64encode(raw).decode().rstrip("=")
    yield base64.urlsafe_b64encode(raw).decode().rstrip("=")
