"""Regular expressions for rules about texts and tags. Used by standard, rules and extraction. Pure."""

from __future__ import annotations

import re

_SPECIAL = re.compile(r"([\\.^$*+?{}\[\]|()])")


def escape(text: str) -> str:
    """Return a pattern that matches the text."""
    return _SPECIAL.sub(r"\\\1", text).replace("\n", r"\n").replace("\r", r"\r").replace("\t", r"\t")


def with_flags(pattern: str, *, ignore_case: bool, dot_all: bool = False) -> str:
    flags = f"{'i' if ignore_case else ''}{'s' if dot_all else ''}"
    return f"(?{flags}){pattern}" if flags else pattern


def between(start: str, end: str, index: int) -> str:
    """Return a pattern whose group is the text between two others, of the index-th occurrence from 0."""
    first = f"(?:{start}.*?{end}.*?){{{index}}}" if index > 0 else ""
    return f"{first}{start}(.*?){end if end else '$'}"


def attribute_of_tag(tag: str, attribute: str, match_name: str = "", match_value: str = "") -> str:
    """Return a pattern whose group is an attribute of a tag, which has another attribute with a value before it."""
    condition = rf"""[^>]*\b{escape(match_name)}=["']{escape(match_value)}["']""" if match_name else ""
    return rf"""<{escape(tag)}\b{condition}[^>]*\b{escape(attribute)}=["']([^"']*)["']"""
