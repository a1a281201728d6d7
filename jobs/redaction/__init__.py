"""Takes secrets out of texts, by value. One redactor a process.

Who fetches or derives a secret registers it; everything that writes (logs, errors, history, exporters) passes its texts
through. Which forms a value may take on its way is in forms.py.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from typing import Protocol

from jobs.redaction.forms import SHORTEST, Forms, forms_of

__all__ = ["MOST_VALUES", "REDACTED", "SHORTEST", "Redact", "Redactor"]

REDACTED = "***"

MOST_VALUES = 1000
"""Values that are remembered. Rotated secrets and tokens push out those that were registered longest ago."""

_GRAM = SHORTEST
"""Characters by which forms are looked up: as many as the shortest form has."""

_FORMS_A_CHARACTER = 0.6
"""Looking for one form costs as much as cutting this many characters of a text: which way is the cheaper one."""

_MOST_NESTED = 8
"""Values within values that are looked for at the end of a text that was cut."""

_SHORTEST_BROKEN, _LONGEST_BROKEN = 8, 256
"""Characters of a form that is looked for across the ends of lines. Of longer values the pieces are."""

_END = r"[ \t]{0,8}(?:\r?\n|(?:\\{1,4}r)?\\{1,4}n)\s{0,80}"
"""Of a line, as it is or escaped, with what stands around it. Bounded: long runs of one character must not cost more
than others."""
_LINE_END = re.compile(_END)

_NEIGHBOUR = "[A-Za-z0-9+/_-]?"
"""Beside the inside of a Base64 text stand characters that hold some bits of the secret."""


class Redact(Protocol):
    """`Redactor.redact`, for those who need no more of it."""

    def __call__(self, text: str, *, cut: bool = False) -> str: ...


class Redactor:
    """Replaces every registered value, in each form it may take on its way, by `***`. May be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forms_of: OrderedDict[str, Forms] = OrderedDict()
        # Replaced as a whole, so that readers need no lock.
        self._known = _NOTHING

    def add(self, value: str) -> None:
        """Register a value. Does nothing if it is shorter than SHORTEST or known already."""
        if len(value) < SHORTEST:
            return
        with self._lock:
            if value in self._forms_of:
                self._forms_of.move_to_end(value)
                return
        forms = forms_of(value)  # of a long one that takes a while, which nobody else has to wait for
        with self._lock:
            self._forms_of[value] = forms
            if len(self._forms_of) > MOST_VALUES:
                self._forms_of.popitem(last=False)
                self._known = _NOTHING.with_all(self._forms_of.values())
            else:
                self._known = self._known.with_all([forms])

    def knows(self, value: str) -> bool:
        """Whether it is registered, or need not be."""
        return len(value) < SHORTEST or value in self._forms_of

    def redact(self, text: str, *, cut: bool = False) -> str:
        """The text with every registered value replaced.

        `cut`: it is the begin of a longer one, so that it may end within a value: what looks like the begin of one is
        replaced there, too, from SHORTEST characters on.
        """
        known = self._known
        if known is _NOTHING:
            return text
        if cut and (whole := known.without_begun(text)) != text:
            return self.redact(whole) + REDACTED
        for form in known.candidates(text):
            if form not in text:
                continue
            if form in known.inside_base64:
                text = re.sub(f"{_NEIGHBOUR}{re.escape(form)}{_NEIGHBOUR}={{0,2}}", REDACTED, text)
            else:
                text = text.replace(form, REDACTED)
        return _without_broken(text, known) if "\n" in text or "\\n" in text else text


def _without_broken(text: str, known: _Known) -> str:
    """The text of several lines without the values that are broken over some of them, wherever the lines end."""
    joined = _LINE_END.sub("", text)
    for form in known.by_their_begin(joined):
        if _SHORTEST_BROKEN <= len(form) <= _LONGEST_BROKEN and form in joined:
            broken = f"(?:{_END})?".join(map(re.escape, form))
            text = re.sub(broken, REDACTED, text)
    return text


class _Known:
    """Every form of every value, the longest first: of a value that begins like another one the end must not stay."""

    __slots__ = ("_by_gram", "_forms", "inside_base64")

    def __init__(self, forms: tuple[str, ...], inside_base64: frozenset[str], by_gram: dict[str, list[str]]) -> None:
        self._forms = forms
        self._by_gram = by_gram
        self.inside_base64 = inside_base64

    def with_all(self, values: Iterable[Forms]) -> _Known:
        """Those and these: what is there is not sorted again, as of long values that takes a while."""
        there, inside, new = set(self._forms), set(self.inside_base64), set[str]()
        for forms in values:
            inside |= forms.inside_base64 - (there | new)
            inside -= forms.plain
            new |= (forms.plain | forms.inside_base64) - there
        longest_first = tuple(sorted((*self._forms, *sorted(new, key=len, reverse=True)), key=len, reverse=True))
        by_gram, more = dict(self._by_gram), defaultdict[str, list[str]](list)
        for form in new:
            more[form[:_GRAM]].append(form)
        for gram, found in more.items():
            by_gram[gram] = sorted((*by_gram.get(gram, ()), *found), key=len, reverse=True)
        return _Known(longest_first, frozenset(inside), by_gram)

    def candidates(self, text: str) -> Iterable[str]:
        """The forms that may stand in the text, the longest first."""
        # Looking for a hundred forms one by one takes a tenth of what one expression of all of them takes. With more
        # of them, or in a short text, it is the text that is cut into pieces, and these are looked up.
        if len(self._forms) < len(text) * _FORMS_A_CHARACTER:
            return self._forms
        return self.by_their_begin(text)

    def by_their_begin(self, text: str) -> Iterable[str]:
        """The same, always by pieces of the text."""
        grams = {text[at : at + _GRAM] for at in range(len(text) - _GRAM + 1)}
        found = grams & self._by_gram.keys()
        if not found:
            return ()
        return sorted((form for gram in found for form in self._by_gram[gram]), key=len, reverse=True)

    def without_begun(self, text: str) -> str:
        """The text without the begin of a form, or several one within the other, at its end."""
        # The cut may have gone through a character of several bytes.
        whole = left = text.rstrip("\ufffd")
        for _ in range(_MOST_NESTED):
            at = self._begun_at(left)
            if at is None:
                break
            left = left[:at]
        return text if left is whole else left

    def _begun_at(self, text: str) -> int | None:
        longest = len(self._forms[0]) if self._forms else 0
        for at in range(max(len(text) - longest, 0), len(text) - _GRAM + 1):
            forms = self._by_gram.get(text[at : at + _GRAM])
            if forms is None:
                continue
            size = len(text) - at
            for form in forms:
                # Who sends the same begin a thousand times must not have each of them compared.
                if len(form) >= size and form[size - 1] == text[-1] and form.startswith(text[at:]):
                    beside = form in self.inside_base64 and re.fullmatch(_NEIGHBOUR, text[max(at - 1, 0) : at])
                    return max(at - 1, 0) if beside else at
        return None


_NOTHING = _Known((), frozenset(), {})
