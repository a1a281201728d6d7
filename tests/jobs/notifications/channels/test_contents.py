"""What each channel sends for each kind of transition, as stored texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from jobs.incidents.values import TransitionKind
from jobs.notifications.channels.mail import compose_mail
from jobs.notifications.channels.ntfy import ntfy_content
from jobs.notifications.channels.slack import slack_content
from jobs.notifications.channels.teams import teams_content
from jobs.notifications.port import Message
from jobs.notifications.templates.definition import message_values
from tests.parts.notifications import make_channel, message

CONTENTS: dict[str, Callable[[Message], Any]] = {
    "slack": slack_content,
    "teams": teams_content,
    "ntfy": lambda one: ntfy_content(make_channel(kind="ntfy", topic="alerts"), one),
    "webhook": message_values,
}


@pytest.mark.parametrize("kind", CONTENTS)
def test_the_content_of_every_transition(kind: str, text_snapshot: SnapshotAssertion) -> None:
    contents = {each.value: CONTENTS[kind](message(each)) for each in TransitionKind}
    assert json.dumps(contents, indent=1, ensure_ascii=False) + "\n" == text_snapshot


def test_the_mail_of_every_transition(text_snapshot: SnapshotAssertion) -> None:
    mails = []
    for each in TransitionKind:
        mail = compose_mail(message(each), "Scheduler <scheduler@example.com>", ["team@example.com"], message(each).at)
        parts = [mail.get_body((kind,)) for kind in ("plain", "html")]
        headers = "".join(f"{name}: {value}\n" for name, value in mail.items() if name != "Content-Type")
        mails.append(headers + "".join(f"\n{part.get_content()}" for part in parts if part is not None))
    assert "\n".join(mails).replace("\r\n", "\n") == text_snapshot
