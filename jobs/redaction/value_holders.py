"""Holders of registered values: a run until it ends, a source until it has a newer value.

Used by the checks and by config.secrets. Values with the lifetime of the process are added to the redactor directly.
"""

from __future__ import annotations

import threading

from jobs.redaction.forms import SecretForms
from jobs.redaction.redactor import Redactor

LONG_SECRET = 1024
"""Characters from which on the forms of a value are computed in a thread, because that takes milliseconds."""

MAX_RUN_CHARACTERS = 131_072
"""Characters of all values that one run holds. Further ones, in a run of many attempts, release the oldest."""


class RunSecrets:
    """The values that one run registered. For one event loop.

    They are released when the run and its cleanup have ended: its attempts, events, tracebacks and dead letter are
    redacted before.
    """

    def __init__(self) -> None:
        self._values: dict[str, Redactor] | None = None  # most runs register nothing
        self._characters = 0
        self._users = 1

    def add(self, value: str, redactor: Redactor, forms: SecretForms | None = None) -> None:
        """Register a value; after the last `close` it is released at once. `forms`: see Redactor.hold."""
        if self._values is None:
            self._values = {}
        if value in self._values:
            return
        redactor.hold(value, forms)
        if not self._users:
            redactor.release(value)
            return
        self._values[value] = redactor
        self._characters += len(value)
        while self._characters > MAX_RUN_CHARACTERS and len(self._values) > 1:
            self._release(next(iter(self._values)))

    def occur_in(self, text: str) -> bool:
        """Whether a text contains one of the values in one of its forms."""
        return self._values is not None and any(
            redactor.is_value_in(value, text) for value, redactor in self._values.items()
        )

    def add_user(self) -> None:
        """Add a user that can outlive the run, such as its cleanup. It also calls `close`."""
        self._users += 1

    def close(self) -> None:
        """Remove a user; the last one releases all values."""
        self._users -= 1
        if not self._users and self._values is not None:
            for value in tuple(self._values):
                self._release(value)

    def _release(self, value: str) -> None:
        assert self._values is not None
        self._characters -= len(value)
        self._values.pop(value).release(value)


class CurrentSecrets:
    """The current value of each name. A newer value replaces the one before. Thread-safe.

    `most`: names; more evict the least recently set ones. None: unlimited.
    """

    def __init__(self, redactor: Redactor, most: int | None = None) -> None:
        self._redactor = redactor
        self._most = most
        self._lock = threading.Lock()
        self._values: dict[str, str] = {}

    def set(self, name: str, value: str) -> None:
        """Register the value, and release the previous one of the name."""
        if self._values.get(name) == value and self._most is None:
            return
        self._redactor.hold(value)
        with self._lock:
            before = [self._values.pop(name)] if name in self._values else []
            self._values[name] = value
            if self._most is not None and len(self._values) > self._most:
                before.append(self._values.pop(next(iter(self._values))))
        for each in before:
            self._redactor.release(each)

    def set_unnamed(self, value: str) -> None:
        """Register a value without a name, as one of the most recently used."""
        self.set(value, value)

    def remove(self, name: str) -> None:
        """Release the value of this name, if any."""
        with self._lock:
            value = self._values.pop(name, None)
        if value is not None:
            self._redactor.release(value)
