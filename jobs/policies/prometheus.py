"""Tags of jobs as labels of Prometheus. Pure. Called by config.settings and scheduler.metrics."""

from __future__ import annotations

import re
from collections.abc import Iterable

_PREFIX = "tag_"
_NOT_IN_LABELS = re.compile(r"[^A-Za-z0-9_]")


def label_of_tag(tag: str) -> str:
    """Return the label of a tag: `tag_` and its name, with `_` for what a label cannot contain: cost-center is
    tag_cost_center."""
    return _PREFIX + _NOT_IN_LABELS.sub("_", tag)


def find_label_collision(tags: Iterable[str]) -> tuple[str, str] | None:
    """Return two tags that have the same label; None if each has its own."""
    found: dict[str, str] = {}
    for tag in tags:
        other = found.setdefault(label_of_tag(tag), tag)
        if other != tag:
            return other, tag
    return None
