"""Finds whether the states in an audit entry are those of jobs that did not exist for a principal then. Pure.

Called by scheduler.queries.audit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scheduler.audit.trail import TAGS_OF_JOBS
from scheduler.identity.principal import Principal, written_tags


def has_hidden_state(principal: Principal, fields: Mapping[str, Any]) -> bool:
    """Return whether a job had other tags before or after the change: then it did not exist for the principal.

    Also if that is unknown: an entry without the tags of its jobs does not show how they differ.
    """
    states = [state for side in ("before", "after") if isinstance(state := fields.get(side), dict)]
    known = [written_tags(state["definition"]) for state in states if "definition" in state]
    for state in states:
        tags = state.get(TAGS_OF_JOBS)
        known += [each if isinstance(each, dict) else {} for each in tags] if isinstance(tags, list) else []
        if state.get("cut") or ("differences" in state and not isinstance(tags, list)):
            return True
    return any(not principal.sees(tags) for tags in known)
