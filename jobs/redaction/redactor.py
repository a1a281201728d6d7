"""Replaces registered values in texts: the redactor, and the index that finds their forms. Used through jobs.redaction.

The cost of adding or removing a value depends only on its own forms. The redactor changes the index under its lock.
Readers need no lock: each read is one atomic operation on a dictionary.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Protocol, TypeVar

from jobs.redaction.forms import SHORTEST_SECRET, SecretForms, secret_forms

_T = TypeVar("_T")

NEIGHBOUR = "[A-Za-z0-9+/_-]?"
"""A character next to the inside of a Base64 text contains some bits of the secret."""

_GRAM = SHORTEST_SECRET
"""Characters by which forms are indexed: the length of the shortest form."""

_FORMS_A_CHARACTER = 0.6
"""One search for a form costs as much as indexing this many characters of a text."""

_MAX_SEARCHED = 1000
"""Forms that are searched one by one: their order is recomputed after each change."""

_MAX_NESTED = 8
"""Nested values that are searched at the end of a truncated text."""


class FormIndex:
    """Every form of every registered value, with the number of values that have it."""

    def __init__(self) -> None:
        self._plain: dict[str, int] = {}
        self._inside_base64: dict[str, int] = {}
        self._buckets: _Buckets = {}
        self._lengths: dict[int, int] = {}
        """Number of values by the length of their longest form."""
        self._version = 0
        self._ordered: tuple[int, tuple[str, ...]] = (0, ())
        """A version, and all forms of it, longest first."""

    def __len__(self) -> int:
        """Approximate number of forms: one of both kinds counts twice."""
        return len(self._plain) + len(self._inside_base64)

    def add(self, forms: SecretForms) -> None:
        buckets = self._buckets
        for counts, other, new in self._kinds(forms):
            for form in new:
                if form in counts:
                    counts[form] += 1
                    continue
                counts[form] = 1
                if form not in other:
                    _put(buckets, form[:_GRAM], form)
        longest = _longest(forms)
        self._lengths[longest] = self._lengths.get(longest, 0) + 1
        self._version += 1

    def remove(self, forms: SecretForms) -> None:
        """Remove the forms of a value that was added."""
        buckets = self._buckets
        for counts, other, old in self._kinds(forms):
            for form in old:
                if counts[form] > 1:
                    counts[form] -= 1
                    continue
                del counts[form]
                if form not in other:
                    _discard(buckets, form[:_GRAM], form)
        longest = _longest(forms)
        self._lengths[longest] -= 1
        if not self._lengths[longest]:
            del self._lengths[longest]
        self._version += 1

    def is_inside_base64(self, form: str) -> bool:
        """Whether the form is only the inside of a longer Base64 text."""
        return form in self._inside_base64 and form not in self._plain

    def find_candidates(self, text: str) -> Iterable[str]:
        """Return the forms that the text can contain, longest first: a shorter one must not leave the rest of a longer
        one."""
        # A hundred searches one by one take a tenth of the time of one combined expression. With more forms, or for a
        # short text, it is faster to look up the pieces of the text.
        count = len(self)
        if count <= _MAX_SEARCHED and count < len(text) * _FORMS_A_CHARACTER:
            return self._longest_first()
        return self.find_by_grams(text)

    def find_by_grams(self, text: str) -> list[str]:
        """Return the same by looking up the pieces of the text."""
        grams = {text[at : at + _GRAM] for at in range(len(text) - _GRAM + 1)}
        return sorted(_forms_of_all(self._buckets, grams), key=len, reverse=True)

    def strip_partial_form(self, text: str) -> str:
        """Return the text without an incomplete form, or several nested ones, at its end."""
        # The truncation can split a character of several bytes.
        whole = shortened = text.rstrip("\ufffd")
        for _ in range(_MAX_NESTED):
            at = self._find_partial_form(shortened)
            if at is None:
                break
            shortened = shortened[:at]
        return text if shortened is whole else shortened

    def _find_partial_form(self, text: str) -> int | None:
        longest = max(_snapshot(self._lengths), default=0)
        for at in range(max(len(text) - longest, 0), len(text) - _GRAM + 1):
            if (gram := text[at : at + _GRAM]) not in self._buckets:
                continue
            size, is_form = len(text) - at, False
            for form in _forms_in(self._buckets, gram):
                # Compare cheaply first, as many forms can have the same start.
                if len(form) >= size and form[size - 1] == text[-1] and form.startswith(text[at:]):
                    is_form = True
                    if self.is_inside_base64(form) and re.fullmatch(NEIGHBOUR, text[max(at - 1, 0) : at]):
                        return max(at - 1, 0)
            if is_form:
                return at
        return None

    def _kinds(self, forms: SecretForms) -> tuple[tuple[dict[str, int], dict[str, int], Set[str]], ...]:
        """Return for each kind its counts, those of the other kind, and the forms."""
        plain, inside = self._plain, self._inside_base64
        return (plain, inside, forms.plain), (inside, plain, forms.inside_base64)

    def _longest_first(self) -> tuple[str, ...]:
        version, ordered = self._ordered
        if version != self._version:
            # Read before the forms, so that a concurrent change makes this order outdated.
            version = self._version
            forms = {*_snapshot(self._plain), *_snapshot(self._inside_base64)}
            ordered = tuple(sorted(forms, key=len, reverse=True))
            self._ordered = version, ordered
        return ordered


def _longest(forms: SecretForms) -> int:
    return max((len(form) for kind in (forms.plain, forms.inside_base64) for form in kind), default=0)


_Buckets = dict[str, str | dict[str, None]]
"""Forms by their first characters. A single one is stored without a dictionary, to save memory."""


def _put(buckets: _Buckets, gram: str, form: str) -> None:
    """Add a new form."""
    there = buckets.setdefault(gram, form)
    if isinstance(there, dict):
        there[form] = None
    elif there is not form:
        buckets[gram] = {there: None, form: None}


def _discard(buckets: _Buckets, gram: str, form: str) -> None:
    """Remove an existing form."""
    there = buckets[gram]
    if isinstance(there, dict) and len(there) > 1:
        del there[form]
    else:
        del buckets[gram]


def _forms_in(buckets: _Buckets, gram: str) -> tuple[str, ...]:
    there = buckets.get(gram)
    return () if there is None else (there,) if isinstance(there, str) else _snapshot(there)


def _forms_of_all(buckets: _Buckets, grams: set[str]) -> list[str]:
    while True:
        try:
            found = buckets.keys() & grams
        except RuntimeError:  # see _snapshot
            continue
        return [form for gram in found for form in _forms_in(buckets, gram)]


def _snapshot(entries: Mapping[_T, object]) -> tuple[_T, ...]:
    """Return the keys of a dictionary that another thread can change."""
    while True:
        try:
            return tuple(entries)
        except RuntimeError:
            # Another thread changed it during a garbage collection.
            continue


REDACTED = "***"

MAX_RELEASED_VALUES = 1000
"""Values without a holder that are still redacted."""

MAX_RELEASED_CHARACTERS = 8_000_000
"""Characters of all their forms: a hundred tokens of 1,200 characters, in 20 MiB of memory."""

SHORTEST_BASE64_FORM = 8
"""Characters of a Base64 form that is found without checking the characters around it."""

_SHORTEST_BROKEN, _MAX_BROKEN = 8, 256
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
        self, *, most_released: int = MAX_RELEASED_VALUES, most_characters: int = MAX_RELEASED_CHARACTERS
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
        if _SHORTEST_BROKEN <= len(form) <= _MAX_BROKEN and form in joined:
            broken = f"(?:{_END})?".join(map(re.escape, form))
            text = re.sub(broken, REDACTED, text)
    return text
