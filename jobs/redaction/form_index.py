"""Finds the registered forms in a text. Used by the redactor, which changes it under its lock. Pure.

Adding and removing a value cost what its own forms cost, however many others there are. Readers take no lock: whatever
they read is one operation on a dictionary, which the interpreter does not interrupt.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set
from typing import TypeVar

from jobs.redaction.forms import SHORTEST_SECRET, SecretForms

_T = TypeVar("_T")

NEIGHBOUR = "[A-Za-z0-9+/_-]?"
"""Beside the inside of a Base64 text stand characters that hold some bits of the secret."""

_GRAM = SHORTEST_SECRET
"""Characters by which forms are looked up: as many as the shortest form has."""

_FORMS_A_CHARACTER = 0.6
"""Searching for one form costs as much as cutting this many characters of a text: which way is the cheaper one."""

_MOST_SEARCHED = 1000
"""Forms that are searched for one by one: their order is computed anew after each change."""

_MOST_NESTED = 8
"""Values within values that are looked for at the end of a text that was cut."""


class FormIndex:
    """Every form of every registered value, with the number of values that have it."""

    def __init__(self) -> None:
        self._plain: dict[str, int] = {}
        self._inside_base64: dict[str, int] = {}
        self._buckets: _Buckets = {}
        self._lengths: dict[int, int] = {}
        """Of the longest form of each value."""
        self._version = 0
        self._ordered: tuple[int, tuple[str, ...]] = (0, ())
        """The version and all forms of it, the longest first."""

    def __len__(self) -> int:
        """About how many forms there are: one that has two meanings counts twice."""
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
        """Of a value that was added."""
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
        """Whether a text may have it only where it was encoded with what stands around it."""
        return form in self._inside_base64 and form not in self._plain

    def find_candidates(self, text: str) -> Iterable[str]:
        """The forms that may stand in the text, the longest first: of a value that begins like another one the end
        must not stay."""
        # Searching for a hundred forms one by one takes a tenth of what one expression of all of them takes. With more
        # of them, or in a short text, it is the text that is cut into pieces, and these are looked up.
        count = len(self)
        if count <= _MOST_SEARCHED and count < len(text) * _FORMS_A_CHARACTER:
            return self._longest_first()
        return self.find_by_grams(text)

    def find_by_grams(self, text: str) -> list[str]:
        """The same, always by pieces of the text."""
        grams = {text[at : at + _GRAM] for at in range(len(text) - _GRAM + 1)}
        return sorted(_forms_of_all(self._buckets, grams), key=len, reverse=True)

    def strip_partial_form(self, text: str) -> str:
        """The text without the begin of a form, or several one within the other, at its end."""
        # The cut may have gone through a character of several bytes.
        whole = left = text.rstrip("\ufffd")
        for _ in range(_MOST_NESTED):
            at = self._find_partial_form(left)
            if at is None:
                break
            left = left[:at]
        return text if left is whole else left

    def _find_partial_form(self, text: str) -> int | None:
        longest = max(_snapshot(self._lengths), default=0)
        for at in range(max(len(text) - longest, 0), len(text) - _GRAM + 1):
            if (gram := text[at : at + _GRAM]) not in self._buckets:
                continue
            size, found = len(text) - at, False
            for form in _forms_in(self._buckets, gram):
                # Who sends the same begin a thousand times must not have each of them compared.
                if len(form) >= size and form[size - 1] == text[-1] and form.startswith(text[at:]):
                    found = True
                    if self.is_inside_base64(form) and re.fullmatch(NEIGHBOUR, text[max(at - 1, 0) : at]):
                        return max(at - 1, 0)
            if found:
                return at
        return None

    def _kinds(self, forms: SecretForms) -> tuple[tuple[dict[str, int], dict[str, int], Set[str]], ...]:
        """Of each kind: its counts, those of the other kind, and the forms."""
        plain, inside = self._plain, self._inside_base64
        return (plain, inside, forms.plain), (inside, plain, forms.inside_base64)

    def _longest_first(self) -> tuple[str, ...]:
        version, ordered = self._ordered
        if version != self._version:
            # Read before the forms: what changes meanwhile makes this order an old one.
            version = self._version
            forms = {*_snapshot(self._plain), *_snapshot(self._inside_base64)}
            ordered = tuple(sorted(forms, key=len, reverse=True))
            self._ordered = version, ordered
        return ordered


def _longest(forms: SecretForms) -> int:
    return max((len(form) for kind in (forms.plain, forms.inside_base64) for form in kind), default=0)


_Buckets = dict[str, str | dict[str, None]]
"""Forms by their first characters. A single one stands alone, as a dictionary takes as much as ten forms."""


def _put(buckets: _Buckets, gram: str, form: str) -> None:
    """Add a form that is not there."""
    there = buckets.setdefault(gram, form)
    if isinstance(there, dict):
        there[form] = None
    elif there is not form:
        buckets[gram] = {there: None, form: None}


def _discard(buckets: _Buckets, gram: str, form: str) -> None:
    """Remove a form that is there."""
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
    """The keys of a dictionary that another thread may be changing."""
    while True:
        try:
            return tuple(entries)
        except RuntimeError:
            # A garbage collection in between let another thread change it.
            continue
