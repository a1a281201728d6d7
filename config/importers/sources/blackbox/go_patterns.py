"""Regular expressions of Go (RE2) in the dialect of job files. Called by the modules and by relabeling. Pure."""

from __future__ import annotations

import json
import re

_PIECE = re.compile(
    r"\\Q(?P<quoted>.*?)(?:\\E|$)|\\(?P<escape>.)"
    r"|\[(?P<group>\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]])*)\]|(?P<plain>.)",
    re.DOTALL,
)
_REPEATED_ANCHOR = re.compile(r"(\^|\$|\\b|\\B|\\A|\\z)([*+?])")


def translate_pattern(pattern: str, *, by_line: bool = False) -> str:
    """Return a pattern that matches what it matches in Go.

    `$` is the end of the text alone in Go. `by_line`: of a dialogue, whose lines are compared one by one.
    """
    end = r"\r?$" if by_line else r"\Z"
    is_multiline = re.match(r"\(\?[a-zA-Z]*m", pattern) is not None
    text = _REPEATED_ANCHOR.sub(lambda found: found[1] if found[2] == "+" else "", pattern)
    parts: list[str] = []
    for piece in _PIECE.finditer(text):
        if piece["quoted"] is not None:
            parts.append(re.escape(piece["quoted"]))
        elif piece["escape"] is not None:
            parts.append(end if piece["escape"] == "z" else f"\\{piece['escape']}")
        elif piece["group"] is not None:
            parts.append(f"[{piece['group']}]")
        elif piece["plain"] == "$" and not is_multiline:
            parts.append(end)
        else:
            parts.append(piece["plain"])
    written = "".join(parts).replace("(?U)", "")
    return f"(?m){written}" if by_line and ("^" in written or "$" in written) else written


def write_cel_text(text: str) -> str:
    """Return a text as a literal of CEL."""
    return json.dumps(text, ensure_ascii=False)


def expand_replacement(replacement: str) -> str:
    """Return Go's `$1` and `${name}` as Python's `\\g<1>` and `\\g<name>`."""

    def replace(found: re.Match[str]) -> str:
        return "$" if found[0] == "$$" else f"\\g<{found[1] or found[2]}>"

    return re.sub(r"\$\$|\$\{(\w+)\}|\$(\w+)", replace, replacement.replace("\\", "\\\\"))
