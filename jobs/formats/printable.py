"""Texts of targets and other people as lines of a terminal, of Markdown and of reports. Pure."""

from __future__ import annotations


def escape_controls(text: str) -> str:
    """The text on one line. What a terminal would act upon is escaped: targets have a say in some texts."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)
