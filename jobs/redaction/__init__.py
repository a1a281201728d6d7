"""Takes secrets out of texts, by value. One redactor a process.

Who fetches or derives a secret registers it, for as long as it is in use (holding.py); everything that writes (logs,
errors, history, exporters) passes its texts through. Which forms a value may take on its way is in forms.py, how they
are found in a text in index.py.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import Protocol

from jobs.redaction.form_index import NEIGHBOUR, FormIndex
from jobs.redaction.forms import SHORTEST_SECRET, SecretForms, secret_forms

__all__ = [
    "MOST_RELEASED_CHARACTERS",
    "MOST_RELEASED_VALUES",
    "REDACTED",
    "SHORTEST_SECRET",
    "Redact",
    "Redactor",
]

REDACTED = "***"

MOST_RELEASED_VALUES = 1000
"""Values that nobody holds any more and that are still replaced."""

MOST_RELEASED_CHARACTERS = 8_000_000
"""Characters of all forms of these: a hundred tokens of 1,200 characters, in 20 MiB of memory."""

SHORTEST_BASE64_FORM = 8
"""Characters of a Base64 form that is looked for without a look at what stands around it."""

_SHORTEST_BROKEN, _LONGEST_BROKEN = 8, 256
"""Characters of a form that is looked for across the ends of lines. Of longer values the pieces are."""

_END = r"[ \t]{0,8}(?:\r?\n|(?:\\{1,4}r)?\\{1,4}n)\s{0,80}"
"""Of a line, as it is or escaped, with what stands around it. Bounded: long runs of one character must not cost more
than others."""
_LINE_END = re.compile(_END)


class Redact(Protocol):
    """`Redactor.redact`, for those who need no more of it."""

    def __call__(self, text: str, *, cut: bool = False) -> str: ...


@dataclass(slots=True)
class _RegisteredValue:
    """The forms of a value, their characters, and how many hold it."""

    forms: SecretForms
    characters: int
    holders: int


class Redactor:
    """Replaces every registered value, in each form it may take on its way, by `***`. May be used from any thread.

    Each holder of a value registers it by `hold` and takes it back by `release`. What has no holder any more is still
    replaced for a while: a late log line may have it. These values push each other out, the oldest first, and no value
    that has a holder.
    """

    def __init__(
        self, *, most_released: int = MOST_RELEASED_VALUES, most_characters: int = MOST_RELEASED_CHARACTERS
    ) -> None:
        self._most_released = most_released
        self._most_characters = most_characters
        self._lock = threading.Lock()
        self._index = FormIndex()
        self._values: dict[str, _RegisteredValue] = {}
        self._released: dict[str, None] = {}
        self._released_characters = 0

    def add_permanent(self, value: str) -> None:
        """Register a value for as long as the process lives, such as a secret of the settings."""
        self.hold(value)

    def hold(self, value: str, forms: SecretForms | None = None) -> None:
        """Register a value until it is released. Does nothing if it is shorter than SHORTEST.

        `forms`: those of the value, from a caller that has computed them elsewhere, as that takes a while for a value
        of more than about a thousand characters.
        """
        if len(value) < SHORTEST_SECRET:
            return
        with self._lock:
            if self._hold_again(value):
                return
        if forms is None:
            forms = secret_forms(value)  # outside of the lock: nobody else has to wait for it
        with self._lock:
            if not self._hold_again(value):
                characters = sum(map(len, forms.plain)) + sum(map(len, forms.inside_base64))
                self._values[value] = _RegisteredValue(forms, characters, 1)
                self._index.add(forms)

    def release(self, value: str) -> None:
        """Take back one `hold` of this value."""
        if len(value) < SHORTEST_SECRET:
            return
        with self._lock:
            registered = self._values[value]
            registered.holders -= 1
            if registered.holders:
                return
            self._released[value] = None
            self._released_characters += registered.characters
            while len(self._released) > self._most_released or self._released_characters > self._most_characters:
                self._forget_oldest()

    def is_registered(self, value: str) -> bool:
        """Whether it is registered, or need not be."""
        return len(value) < SHORTEST_SECRET or value in self._values

    def is_value_in(self, value: str, text: str) -> bool:
        """Whether a text holds this registered value, in one of its forms."""
        registered = self._values.get(value)
        if registered is None:
            return False
        inside = (form for form in registered.forms.inside_base64 if len(form) >= SHORTEST_BASE64_FORM)
        return any(form in text for form in (*registered.forms.plain, *inside))

    @property
    def held_count(self) -> int:
        """How many values have a holder."""
        return len(self._values) - len(self._released)

    def redact(self, text: str, *, cut: bool = False) -> str:
        """The text with every registered value replaced.

        `cut`: it is the begin of a longer one, so that it may end within a value: what looks like the begin of one is
        replaced there, too, from SHORTEST characters on.
        """
        index = self._index
        if not len(index):
            return text
        if cut and (whole := index.strip_partial_form(text)) != text:
            return self.redact(whole) + REDACTED
        for form in index.find_candidates(text):
            if form not in text:
                continue
            if index.is_inside_base64(form):
                text = re.sub(f"{NEIGHBOUR}{re.escape(form)}{NEIGHBOUR}={{0,2}}", REDACTED, text)
            else:
                text = text.replace(form, REDACTED)
        return _redact_across_lines(text, index) if "\n" in text or "\\n" in text else text

    def _hold_again(self, value: str) -> bool:
        registered = self._values.get(value)
        if registered is None:
            return False
        if not registered.holders:
            del self._released[value]
            self._released_characters -= registered.characters
        registered.holders += 1
        return True

    def _forget_oldest(self) -> None:
        oldest = next(iter(self._released))
        del self._released[oldest]
        registered = self._values.pop(oldest)
        self._released_characters -= registered.characters
        self._index.remove(registered.forms)


def _redact_across_lines(text: str, index: FormIndex) -> str:
    """The text of several lines without the values that are broken over some of them, wherever the lines end."""
    joined = _LINE_END.sub("", text)
    for form in index.find_by_grams(joined):
        if _SHORTEST_BROKEN <= len(form) <= _LONGEST_BROKEN and form in joined:
            broken = f"(?:{_END})?".join(map(re.escape, form))
            text = re.sub(broken, REDACTED, text)
    return text
