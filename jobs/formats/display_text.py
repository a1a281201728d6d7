"""Texts that are shown to people: control characters are refused in a job, and escaped in what comes from elsewhere.

jobs.definition and jobs.targets check descriptions, tags and names with `DisplayText` and `refuse_control_characters`. The edges
(pages, the command line, messages) call `escape_control_characters` for texts that targets or callers have sent.

A control character here is one that a terminal obeys or that changes the order in which a line is read: C0 except tab
and line breaks, DEL, C1, the separators U+2028 and U+2029, and the bidirectional embeddings, overrides and isolates.
Letters of every script stay, also those written from right to left, with their marks (U+200E, U+200F, U+061C) and the
joiners of Persian, Indic scripts and emoji (U+200C, U+200D). Pure.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]|\r(?!\n)")

_ORDER = re.compile(r"[\u202a-\u202e\u2066-\u2069]")
"""The characters that change the direction of text."""


def escape_control_characters(text: str) -> str:
    """Return the text with each control character as an escape such as `\\x1b`; tabs and line breaks stay."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def refuse_control_characters(text: str) -> str:
    """Return the text. Raises ValueError: it contains a control character."""
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
"""A field of a text that people read."""

DisplayTexts = Annotated[dict[str, str], AfterValidator(_refuse_controls_in_mapping)]
"""A field of such texts by name, such as tags."""
