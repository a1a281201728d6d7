"""The default texts of messages, and templates of users."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError
from syrupy.assertion import SnapshotAssertion

from jobs.incidents.values import AlertKey, Incident, Notification, Transition, TransitionKind
from jobs.model_base import FrozenModel
from jobs.notifications.port import Message, plain_text
from jobs.notifications.templates.definition import TemplatesSection
from jobs.notifications.templates.incident_message import (
    SAMPLE_DETAILS,
    MessageDetails,
    make_message,
    sample_message,
    sample_transition,
)


class _Section(FrozenModel):
    templates: TemplatesSection


def made(
    incident: Incident, transition: Transition, details: MessageDetails = SAMPLE_DETAILS, **templates: str
) -> Message:
    notification = Notification(incident.id, transition.number, transition.kind, "mail", transition.at)
    return make_message(incident, transition, notification, details, **templates)


@pytest.mark.parametrize(
    ("kind", "title"),
    [
        (TransitionKind.OPENED, "DOWN checkout since 03:01 (3 of 5 runs failed: status 503)"),
        (TransitionKind.RESOLVED, "RESOLVED checkout, was down 9 min"),
        (
            TransitionKind.RAISED,
            "DOWN checkout since 03:01, the severity rose (3 of 5 runs failed: status 503)",
        ),
        (TransitionKind.ACKNOWLEDGED, "ACKNOWLEDGED checkout by anna"),
        (TransitionKind.SNOOZED, "SNOOZED checkout until 06:00 by anna"),
        (TransitionKind.UNACKNOWLEDGED, "UNACKNOWLEDGED checkout by anna"),
        (TransitionKind.NOTE_ADDED, "NOTE checkout by anna: Failover started."),
        (TransitionKind.JOINED, "DOWN checkout and 1 more since 03:01: payments fails too"),
    ],
)
def test_a_title_says_what_since_when_and_why(kind: TransitionKind, title: str) -> None:
    assert sample_message(kind).title == title


def test_every_transition_has_a_message(text_snapshot: SnapshotAssertion) -> None:
    messages = [sample_message(kind) for kind in TransitionKind]
    assert "\n\n\n".join(f"{each.title}\n\n{plain_text(each)}" for each in messages) + "\n" == text_snapshot


def test_times_are_those_of_the_zone() -> None:
    details = replace(SAMPLE_DETAILS, zone=ZoneInfo("Europe/Berlin"))
    message = made(*sample_transition(TransitionKind.OPENED), details)
    assert message.title.startswith("DOWN checkout since 04:01")
    assert dict(message.facts)["Failing since"] == "2026-11-28 04:01:00 CET"


def test_another_day_is_named() -> None:
    incident, transition = sample_transition(TransitionKind.OPENED)
    message = made(incident, replace(transition, at=transition.at + timedelta(days=1)))
    assert "since 2026-11-28 03:01" in message.title


def test_a_resolution_that_replaces_messages_names_both_times_and_the_reason() -> None:
    message = made(*sample_transition(TransitionKind.RESOLVED), replace(SAMPLE_DETAILS, earlier="status 503"))
    assert message.title == "RESOLVED checkout, was down 03:01 to 03:10 (not delivered then: status 503)"


def test_500_subjects_are_counted_and_the_first_listed() -> None:
    incident, transition = sample_transition(TransitionKind.OPENED)
    (lead,) = incident.members
    others = tuple(replace(lead, key=AlertKey(f"job-{number:03}", "failed")) for number in range(499))
    message = made(replace(incident, members=(lead, *others)), transition)
    assert message.title.startswith("DOWN checkout and 499 more since 03:01")
    assert dict(message.facts)["Affected"].endswith("job-018 and 480 more")


def test_a_message_without_details_has_no_empty_lines() -> None:
    message = made(*sample_transition(TransitionKind.OPENED), MessageDetails())
    assert message.text == "3 of 5 runs failed."
    assert [label for label, _ in message.facts] == ["Failing since", "Down for"]


def test_a_line_break_in_a_target_s_text_stays_within_its_line() -> None:
    incident, transition = sample_transition(TransitionKind.OPENED)
    (lead,) = incident.members
    message = made(replace(incident, members=(replace(lead, evidence="a\r\nBcc: x\x1b"),)), transition)
    assert message.title.isprintable()


def test_templates_replace_title_and_text() -> None:
    message = made(
        *sample_transition(TransitionKind.OPENED),
        title_template="[{{ tags.team }}] {{ subject }} {{ severity }}",
        text_template="{{ text }}\nSince {{ since }}.",
    )
    assert message.title == "[payments] checkout down"
    assert message.text.endswith("Since 03:01.")


@pytest.mark.parametrize(
    ("template", "problem"),
    [("{{ subjekt }}", "did you mean subject?"), ("{{ title", "line 1")],
)
def test_a_template_is_checked_with_the_sample(template: str, problem: str) -> None:
    with pytest.raises(ValidationError) as error:
        _Section.model_validate({"templates": {"title": template}})
    assert problem in str(error.value)


def test_a_template_for_some_transitions_is_rendered_for_all() -> None:
    _Section.model_validate({"templates": {"text": "{% if is_resolution %}over{% else %}{{ evidence }}{% endif %}"}})


def test_a_tag_that_a_job_does_not_have_is_empty() -> None:
    template = "{{ subject }}{% if tags.region is defined %} in {{ tags.region }}{% endif %}{{ tags.region }}"
    assert TemplatesSection(title=template).title == template
    assert made(*sample_transition(TransitionKind.OPENED), title_template=template).title == "checkout"


def test_an_incident_that_does_not_count_as_downtime_was_failing() -> None:
    incident, transition = sample_transition(TransitionKind.RESOLVED)
    message = made(incident, transition, replace(SAMPLE_DETAILS, is_downtime=False))
    assert message.title == "RESOLVED checkout, was failing 9 min"
    assert dict(message.facts)["Was failing for"] == "9 min"
    degraded = replace(incident, members=tuple(replace(each, severity="degraded") for each in incident.members))
    assert ", was degraded 9 min" in made(degraded, transition, replace(SAMPLE_DETAILS, is_downtime=False)).title
