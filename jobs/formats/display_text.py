"""Control characters in displayed texts: refused in a job file, escaped in texts from targets and callers. Pure.

The models of jobs.definition and jobs.targets use `DisplayText` and `refuse_control_characters`. Pages, the command
line and messages call `escape_control_characters`.

A control character here is one that a terminal interprets or that changes the display order of a line: C0 except tab
and line breaks, DEL, C1, the separators U+2028 and U+2029, and the bidirectional embeddings, overrides and isolates.
Letters of every script are allowed, including right-to-left scripts with their marks (U+200E, U+200F, U+061C), and the
joiners of Persian, Indic scripts and emoji (U+200C, U+200D).
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]|\r(?!\n)")

_ORDER = re.compile(r"[\u202a-\u202e\u2066-\u2069]")
"""The characters that change the direction of text."""


def escape_control_characters(text: str) -> str:
    """Replace each control character with an escape such as `\\x1b`; tabs and line breaks stay."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def refuse_control_characters(text: str) -> str:
    """Return the text unchanged. Raises ValueError: it contains a control character."""
    found = _CONTROL.search(text)
    if found is None:
        return text
    kind = "changes the direction of text" if _ORDER.match(found[0]) else "is a control character"
    raise ValueError(
        f"contains U+{ord(found[0]):04X} at character {found.start() + 1}, which {kind}: remove it "
        "(letters of all scripts, tabs and line breaks are allowed)"
    )


def _refuse_controls_in_mapping(texts: dict[str, str]) -> dict[str, str]:
    for name, value in texts.items():
        for what, text in (("name", name), ("value", value)):
            try:
                refuse_control_characters(text)
            except ValueError as error:
                raise ValueError(f"the {what} of {name[:40]!r} {error}") from None
    return texts


DisplayText = Annotated[str, AfterValidator(refuse_control_characters)]
"""A displayed text as a field of a model."""

DisplayTexts = Annotated[dict[str, str], AfterValidator(_refuse_controls_in_mapping)]
"""Displayed texts by name, such as tags, as a field of a model."""
