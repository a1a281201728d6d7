"""Messages about places for health: how long none is free, which jobs hold them, which runs wait for a share. Pure.

Called by scheduler.watchdog.rules.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from scheduler.worker.places import JobPlaces, PlacesReport

PLACES_FULL_AFTER_S = 10.0
"""Seconds without a free place after which the queue is degraded."""
_MAX_NAMED_HOLDERS = 3
"""Jobs and hosts that a message names."""


def describe_full_places(places: PlacesReport | None) -> str:
    """Return the problem without a full stop; empty if a place was free."""
    if places is None or places.full_s < PLACES_FULL_AFTER_S:
        return ""
    waiting = f", {places.waiting} runs wait" if places.waiting else ""
    return (
        f"none of {places.total} places was free for {places.full_s:.0f} s{waiting}: "
        f"{', '.join(_describe_holders(places))}; "
        "lower the timeout of these jobs, or raise the setting concurrency"
    )


def describe_full_shares(places: PlacesReport | None) -> str:
    """Return the jobs and hosts whose runs wait although places are free; empty without such runs."""
    if places is None or not places.held_back:
        return ""
    named = [f"{name} ({number} wait)" for name, number in places.held_back[:_MAX_NAMED_HOLDERS]]
    return f"their share of places (settings shares.job, shares.host) is used up by {', '.join(named)}"


def _describe_holders(places: PlacesReport) -> Iterator[str]:
    """Yield the jobs with the most places, then hosts with several jobs."""
    named = [holder for holder in places.holders if holder.places > 1][:_MAX_NAMED_HOLDERS]
    for holder in named or places.holders[:_MAX_NAMED_HOLDERS]:
        yield f"job {holder.job} holds {_describe_count(holder)} at {holder.host} for {holder.held_s:.0f} s"
    hosts = Counter[str]()
    for holder in places.holders:
        hosts[holder.host] += holder.places
    for host, number in hosts.most_common(_MAX_NAMED_HOLDERS):
        jobs = sum(holder.host == host for holder in places.holders)
        if jobs > 1:
            yield f"{jobs} jobs at {host} hold {number}"


def _describe_count(holder: JobPlaces) -> str:
    return f"{holder.places} of them" if holder.places > 1 else "one of them"
