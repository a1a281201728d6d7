"""Replaces registered values in texts. Used through jobs.redaction."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import Protocol

from jobs.redaction.form_index import NEIGHBOUR, FormIndex
from jobs.redaction.forms import SHORTEST_SECRET, SecretForms, secret_forms

REDACTED = "***"

MOST_RELEASED_VALUES = 1000
"""Values without a holder that are still redacted."""

MOST_RELEASED_CHARACTERS = 8_000_000
"""Characters of all their forms: a hundred tokens of 1,200 characters, in 20 MiB of memory."""

SHORTEST_BASE64_FORM = 8
"""Characters of a Base64 form that is found without checking the characters around it."""

_SHORTEST_BROKEN, _LONGEST_BROKEN = 8, 256
"""Characters of a form that is found across line ends. Longer values are found by their pieces."""

_END = r"[ \t]{0,8}(?:\r?\n|(?:\\{1,4}r)?\\{1,4}n)\s{0,80}"
"""A line end, plain or escaped, with white space around it. Bounded, so that long runs of white space cost no more."""
_LINE_END = re.compile(_END)


class Redact(Protocol):
    """The signature of `Redactor.redact`."""

    def __call__(self, text: str, *, cut: bool = False) -> str: ...


@dataclass(slots=True)
class _RegisteredValue:
    """The forms of a value, their characters, and the number of holders."""

    forms: SecretForms
    characters: int
    holders: int


class Redactor:
    """Replaces every registered value, in each of its encoded forms, by `***`. Thread-safe.

    Each holder of a value calls `hold` and `release`. Values without a holder are still redacted for a while, because a
    late log line can contain them. They evict each other, the oldest first, and never a value that has a holder.
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
        """Register a value for the lifetime of the process, such as a secret of the settings."""
        self.hold(value)

    def hold(self, value: str, forms: SecretForms | None = None) -> None:
        """Register a value until it is released. Ignore one that is shorter than SHORTEST_SECRET.

        `forms`: the forms of the value, if the caller computed them in a thread, because that is slow for more than
        about a thousand characters.
        """
        if len(value) < SHORTEST_SECRET:
            return
        with self._lock:
            if self._hold_again(value):
                return
        if forms is None:
            forms = secret_forms(value)  # outside of the lock, because it is slow
        with self._lock:
            if not self._hold_again(value):
                characters = sum(map(len, forms.plain)) + sum(map(len, forms.inside_base64))
                self._values[value] = _RegisteredValue(forms, characters, 1)
                self._index.add(forms)

    def release(self, value: str) -> None:
        """Undo one `hold` of this value."""
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
        """Whether the value is registered, or is too short for it."""
        return len(value) < SHORTEST_SECRET or value in self._values

    def is_value_in(self, value: str, text: str) -> bool:
        """Whether a text contains this registered value in one of its forms."""
        registered = self._values.get(value)
        if registered is None:
            return False
        inside = (form for form in registered.forms.inside_base64 if len(form) >= SHORTEST_BASE64_FORM)
        return any(form in text for form in (*registered.forms.plain, *inside))

    @property
    def held_count(self) -> int:
        """The number of values that have a holder."""
        return len(self._values) - len(self._released)

    def redact(self, text: str, *, cut: bool = False) -> str:
        """Return the text with every registered value replaced.

        `cut`: the text was truncated and can end within a value: an incomplete form of at least SHORTEST_SECRET
        characters at its end is replaced, too.
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
    """Replace values that are broken across lines, at any position."""
    joined = _LINE_END.sub("", text)
    for form in index.find_by_grams(joined):
        if _SHORTEST_BROKEN <= len(form) <= _LONGEST_BROKEN and form in joined:
            broken = f"(?:{_END})?".join(map(re.escape, form))
            text = re.sub(broken, REDACTED, text)
    return text
