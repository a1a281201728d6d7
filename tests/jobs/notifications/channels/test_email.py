"""The channel `email` against a mail server on loopback."""

from __future__ import annotations

import ssl
import threading
import tracemalloc
from typing import Any

import pytest
from pydantic import ValidationError

from jobs.incidents.values import TransitionKind
from jobs.notifications.channels.email import EmailChannel
from jobs.notifications.port import SendFailed, SentReference
from tests.parts import bad_servers
from tests.parts.mail_server import MailServerPart
from tests.parts.notifications import make_channel, message, resources

SECRETS = {"smtp-password": "pass-word-of-robot"}
LOGIN = {"username": "robot", "password": {"secret": "smtp-password"}}


def channel(port: int, **more: Any) -> EmailChannel:
    values = {"host": "127.0.0.1", "security": "none", "from": "Scheduler <scheduler@example.com>", "port": port}
    made = make_channel(kind="email", **{"to": ["team@example.com"], **values, **more})
    assert isinstance(made, EmailChannel)
    return made


async def failure_of(made: EmailChannel) -> SendFailed:
    async with resources(SECRETS) as shared:
        with pytest.raises(SendFailed) as failed:
            await made.create_sender(shared).send(message(), None)
    return failed.value


async def test_a_mail_has_text_and_html_and_says_that_a_program_sent_it() -> None:
    async with MailServerPart() as server, resources() as shared:
        await channel(server.port).create_sender(shared).send(message(), None)

    (mail,) = server.mails
    assert mail["Subject"] == message().title
    assert mail["To"] == "team@example.com"
    assert mail["Auto-Submitted"] == "auto-generated"
    text, html = (mail.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None
    assert html is not None
    assert "Expected: status 200" in text.get_content()
    assert message().runbook in html.get_content()


async def test_authorities_are_loaded_in_a_thread_because_runs_wait_for_the_event_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads: list[int] = []
    async with MailServerPart() as server, resources() as shared:
        tls = shared.tls

        def load_tls(_: object) -> ssl.SSLContext:
            threads.append(threading.get_ident())
            return tls

        monkeypatch.setattr(type(shared), "tls", property(load_tls))
        await channel(server.port).create_sender(shared).send(message(), None)
    assert threads
    assert threading.get_ident() not in threads


async def test_the_mails_of_an_incident_form_a_thread() -> None:
    async with MailServerPart() as server, resources() as shared:
        sender = channel(server.port).create_sender(shared)
        reference = await sender.send(message(), None)
        later = await sender.send(message(TransitionKind.RESOLVED, 2), reference)

    first, second = server.mails
    assert first["In-Reply-To"] is None
    assert second["In-Reply-To"] == second["References"] == first["Message-ID"]
    assert second["Message-ID"] != first["Message-ID"]
    assert later == reference


async def test_a_mail_that_is_sent_again_has_the_same_id() -> None:
    async with MailServerPart() as server, resources() as shared:
        for _ in range(2):
            await channel(server.port).create_sender(shared).send(message(), None)
    assert server.mails[0]["Message-ID"] == server.mails[1]["Message-ID"]


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_session_is_encrypted_and_authenticated(security: Any) -> None:
    login = None if security == "tls" else ("robot", "pass-word-of-robot")
    async with MailServerPart(security=security, login=login) as server, resources(SECRETS) as shared:
        made = channel(server.port, security=security, host="localhost", **(LOGIN if login else {}))
        await made.create_sender(shared).send(message(), None)
    assert len(server.mails) == 1


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_certificate_that_is_not_trusted_ends_the_session(security: Any) -> None:
    async with MailServerPart(security=security, certificate="self_signed") as server:
        failed = await failure_of(channel(server.port, security=security))
    assert "certificate" in str(failed).lower()
    assert server.mails == []


async def test_a_server_without_starttls_gets_no_mail() -> None:
    async with MailServerPart() as server:
        failed = await failure_of(channel(server.port, security="starttls"))
    assert "STARTTLS" in str(failed)
    assert failed.is_permanent
    assert server.mails == []


async def test_a_wrong_password_is_permanent_and_not_shown() -> None:
    async with MailServerPart(security="starttls", login=("robot", "another")) as server:
        failed = await failure_of(channel(server.port, security="starttls", **LOGIN))
    assert failed.is_permanent
    assert "535" in str(failed)
    assert "pass-word" not in str(failed)


@pytest.mark.parametrize(("response", "permanent"), [("451 try again later", False), ("554 spam", True)])
async def test_a_refused_mail_is_temporary_or_permanent(response: str, permanent: bool) -> None:
    async with MailServerPart(response=response) as server:
        failed = await failure_of(channel(server.port))
    assert failed.is_permanent is permanent
    assert response in str(failed)


async def test_only_refused_recipients_are_tried_again() -> None:
    everyone = ["a@example.com", "b@example.com"]
    async with MailServerPart(refuse={"b@example.com": "450 greylisted"}) as server, resources() as shared:
        sender = channel(server.port, to=everyone).create_sender(shared)
        with pytest.raises(SendFailed, match=r"b@example\.com \(450 greylisted\)") as failed:
            await sender.send(message(), None)
        server.refuse.clear()
        await sender.send(message(), None)

    assert not failed.value.is_permanent
    assert server.recipients == [["a@example.com"], ["b@example.com"]]


async def test_a_server_that_never_responds_ends_with_the_time_limit() -> None:
    async with bad_servers.black_hole() as server:
        made = channel(server.port).model_copy(update={"timeout": 0.05})
        failed = await failure_of(made)
    assert "within 0.05 s" in str(failed) or "timed out" in str(failed)
    assert not failed.is_permanent


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        (bad_servers.mail_server(b"", endless=b"220-hello\r\n"), "its reply has more than 100 lines or 64 KiB"),
        (bad_servers.mail_server(b"220 hi\r\n", b"250-mail.test\r\n", b"250-X\r\n"), "more than 100 lines or 64 KiB"),
        (bad_servers.mail_server(b"220 hi\r\n", b"250-" + b"x" * 8000 + b"\r\n", b"250-X\r\n"), "more than 100 lines"),
        (bad_servers.mail_server(b"220 hi\r\n", (b"250-" + b"x" * 8000 + b"\r\n") * 9), "or 64 KiB"),
        (bad_servers.mail_server(b"220 hi\r\n", (b"250-" + b"x" * 8000 + b"\r\n") * 7 + b"250 x\r\n"), "1 MiB"),
    ],
)
async def test_replies_without_an_end_are_refused_and_the_server_named(server: Any, reason: str) -> None:
    async with server as endless:
        tracemalloc.start()
        try:
            failed = await failure_of(channel(endless.port, to=[f"p{each}@example.com" for each in range(50)]))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert str(failed).startswith(f"the session with 127.0.0.1:{endless.port} failed: ")
    assert reason in str(failed)
    assert not failed.is_permanent
    assert peak < 8 * 1024 * 1024


