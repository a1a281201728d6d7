"""Who holds registered values, and for how long: a run until it is over, a source until it has a newer value.

Used by the checks and by config.secrets. Values that live as long as the process are added to the redactor itself.
"""

from __future__ import annotations

import threading

from jobs.redaction import Redactor
from jobs.redaction.forms import SecretForms

LONG_SECRET = 1024
"""Characters from which on a value is registered in a thread, or its forms are computed there: it takes milliseconds,
and other runs start meanwhile."""

MOST_RUN_CHARACTERS = 131_072
"""Of all values that one run holds. Further ones, of a run of many attempts, release those that it has held longest."""


class RunSecrets:
    """What one run has registered. For one event loop.

    It is released when the run is over and nothing works for it any more: whatever leaves the run (its attempts,
    events, tracebacks, dead letter) was redacted before.
    """

    __slots__ = ("_characters", "_users", "_values")

    def __init__(self) -> None:
        self._values: dict[str, Redactor] | None = None  # most runs register nothing
        self._characters = 0
        self._users = 1

    def add(self, value: str, redactor: Redactor, forms: SecretForms | None = None) -> None:
        """Register a value. `forms`: see Redactor.hold. After the end it is released at once."""
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
        while self._characters > MOST_RUN_CHARACTERS and len(self._values) > 1:
            self._release(next(iter(self._values)))

    def occur_in(self, text: str) -> bool:
        """Whether a text holds one of the values, in one of its forms."""
        return self._values is not None and any(
            redactor.is_value_in(value, text) for value, redactor in self._values.items()
        )

    def add_user(self) -> None:
        """Something works for the run that may outlive it, such as its cleanup. It calls `close` as well."""
        self._users += 1

    def close(self) -> None:
        """One user less; the last one releases everything."""
        self._users -= 1
        if not self._users and self._values is not None:
            for value in tuple(self._values):
                self._release(value)

    def _release(self, value: str) -> None:
        assert self._values is not None
        self._characters -= len(value)
        self._values.pop(value).release(value)


class CurrentSecrets:
    """The value of each name that is in use now. A newer value of the name takes its place. From any thread.

    `most`: names; more push out those that were set longest ago. None: there is no such limit.
    """

    def __init__(self, redactor: Redactor, most: int | None = None) -> None:
        self._redactor = redactor
        self._most = most
        self._lock = threading.Lock()
        self._values: dict[str, str] = {}

    def set(self, name: str, value: str) -> None:
        """Register the value, and release the one that the name had before."""
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
        """Register a value that has no name: it is one of the latest that were used."""
        self.set(value, value)

    def remove(self, name: str) -> None:
        """Release the value of this name, if there is one."""
        with self._lock:
            value = self._values.pop(name, None)
        if value is not None:
            self._redactor.release(value)
