"""What each channel sends for each kind of transition, as stored texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from jobs.incidents.values import TransitionKind
from jobs.notifications.channels.ntfy import ntfy_content
from jobs.notifications.channels.slack import slack_content
from jobs.notifications.channels.teams import teams_content
from jobs.notifications.message import Message
from jobs.notifications.templates.message_templates import message_values
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
    assert json.dumps(contents, indent=1, ensure_ascii=False) + "\n" == text_snapshot(name=kind)
