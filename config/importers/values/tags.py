"""Maps tags without and with values to those of jobs. Used by the sources. Pure."""

from __future__ import annotations

from collections.abc import Iterable


def split_tags(tags: Iterable[str]) -> dict[str, str]:
    """Return `env:prod` and `env=prod` as a name with a value; a tag without a value has the value `true`."""
    return join_tags(map(_split_tag, tags))


def _split_tag(tag: str) -> tuple[str, str]:
    separator = min((tag.find(sign) for sign in ":=" if tag.find(sign) > 0), default=-1)
    return (tag[:separator], tag[separator + 1 :]) if separator > 0 else (tag, "")


def join_tags(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return tags by name. Values of a name that occurs several times are joined by commas."""
    tags: dict[str, str] = {}
    for name, value in ((name.strip(), value.strip() or "true") for name, value in pairs):
        known = tags.get(name)
        if name:
            tags[name] = value if known is None or value in known.split(",") else f"{known},{value}"
    return tags
