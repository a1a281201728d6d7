"""Takes secrets out of texts, by value. One redactor a process: the secret sources register values, everything that
writes (logs, errors, history, exporters) passes its texts through."""

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
"""Characters. Shorter values stand in ordinary texts too often; whoever needs them secret must make them longer."""

MOST_VALUES = 2048
"""Values that are remembered. Rotated secrets and tokens push out those that were registered longest ago."""


class Redactor:
    """Replaces every registered value, in each form it may take on its way, by `***`.

    Forms: as it is; URL-encoded; Base64 (also the URL-safe kind, with or without padding); escaped as in JSON.
    May be used from any thread. Texts are not searched while nothing is registered.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: OrderedDict[str, None] = OrderedDict()
        # None while nothing is registered or the values have changed; built with the next text.
        self._pattern: re.Pattern[str] | None = None

    def add(self, value: str) -> None:
        """Register a value. Does nothing if it is shorter than SHORTEST or known already."""
        if len(value) < SHORTEST:
            return
        with self._lock:
            if value in self._values:
                self._values.move_to_end(value)
                return
            self._values[value] = None
            if len(self._values) > MOST_VALUES:
                self._values.popitem(last=False)
            self._pattern = None

    def redact(self, text: str) -> str:
        """The text with every registered value replaced."""
        if not self._values or len(text) < SHORTEST:
            return text
        pattern = self._pattern or self._build()
        return pattern.sub(REDACTED, text)

    def _build(self) -> re.Pattern[str]:
        with self._lock:
            forms = {form for value in self._values for form in _forms(value)}
            # The longest first: a value that begins like another one must not leave its end standing.
            pattern = re.compile("|".join(map(re.escape, sorted(forms, key=lambda form: (-len(form), form)))))
            self._pattern = pattern
            return pattern


def _forms(value: str) -> Iterator[str]:
    yield value
    yield quote(value)
    yield quote(value, safe="")
    yield quote_plus(value)
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    raw = value.encode("utf-8", "surrogatepass")
    for encoded in (base64.b64encode(raw), base64.urlsafe_b64encode(raw)):
        yield encoded.decode()
        yield encoded.decode().rstrip("=")
