"""What each channel sends of a hostile answer of the target: it stays a text."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from jobs.incidents.values import Notification, TransitionKind
from jobs.notifications.channels.azure_action_group import build_common_alert
from jobs.notifications.channels.mail import compose_mail
from jobs.notifications.port import Message
from jobs.notifications.templates.incident_message import SAMPLE_DETAILS, make_message, sample_transition
from jobs.runs.answer_text import format_answer
from tests.parts.notifications import NotificationService, make_channel, resources

HOSTILE = (
    '"<!here> <@U1> @here [click](https://evil.example) ![x](//evil) <img src=x onerror=alert(1)> '
    "&lt;b&gt; {{ severity }} \x1b[31mred\r\nBcc: all@example.com \u202eoff\0"
)
KEY = {"secret": "key"}
CHANNELS: dict[str, dict[str, Any]] = {
    "slack": {"url": {"secret": "url"}},
    "teams": {"url": {"secret": "url"}},
    "ntfy": {"topic": "alerts", "server": "URL"},
    "webhook": {"url": {"secret": "url"}},
    "apprise": {"url": {"secret": "json"}},
    "pagerduty": {"routing_key": KEY, "url": "URL"},
    "opsgenie": {"api_key": KEY, "url": "URL"},
    "datadog_event": {"api_key": KEY, "url": "URL"},
    "alertmanager": {"url": "URL"},
}
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


def hostile_message(answer: str = HOSTILE) -> Message:
    incident, transition = sample_transition(TransitionKind.OPENED)
    details = replace(SAMPLE_DETAILS, answer=format_answer(answer))
    notification = Notification(incident.id, 1, transition.kind, "sample", transition.at)
    return make_message(incident, transition, notification, details)


async def send(kind: str) -> str:
    """Return the bodies of the requests as JSON texts with all characters as they are."""
    async with NotificationService() as service:
        secrets = {"url": service.url, "key": "k3y-of-the-service", "json": service.url.replace("http", "json")}
        fields = {name: service.url if value == "URL" else value for name, value in CHANNELS[kind].items()}
        async with resources(secrets) as shared:
            await make_channel(kind=kind, **fields).create_sender(shared).send(hostile_message(), None)
    return "".join(json.dumps(request.json(), ensure_ascii=False) for request in service.requests)


def texts_in(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for each in value.values() for text in texts_in(each)]
    return [text for each in value for text in texts_in(each)] if isinstance(value, list) else [str(value)]


@pytest.mark.parametrize("kind", CHANNELS)
async def test_every_channel_names_the_target_and_marks_its_answer(kind: str) -> None:
    sent = await send(kind)
    assert "checkout.example.com/health" in sent
    assert "Health of the checkout" in sent
    assert re.search(r"The target answered: \W*(&lt;|<)!here", sent)


@pytest.mark.parametrize("kind", CHANNELS)
async def test_no_channel_sends_a_character_that_changes_what_is_displayed(kind: str) -> None:
    sent = json.loads("[" + (await send(kind)).replace("}{", "},{") + "]")
    assert not [text for text in texts_in(sent) if re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e]", text)]


async def test_slack_gets_no_mention_and_makes_no_link() -> None:
    sent = await send("slack")
    assert "<!here>" not in sent
    assert "<@U1>" not in sent
    blocks = json.loads(sent)["attachments"][0]["blocks"]
    parts = [part for block in blocks for part in [block.get("text"), *block.get("fields", [])] if part]
    assert parts[0]["type"] == "plain_text"
    assert all(part["verbatim"] for part in parts[1:])


async def test_teams_gets_no_link_and_no_image() -> None:
    texts = " ".join(texts_in(json.loads(await send("teams"))["attachments"][0]["content"]["body"]))
    assert re.search(r"(?<!\\)\[", texts) is None
    assert r"\[click\](https://evil.example)" in texts


def test_a_mail_has_no_element_and_no_header_of_the_answer() -> None:
    message = hostile_message()
    mail = compose_mail(message, "scheduler@example.com", ["team@example.com"], message.at)
    plain, html = (mail.get_body((kind,)) for kind in ("plain", "html"))
    assert plain is not None
    assert html is not None
    assert "<img" not in html.get_content()
    assert "&lt;img src=x" in html.get_content()
    assert "&amp;lt;b&amp;gt;" in html.get_content()
    assert "Bcc" not in mail
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\u202e]", plain.get_content() + html.get_content())


def test_an_action_group_gets_the_target_and_the_answer_as_text() -> None:
    context = build_common_alert(hostile_message(), "/group")["data"]["alertContext"]
    assert "The target answered: " in context["text"]
    assert context["properties"]["Target"] == "GET https://checkout.example.com/health"
    assert all(text.replace("\n", "").isprintable() for text in texts_in(context))


def test_an_answer_is_no_template() -> None:
    incident, transition = sample_transition(TransitionKind.OPENED)
    details = replace(SAMPLE_DETAILS, answer="{{ severity }}")
    notification = Notification(incident.id, 1, transition.kind, "sample", transition.at)
    made = make_message(incident, transition, notification, details, text_template="{{ target }}: {{ answer }}")
    assert made.text == "GET https://checkout.example.com/health: {{ severity }}"


def test_a_mail_about_an_answer_with_half_a_surrogate_pair_can_be_sent() -> None:
    message = hostile_message("before \ud800 after")
    mail = compose_mail(message, "scheduler@example.com", ["team@example.com"], message.at)
    content = bytes(mail).decode("ascii")
    assert "before" in content
    assert "after" in content
