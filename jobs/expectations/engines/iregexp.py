"""I-Regexp (RFC 9485), the regular expressions of JSONPath: checks its grammar and translates it for `regex`. Pure.

Called by jsonpath.py, at load for literal patterns of a query, and at run time for patterns from a document.
"""

from __future__ import annotations

import re

_ESCAPED = r"\\[()*+.?\[\\\]^nrt{|}-]"
_CATEGORY = r"\\[pP]\{(?:L[lmotu]?|M[cen]?|N[dlo]?|P[c-fios]?|Z[lps]?|S[ckmo]?|C[cfno]?)\}"
_IN_CLASS = rf"(?:[^\[\\\]\-\ud800-\udfff]|{_ESCAPED})"
_MEMBER = rf"(?:{_IN_CLASS}(?:-{_IN_CLASS})?|{_CATEGORY})"

_TOKEN = re.compile(
    rf"""
      (?P<atom>    [^()*+.?\[\\\]{{|}}\ud800-\udfff] | {_ESCAPED} | {_CATEGORY})
    | (?P<dot>     \.)
    | (?P<set>     \[(?!\^\])\^?(?:-|{_MEMBER}){_MEMBER}*-?\])
    | (?P<count>   [*+?] | \{{[0-9]+(?:,[0-9]*)?\}})
    | (?P<open>    \()
    | (?P<close>   \))
    | (?P<branch>  \|)
    """,
    re.VERBOSE | re.DOTALL,
)

_REPLACEMENTS = {
    "\\d": "write [0-9]",
    "\\w": "write [A-Za-z0-9_]",
    "\\s": r"write [ \t\n\r]",
    "\\D": "write [^0-9]",
    "\\W": "write [^A-Za-z0-9_]",
    "\\S": r"write [^ \t\n\r]",
    "\\b": "word boundaries are not supported",
    "(?": "write a group as (...)",
}


class InvalidIRegexp(ValueError):
    """The pattern is not an I-Regexp; the message shows the invalid part and the replacement."""


def translate_iregexp(pattern: str) -> str:
    """Translate an I-Regexp to an equivalent pattern of `regex` (VERSION1). Raises InvalidIRegexp."""
    parts: list[str] = []
    at = depth = 0
    may_repeat = False
    while at < len(pattern):
        found = _TOKEN.match(pattern, at)
        if found is None:
            raise _invalid_part(pattern, at)
        kind, text = found.lastgroup, found[0]
        depth += {"open": 1, "close": -1}.get(str(kind), 0)
        if depth < 0 or (kind == "count" and not may_repeat):
            raise _invalid_part(pattern, at)
        may_repeat = kind in ("atom", "dot", "set", "close")
        parts.append(_translate_token(str(kind), text))
        at = found.end()
    if depth:
        raise InvalidIRegexp("a group is not closed: add )")
    return "".join(parts)


def _translate_token(kind: str, text: str) -> str:
    if kind == "dot":
        return r"[^\n\r]"
    # Two of these characters in a set are an operator of `regex`: [a&&b] is an intersection.
    return re.sub(r"(?<!\\)[&|~]", r"\\\g<0>", text) if kind == "set" else text


def _invalid_part(pattern: str, at: int) -> InvalidIRegexp:
    two = pattern[at : at + 2] if pattern[at] != "?" or at == 0 else pattern[at - 1 : at + 1]
    shown = two if two in _REPLACEMENTS or two.startswith("\\") else pattern[at]
    hint = _REPLACEMENTS.get(two)
    if shown == "[":
        hint = r"in a set, escape [ ] \ and - with a backslash; \d, \w and \s are not supported"
    elif hint is None:
        hint = f"write \\{shown} for the character itself" if shown in "(){}]*+?" else "RFC 9485 does not support it"
    return InvalidIRegexp(f"{shown!r} at character {at + 1} is not valid there: {hint}")