@pytest.mark.parametrize("server", [bad_servers.reset_on_connect, bad_servers.closes_at_accept])
async def test_a_session_that_breaks_is_temporary(server: Any) -> None:
    async with server() as broken:
        failed = await failure_of(channel(broken.port))
    assert not failed.is_permanent


async def test_a_host_that_the_guard_refuses_is_not_connected_to() -> None:
    async with MailServerPart() as server, resources(denied=frozenset({"127.0.0.1"})) as shared:
        with pytest.raises(SendFailed, match="not an allowed host"):
            await channel(server.port).create_sender(shared).send(message(), None)


async def test_a_reference_of_another_kind_of_channel_starts_a_thread() -> None:
    async with MailServerPart() as server, resources() as shared:
        await channel(server.port).create_sender(shared).send(message(), SentReference('{"ts": "1"}'))
    assert server.mails[0]["In-Reply-To"] is None


async def test_a_title_with_a_line_break_adds_no_header() -> None:
    async with MailServerPart() as server, resources() as shared:
        await channel(server.port).create_sender(shared).send(message(title="DOWN\r\nBcc: x@example.com"), None)
    assert server.mails[0]["Bcc"] is None


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"to": []}, "at least 1"),
        ({"to": ["team"]}, "is not an address"),
        ({"from": "a\r\nb@example.com"}, "line break"),
        ({"username": "robot"}, "belong together"),
        (LOGIN, "a password requires security"),
        ({"password": "plain"}, "must not contain a secret value"),
    ],
)
def test_an_invalid_channel_says_what_is_wrong(more: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        channel(25, **more)
