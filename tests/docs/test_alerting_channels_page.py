"""docs/alerting-channels.md and docs/alerting-services.md: each channel has a section with an example that is valid."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from jobs.incidents.values import Notification, TransitionKind
from jobs.notifications.channels import CHANNELS_BY_KIND
from jobs.notifications.templates.definition import TemplatesSection, message_values
from jobs.notifications.templates.incident_message import (
    SAMPLE_DETAILS,
    SAMPLE_MESSAGE,
    incident_values,
    sample_message,
    sample_transition,
)
from jobs.notifications.templates.sandbox import FILTERS
from tests.docs.pages import TEXTS, code
from tests.parts.notifications import make_channel

CHANNELS_PAGE, SERVICES_PAGE = TEXTS["docs/alerting-channels.md"], TEXTS["docs/alerting-services.md"]


def examples(page: str) -> list[Any]:
    blocks = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    return [yaml.safe_load(block if block.startswith("alerting:") else f"alerting:\n  channels:\n{block}")
            for block in blocks]  # fmt: skip


CHANNEL_EXAMPLES = [
    channel
    for page in (CHANNELS_PAGE, SERVICES_PAGE)
    for example in examples(page)
    for channel in example["alerting"].get("channels", {}).values()
]


@pytest.mark.parametrize("channel", CHANNEL_EXAMPLES, ids=lambda channel: channel["kind"])
def test_an_example_is_valid(channel: dict[str, Any]) -> None:
    assert make_channel(**channel).kind == channel["kind"]


@pytest.mark.parametrize("kind", CHANNELS_BY_KIND)
def test_a_channel_has_a_section_and_an_example(kind: str) -> None:
    assert re.search(rf"^## {kind}$", CHANNELS_PAGE + SERVICES_PAGE, re.MULTILINE)
    assert kind in {channel["kind"] for channel in CHANNEL_EXAMPLES}


def test_the_example_of_templates_is_valid() -> None:
    (templates,) = [found for each in examples(CHANNELS_PAGE) if (found := each["alerting"].get("templates"))]
    for section in templates.values():
        TemplatesSection.model_validate(section)


def test_the_names_and_filters_of_templates_are_documented() -> None:
    incident, transition = sample_transition(TransitionKind.OPENED)
    notification = Notification(incident.id, 1, transition.kind, "mail", transition.at)
    names = incident_values(incident, transition, notification, SAMPLE_DETAILS, title="", text="").keys()
    assert {*names, *message_values(SAMPLE_MESSAGE), *FILTERS} <= set(code(CHANNELS_PAGE))


@pytest.mark.parametrize("kind", ["opened", "reminded", "joined", "acknowledged", "resolved"])
def test_a_documented_title_is_the_default(kind: str) -> None:
    assert f"| {kind} | `{sample_message(TransitionKind(kind)).title}` |" in CHANNELS_PAGE
