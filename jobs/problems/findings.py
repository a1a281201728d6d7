"""Findings (problems with the path of their key) and problems (with file and line), and the texts of keys, choices and
values in messages, without secrets.
"""

from __future__ import annotations

import difflib
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to fix. `key`: a key such as `jobs.checkout-api.retry.attempts`, or empty for a whole file."""

    key: str
    message: str
    hint: str = ""
    file: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        place = self.file or ""
        if self.file and self.line is not None:
            place = f"{self.file}:{self.line}"
        head = ": ".join(part for part in (place, self.key, self.message) if part)
        if not self.hint:
            return head
        return f"{head} {self.hint}" if head.endswith("?") else f"{head}; {self.hint}"


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem with the path of its key, which config uses to find its line."""

    path: KeyPath
    message: str
    hint: str = ""

    def to_problem(self, base: str = "", file: str | None = None, line: int | None = None) -> Problem:
        return Problem(dotted_path(base, *self.path), self.message, self.hint, file, line)


MAX_LISTED_PROBLEMS = 100
"""Problems that are listed of one kind at one place: a file can have a hundred thousand unknown keys."""


def list_key_findings(
    keys: Sequence[str], explain: Callable[[str], Finding], path: KeyPath = ()
) -> tuple[Finding, ...]:
    """Return the finding of each key below `path`; after the first hundred they are only counted."""
    found = [explain(key) for key in keys[:MAX_LISTED_PROBLEMS]]
    if len(keys) > MAX_LISTED_PROBLEMS:
        found.append(Finding(path, f"has {len(keys) - MAX_LISTED_PROBLEMS} more problems, which are not listed"))
    return tuple(found)


def dotted_path(*path: str | int) -> str:
    """Format a path: `jobs.checkout.expect[0].status`. Control characters are escaped."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part:
            text += f".{make_printable(part)}" if text else make_printable(part)
    return text


def make_printable(text: str, max_length: int = 80) -> str:
    """Return the text on one line, shortened, with control characters escaped."""
    shown = text
    if not text.isprintable():
        shown = "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)
    return shown if len(shown) <= max_length else shown[: max_length - 1] + "…"


_SECRET_KEY = re.compile(
    r"secret|passw|pwd|token|api_?-?key|access_?-?key|account_?-?key|credential|authorization|cookie|signature|"
    r"connection_?-?string|^key$|^sas$|^code$",
    re.IGNORECASE,
)


def looks_secret(key: str | int) -> bool:
    """Whether the value of this key can be a secret."""
    return isinstance(key, str) and _SECRET_KEY.search(key) is not None


_MAX_COMPARED_NAMES = 200
"""Names that a wrong one is compared with: a comparison with 10,000 names takes a second."""


def fold_name(name: str) -> str:
    """Normalize case, underscores, hyphens and blanks: `Http_Method` and `httpmethod` become equal."""
    return name.casefold().replace("_", "").replace("-", "").replace(" ", "")


def suggest_name(name: str, known_names: Iterable[str]) -> str | None:
    """Return the known name nearest to `name`; None if there is no similar one.

    A known name can be a path (`check.url`), which is suggested for its last part.
    """
    folded = fold_name(name)
    if not folded or len(folded) > 100:
        return None
    last_parts: dict[str, str] = {}
    below: dict[str, str] = {}
    for one in known_names:
        level = below if "." in one else last_parts
        level.setdefault(fold_name(one.rpartition(".")[2]), one)
    if exact := last_parts.get(folded) or below.get(folded):
        return exact
    completed = [one for one in last_parts if len(folded) > 2 and one.startswith(folded)]
    near = completed or difflib.get_close_matches(folded, last_parts, n=1, cutoff=0.6)
    return last_parts[near[0]] if near else None


def suggest_sorted_name(name: str, names: Sequence[str]) -> str | None:
    """Return the nearest of many sorted names, among those around the position of this one."""
    place = bisect_left(names, name)
    return suggest_name(name, names[max(0, place - _MAX_COMPARED_NAMES // 2) : place + _MAX_COMPARED_NAMES // 2])


def did_you_mean(name: str | None) -> str:
    """Return `, did you mean NAME?`, or an empty text."""
    return f", did you mean {name}?" if name else ""


def join_names(names: Iterable[str]) -> str:
    """Join names for a message, without paths to deeper levels."""
    return ", ".join(dict.fromkeys(name for name in names if "." not in name))


def describe_unknown_key(key: str, known_keys: Iterable[str], *, noun: str = "key", owner: str = "") -> tuple[str, str]:
    """Return message and hint for an unknown key; `noun`: what the messages call it, `owner`: of what it is."""
    names = tuple(known_keys)
    near = suggest_name(key, names)
    hint = "" if near or not names else f"known {noun}s: {join_names(names)}"
    return f"unknown {noun}{owner and f' of {owner}'}{did_you_mean(near)}", hint


def describe_wrong_choice(value: Any, allowed: tuple[str, ...], *, show: bool = True) -> tuple[str, str]:
    """Return message and hint for a value that is not allowed; `show`: whether the message contains the value."""
    near = suggest_name(value, allowed) if isinstance(value, str) else None
    shown = format_value(value) if show else "the value"
    return f"{shown} is not allowed{did_you_mean(near)}", f"allowed: {join_names(allowed)}"


def format_value(value: Any) -> str:
    """Format a value for a message: short, on one line, URLs without password and query."""
    if value is None:
        return "an empty value"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return make_printable(_number_text(value))
    if isinstance(value, str):
        return repr(make_printable(strip_url_secrets(value), 60))
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, (list, tuple)) else "the value"


def _number_text(value: int | float) -> str:
    try:
        return repr(value)
    except ValueError:  # Python refuses to write integers of thousands of digits
        return "a number with thousands of digits"


def strip_url_secrets(text: str) -> str:
    """Remove the parts of a URL that can be secret: user, password, query and fragment."""
    if "://" not in text:
        return text
    scheme, _, rest = text.partition("://")
    plain = re.split(r"[?#]", rest, maxsplit=1)[0]
    return f"{scheme}://{plain.rpartition('@')[2]}"
