"""Makes the message of a transition for one channel: default title, text and facts, or those of the user's templates.

The delivery calls `make_message` and hands the result to a sender.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from datetime import UTC, datetime, timedelta, tzinfo

from jobs.fast_frozen import fast_frozen
from jobs.formats import format_iso_instant
from jobs.incidents.headline import (
    count_by_severity,
    describe_shared,
    find_keeping_open,
    list_joined_subjects,
    list_still_failing,
    list_subjects,
    name_several,
)
from jobs.incidents.values import AlertKey, Incident, IncidentStatus, Member, Notification, Transition, TransitionKind
from jobs.notifications.port import Message
from jobs.notifications.templates.sandbox import TagValues, render_template
from jobs.notifications.templates.titles import UNKNOWN, describe_length, format_clock, make_title
from jobs.problems import make_printable


@fast_frozen(frozen=True, slots=True)
class MessageDetails:
    """All optional, without secrets, each of one line. `expected` and `observed`: of the failed run that explains most.

    `changes`: what changed since the last good run, such as `the job file`. `missing`: entries that the job has not
    reported any more since it fails, such as `orders (was down), mail`. `also_notified`: other channels or persons.
    `zone`: of the times that the message contains. `earlier`: why earlier messages of the incident were not delivered,
    such as `status 503`; this message replaces them. `held_back`: until when and by what the message was held back,
    such as `until 06:00 by the window patching`. `is_downtime`: whether the time of the incident is downtime.
    `is_unknown`: whether the leading alert reports that its target cannot be checked. `unconfirmed`: why the newest run
    cannot confirm any other alert.
    `target`: as its definition names it, without secrets; `description`: of the job; `answer`: how the answer of that
    run began, a text of the target. `expected`, `observed` and `answer` are empty in a resolution. `covers`: the
    transitions that one message is about, in order; empty: its own alone.
    """

    target: str = ""
    description: str = ""
    expected: str = ""
    observed: str = ""
    answer: str = ""
    last_good_at: datetime | None = None
    changes: tuple[str, ...] = ()
    missing: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    runbook: str = ""
    link: str = ""
    also_notified: tuple[str, ...] = ()
    zone: tzinfo = UTC
    earlier: str = ""
    held_back: str = ""
    is_downtime: bool = True
    is_unknown: bool = False
    unconfirmed: str = ""
    covers: tuple[TransitionKind, ...] = ()


_MAX_LISTED_SUBJECTS = 20
_MAX_TITLE = 300
_MAX_FACT = 1000


def make_message(
    incident: Incident,
    transition: Transition,
    notification: Notification,
    details: MessageDetails,
    *,
    title_template: str | None = None,
    text_template: str | None = None,
) -> Message:
    """Return the message about a transition.

    `incident`: its state after the transition. Templates can use the names of `incident_values`. Raises
    TemplateProblem if one cannot be rendered; without templates the message can always be made.
    """
    zone, first, state = details.zone, notification.first, _describe_state(incident, details)
    shown = replace(transition, at=_sent_at(transition, notification))
    title = make_title(incident, shown, notification.kind, zone, details.earlier, state=state, first=first)
    text = _make_text(incident, transition, details, first)
    values = incident_values(incident, transition, notification, details, title=title, text=text)
    if title_template is not None:
        title = _render_title(title_template, values) or title
    if text_template is not None:
        text = render_template(text_template, values).strip()
    return Message(
        incident=incident.id,
        number=notification.number,
        kind=notification.kind,
        severity=incident.severity,
        title=title,
        text=text,
        at=transition.at,
        dedup_key=notification.dedup_key,
        incident_key=incident.id,
        subject=incident.leading.key.subject,
        target=details.target,
        description=details.description,
        expected=details.expected,
        observed=details.observed,
        answer=details.answer,
        facts=tuple(_facts(incident, shown, details)),
        link=details.link,
        runbook=details.runbook,
        tags=details.tags,
        covers=_list_covered(notification, details),
    )


def _render_title(template: str, values: dict[str, object]) -> str:
    return make_printable(" ".join(render_template(template, values).split()), _MAX_TITLE)


def incident_values(
    incident: Incident,
    transition: Transition,
    notification: Notification,
    details: MessageDetails,
    *,
    title: str,
    text: str,
) -> dict[str, object]:
    """Return what the templates `title` and `text` can use. Unknown values are empty texts."""
    now = _sent_at(transition, notification)
    return {
        "title": title,
        "text": text,
        "incident": incident.id,
        "number": notification.number,
        "channel": notification.channel,
        "transition": notification.kind.value,
        "covers": [kind.value for kind in _list_covered(notification, details)],
        "severity": incident.severity,
        "is_resolution": notification.kind is TransitionKind.RESOLVED,
        "subject": incident.leading.key.subject,
        "subjects": list_subjects(incident),
        "cause": incident.cause,
        "since": format_clock(incident.failing_since, now, details.zone),
        "since_at": format_iso_instant(incident.failing_since),
        "at": format_iso_instant(transition.at),
        "downtime": describe_length(incident, now),
        "evidence": incident.leading.evidence,
        "target": details.target,
        "description": details.description,
        "expected": details.expected,
        "observed": details.observed,
        "answer": details.answer,
        "last_good": format_iso_instant(details.last_good_at) if details.last_good_at is not None else "",
        "changes": list(details.changes),
        "note": transition.text,
        "actor": transition.actor,
        "tags": TagValues(details.tags),
        "link": details.link,
        "runbook": details.runbook,
        "also_notified": list(details.also_notified),
        "held_back": details.held_back,
    }


def _list_covered(notification: Notification, details: MessageDetails) -> tuple[TransitionKind, ...]:
    return details.covers or (notification.kind,)


def _sent_at(transition: Transition, notification: Notification) -> datetime:
    """Return until when the times of a message count: an opening that was held back is later than its transition."""
    return max(transition.at, notification.due_at)


def _make_text(incident: Incident, transition: Transition, details: MessageDetails, first: int) -> str:
    """Return what happened in sentences: the transition, then what was expected and observed."""
    lines = [transition.text, _describe_joined(incident, transition, first), *_list_notes(incident, transition)]
    if transition.kind is not TransitionKind.RESOLVED:
        lines += [f"Expected: {details.expected}" if details.expected else ""]
        lines += [f"Observed: {details.observed}" if details.observed else ""]
        lines += [f'The target answered: "{details.answer}"' if details.answer else ""]
    if (
        TransitionKind.FLAPPING in details.covers
        and transition.kind is not TransitionKind.FLAPPING
        and incident.is_open
    ):
        lines.append("It is flapping: no further messages until it is stable.")
    if details.unconfirmed:
        lines.append(f"This cannot be confirmed now, because the newest run is unknown: {details.unconfirmed}")
    if details.is_unknown and transition.kind is not TransitionKind.RESOLVED:
        lines.append("Whether the target is up or down is unknown until it can be checked again.")
    if details.held_back:
        lines.append(f"This message was held back {details.held_back}.")
    if details.earlier:
        lines.append(f"Earlier messages about this incident were not delivered: {details.earlier}.")
    return "\n".join(line for line in lines if line)


def _describe_state(incident: Incident, details: MessageDetails) -> str:
    """Return the severity; `unknown`, or `failing` in place of `down` if the time does not count as downtime."""
    if details.is_unknown:
        return UNKNOWN
    return "failing" if incident.severity == "down" and not details.is_downtime else incident.severity


def _facts(incident: Incident, transition: Transition, details: MessageDetails) -> Iterator[tuple[str, str]]:
    state = _describe_state(incident, details)
    length = describe_length(incident, transition.at)
    facts = {
        "Target": details.target,
        "Job description": details.description,
        "Unknown since" if details.is_unknown else "Failing since": _format_exact(incident, details),
        f"{state.capitalize()} for" if incident.is_open else f"Was {state} for": length,
        "Likely cause": incident.cause,
        "Shared with": "; ".join(map(describe_shared, incident.shared)) if incident.is_open else "",
        "Affected": _list_subjects(incident),
        "Last good run": _format_last_good(details),
        "Changed since then": "; ".join(details.changes),
        "No longer reported": details.missing,
        "Acknowledged by": incident.acknowledged_by,
        "Tags": ", ".join(f"{name}={value}" for name, value in sorted(details.tags.items())),
        "Also notified": ", ".join(details.also_notified),
    }
    for label, value in facts.items():
        if value:
            yield label, make_printable(value, _MAX_FACT)


def _format_exact(incident: Incident, details: MessageDetails) -> str:
    return f"{incident.failing_since.astimezone(details.zone):%Y-%m-%d %H:%M:%S %Z}"


def _format_last_good(details: MessageDetails) -> str:
    if details.last_good_at is None:
        return ""
    return f"{details.last_good_at.astimezone(details.zone):%Y-%m-%d %H:%M:%S %Z}"


def _describe_joined(incident: Incident, transition: Transition, first: int) -> str:
    """Return what joined shortly before the alert of the transition, and is in the same message; empty without any."""
    own = transition.key.subject if transition.key is not None else ""
    others = [each for each in list_joined_subjects(incident, transition, first) if each != own] if first else []
    if not others:
        return ""
    return f"{make_printable(name_several(others, _MAX_LISTED_SUBJECTS), _MAX_FACT)} joined shortly before."


def _list_notes(incident: Incident, transition: Transition) -> Iterator[str]:
    """Yield what the transition does not say: which rule keeps the incident open, and what a person left failing."""
    if (member := find_keeping_open(incident)) is not None:
        evidence = f": {make_printable(member.evidence, _MAX_FACT)}" if member.evidence else ""
        rule = make_printable(f"{member.key.rule} of {member.key.subject}", 200)
        yield f"Only the rule {rule} keeps the incident open{evidence}"
    if transition.kind is TransitionKind.RESOLVED and list_still_failing(incident):
        yield "What still fails opens an incident again only when it has recovered and fires anew."


def _list_subjects(incident: Incident) -> str:
    """Return the affected subjects, the leading one first, and how many have which severity; empty for a single one."""
    subjects = list_subjects(incident)
    if len(subjects) == 1:
        return ""
    more = f" and {len(subjects) - _MAX_LISTED_SUBJECTS} more" if len(subjects) > _MAX_LISTED_SUBJECTS else ""
    counts = count_by_severity(incident)
    return ", ".join(subjects[:_MAX_LISTED_SUBJECTS]) + more + (f" ({counts})" if counts else "")


_SINCE = datetime(2026, 11, 28, 3, 1, tzinfo=UTC)
_KEY = AlertKey("checkout", "failed")
_PAYMENTS = AlertKey("payments", "failed")

SAMPLE_DETAILS = MessageDetails(
    target="GET https://checkout.example.com/health",
    description="Health of the checkout",
    expected="status 200",
    observed="503",
    answer="Service Unavailable: no healthy upstream",
    last_good_at=_SINCE - timedelta(minutes=1),
    changes=("the job file (checkout.yaml)",),
    tags={"team": "payments", "stage": "prod"},
    runbook="https://wiki.example.com/checkout",
    link="https://scheduler.example.com/incidents/mih3k8v1-5f0c2a9e",
    also_notified=("mail",),
)

_TEXTS = {
    TransitionKind.OPENED: (2, "3 of 5 runs failed."),
    TransitionKind.JOINED: (3, "payments fails too: it has the same host, api.example.com."),
    TransitionKind.RAISED: (4, "The severity rose from degraded to down."),
    TransitionKind.FLAPPING: (40, "It was opened and resolved 6 times within 1 h."),
    TransitionKind.ACKNOWLEDGED: (5, "Acknowledged by anna."),
    TransitionKind.SNOOZED: (6, "Snoozed by anna until 06:00."),
    TransitionKind.UNACKNOWLEDGED: (6, "The acknowledgement by anna was withdrawn by anna."),
    TransitionKind.NOTE_ADDED: (7, "Failover started."),
    TransitionKind.LEFT: (8, "payments still fails and is a separate incident now."),
    TransitionKind.REMINDED: (62, "Still open."),
    TransitionKind.ESCALATED: (30, "Not acknowledged within 30 min."),
    TransitionKind.RESOLVED: (9, "2 runs succeeded."),
    TransitionKind.REOPENED: (12, "Failed again within 10 min."),
}
"""The minutes after the first failure, and the text of the transition."""

_BY_PERSONS = frozenset(
    {
        TransitionKind.ACKNOWLEDGED,
        TransitionKind.SNOOZED,
        TransitionKind.UNACKNOWLEDGED,
        TransitionKind.NOTE_ADDED,
    }
)


def sample_transition(kind: TransitionKind, number: int = 1) -> tuple[Incident, Transition]:
    """Return the sample incident after a transition of this kind."""
    minutes, text = _TEXTS[kind]
    at = _SINCE + timedelta(minutes=minutes)
    evidence = "3 of 5 runs failed: status 503"
    members = [Member(_KEY, 1, "down", 20, _SINCE + timedelta(minutes=2), _SINCE, evidence)]
    if kind is TransitionKind.JOINED:
        members.append(replace(members[0], key=_PAYMENTS, failing_since=_SINCE + timedelta(minutes=1)))
    incident = Incident("mih3k8v1-5f0c2a9e", number, IncidentStatus.OPEN, members[0].fired_at, tuple(members), _KEY)
    if kind is TransitionKind.RESOLVED:
        ended = replace(members[0], resolved_at=at)
        incident = replace(incident, status=IncidentStatus.RESOLVED, resolved_at=at, members=(ended,))
    if kind is TransitionKind.ACKNOWLEDGED:
        incident = replace(incident, acknowledged_by="anna", acknowledged_at=at)
    if kind is TransitionKind.SNOOZED:
        incident = replace(incident, snoozed_until=datetime(2026, 11, 28, 6, tzinfo=UTC))
    key = _PAYMENTS if kind in (TransitionKind.JOINED, TransitionKind.LEFT) else None
    actor = "anna" if kind in _BY_PERSONS else ""
    return incident, Transition(incident.id, number, kind, at, text, actor, key)


def sample_message(kind: TransitionKind = TransitionKind.OPENED, number: int = 1, channel: str = "sample") -> Message:
    """Return the message of a transition with the default templates."""
    incident, transition = sample_transition(kind, number)
    notification = Notification(incident.id, number, kind, channel, transition.at)
    is_over = kind is TransitionKind.RESOLVED
    details = replace(SAMPLE_DETAILS, expected="", observed="", answer="") if is_over else SAMPLE_DETAILS
    return make_message(incident, transition, notification, details)


SAMPLE_MESSAGE = sample_message()
