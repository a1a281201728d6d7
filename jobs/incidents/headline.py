"""What people read of an incident first: the member that leads it, and how many others there are by severity. Pure.

    DOWN checkout and 6 more on api.example.com since 19:55 (status 503); certificate-partner degraded for 5 d

Used by messages, pages and commands, so that all of them name the same member: Incident.leading.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from jobs.fast_frozen import fast_frozen
from jobs.formats import describe_span
from jobs.incidents.engine.facts import SCHEDULER
from jobs.incidents.values import Incident, Member, SharedCause, Transition
from jobs.problems import make_printable

_MAX_SUBJECT = 120
_MAX_CAUSE = 80
_MAX_FINE = 400
_CAUSES = {
    "host": "on",
    "parent": "behind",
    "circuit": "with the circuit",
    "certificate": "with the certificate",
    "nameserver": "with the name server",
    "zone": "in the zone",
    "address": "at the address",
    "resource": "of the Azure resource",
}
"""Words before a cause that titles name; others are long, and among the facts of a message."""
_USERS_OF_THE_NETWORK = " that connect to something"
"""Those that share an error of the way."""


@fast_frozen(frozen=True, slots=True)
class SeverityCount:
    """The subjects of one severity, each counted once with its worst alert. `first`: that which leads them."""

    severity: str
    first: Member
    subjects: tuple[str, ...]


def sort_members(incident: Incident) -> list[Member]:
    """Return the members worst first: those that are shown, then those that have recovered before."""
    shown = incident.shown_members
    ids = {(each.key, each.fired) for each in shown}
    earlier = [each for each in incident.members if (each.key, each.fired) not in ids]
    return [*shown, *sorted(earlier, key=incident.position_of)]


def list_subjects(incident: Incident) -> list[str]:
    """Return the subjects of all members, the leading one first, each once."""
    return list(dict.fromkeys(each.key.subject for each in sort_members(incident)))


def count_severities(incident: Incident) -> list[SeverityCount]:
    """Return the severities of the members that are shown: that of the leading one, then the others, worst first."""
    of_subject: dict[str, Member] = {}
    for member in incident.shown_members:
        of_subject.setdefault(member.key.subject, member)
    members_by_severity: dict[str, list[Member]] = {}
    for member in of_subject.values():
        members_by_severity.setdefault(member.severity, []).append(member)
    first, *others = (
        SeverityCount(severity, min(members, key=_begin_of), tuple(each.key.subject for each in members))
        for severity, members in members_by_severity.items()
    )
    return [first, *sorted(others, key=lambda each: -each.first.rank)]


def list_shown_subjects(incident: Incident) -> list[str]:
    return list(dict.fromkeys(each.key.subject for each in incident.shown_members))


def list_joined_subjects(incident: Incident, transition: Transition, first: int) -> list[str]:
    """Return the subjects that a message about alerts that joined names: those that still fail and do not lead.

    `first`: the number of the transition of the first one; 0: the message is about one.
    """
    one = incident.find(transition.key) if transition.key is not None else None
    found = incident.list_joined(first, transition.number) if first else [] if one is None else [one]
    subjects = dict.fromkeys(each.key.subject for each in found if each.resolved_at is None)
    return [each for each in subjects if each != incident.leading.key.subject]


def name_several(names: Sequence[str], most: int) -> str:
    """Format as `a`, `a and b`, or `a, b and 3 more` if there are more than `most`."""
    shown, rest = names[:most], len(names) - most
    last = f"{rest} more" if rest > 0 else ""
    *others, end = [*shown, last] if last else shown
    return f"{', '.join(others)} and {end}" if others else end


def name_subjects(incident: Incident) -> str:
    """Return the leading subject, how many others there are, and what they share: `router and 6 more on example.com`.

    Of an open incident the others are those of the same severity: describe_others is about the rest.
    """
    named = count_severities(incident)[0].subjects if incident.is_open else list_shown_subjects(incident)
    lead = make_printable(incident.leading.key.subject, _MAX_SUBJECT)
    return f"{lead} and {len(named) - 1} more{describe_cause(incident)}" if len(named) > 1 else lead


def describe_others(incident: Incident, now: datetime) -> str:
    """Return the other severities of an open incident: `certificate-partner degraded for 5 d, 2 info for 3 h`."""
    texts = []
    for count in count_severities(incident)[1:]:
        if count.first.parent == SCHEDULER:
            continue  # it does not describe its target
        name = make_printable(count.subjects[0], _MAX_SUBJECT) if len(count.subjects) == 1 else ""
        length = describe_span(max(round((now - count.first.failing_since).total_seconds()), 0))
        texts.append(f"{name or len(count.subjects)} {count.severity} for {length}")
    return ", ".join(texts)


def count_by_severity(incident: Incident) -> str:
    """Return `7 down, 2 degraded`; empty if all subjects have one severity."""
    counts = count_severities(incident)
    return ", ".join(f"{len(each.subjects)} {each.severity}" for each in counts) if len(counts) > 1 else ""


def describe_cause(incident: Incident) -> str:
    """Return what several subjects share in words of a title, ` on api.example.com`; empty if titles do not name it."""
    return "" if len(list_shown_subjects(incident)) == 1 else _describe_name(incident.cause)


def _describe_name(cause: str) -> str:
    kind, _, name = cause.partition(" ")
    return f" {_CAUSES[kind]} {make_printable(name, _MAX_CAUSE)}" if kind in _CAUSES and name else ""


def describe_shared(shared: SharedCause) -> str:
    """Return the counter-evidence: `96 of 100 jobs on api.example.com fail, fine: a, b, c`."""
    where = _describe_name(shared.cause) or _USERS_OF_THE_NETWORK
    verb = "fails" if shared.failing == 1 else "fail"
    unknown = shared.sharing - shared.failing - shared.fine
    more = f", {unknown} not checked since" if unknown > 0 else ""
    shown = list(shared.fine_jobs)
    names = ", ".join(shown) + (f" and {shared.fine - len(shown)} more" if shared.fine > len(shown) else "")
    fine = f", fine: {make_printable(names, _MAX_FINE)}" if shown else ""
    return f"{shared.failing} of {shared.sharing} jobs{where} {verb}{more}{fine}"


def find_keeping_open(incident: Incident) -> Member | None:
    """Return the leading member if only further rules of jobs keep the incident open whose first alert has ended."""
    begin = incident.reopened_at or incident.opened_at
    ended = {
        each.key.subject for each in incident.members if each.resolved_at is not None and each.resolved_at >= begin
    }
    subjects = {each.key.subject for each in incident.open_members}
    return incident.leading if incident.is_open and subjects and subjects <= ended else None


def list_still_failing(incident: Incident) -> Sequence[Member]:
    """Return the members that failed when a person resolved the incident."""
    if not incident.resolved_by:
        return ()
    return [each for each in incident.members if each.resolved_at == incident.resolved_at]


def explains_others(incident: Incident, member: Member) -> bool:
    """Return whether a member is the declared parent of others."""
    return any(each.parent == member.key.subject for each in incident.members)


def _begin_of(member: Member) -> datetime:
    return member.failing_since
