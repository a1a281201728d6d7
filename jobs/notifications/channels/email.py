"""The channel `email`: mails by SMTP with STARTTLS or TLS, the mails of an incident in one thread.

Registered in jobs.notifications.channels. If the server refuses some of the recipients, only those are tried again.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parseaddr
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from jobs.model_base import SecretRef, TextOrSecret
from jobs.notifications.channels.base import ChannelBase, OnlySecret
from jobs.notifications.port import ChannelResources, Message, SendFailed, SentReference, add_answer
from jobs.problems import make_printable

if TYPE_CHECKING:
    import ssl
    from email.message import EmailMessage

    from jobs.notifications.channels.mail import MailServer, SmtpSession

_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")
_PORTS = {"starttls": 587, "tls": 465, "none": 25}


def _check_address(text: str) -> str:
    if _ADDRESS.fullmatch(text) is None:
        raise ValueError(f"{make_printable(text)!r} is not an address: write it like team@example.com")
    return text


def _check_sender(text: str) -> str:
    if not text.isprintable():
        raise ValueError("contains a line break or a control character")
    _check_address(parseaddr(text)[1] or text)
    return text


MailAddress = Annotated[str, AfterValidator(_check_address)]


class EmailChannel(ChannelBase):
    """`security`: `starttls` (port 587), `tls` from the first byte (465) or `none` (25)."""

    THREADS: ClassVar[bool] = True

    kind: Literal["email"]
    host: str = Field(pattern=r"^[A-Za-z0-9](?:[A-Za-z0-9.:-]{0,252}[A-Za-z0-9])?$")
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: TextOrSecret | None = None
    password: OnlySecret | None = None
    sender: Annotated[str, AfterValidator(_check_sender)] = Field(
        alias="from", max_length=320, description="an address, or `Scheduler <scheduler@example.com>`"
    )
    to: Annotated[tuple[MailAddress, ...], Field(min_length=1, max_length=50)]

    @model_validator(mode="after")
    def _check_credentials(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password belong together")
        if self.password is not None and self.security == "none":
            raise ValueError("a password requires security: starttls or tls")
        return self

    def create_sender(self, resources: ChannelResources) -> EmailSender:
        return EmailSender(self, resources)


class EmailSender:
    def __init__(
        self,
        channel: EmailChannel,
        resources: ChannelResources,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._channel = channel
        self._resources = resources
        self._clock = clock
        self._key = ""
        self._delivered: frozenset[str] = frozenset()
        """The recipients that already have the mail of `_key`."""

    async def send(self, message: Message, reference: SentReference | None) -> SentReference | None:
        tls = await asyncio.to_thread(_prepare, self._resources)
        from jobs.notifications.channels.mail import compose_mail, make_message_id

        channel = self._channel
        if self._key != message.dedup_key:
            self._key, self._delivered = message.dedup_key, frozenset()
        first_id = reference.value if reference is not None and reference.value.startswith("<") else ""
        mail = compose_mail(message, channel.sender, channel.to, self._clock(), first_id)
        recipients = [each for each in channel.to if each not in self._delivered]
        refused = await self._send(mail, recipients, tls)
        self._delivered |= set(recipients) - refused.keys()
        accepted = len(recipients) - len(refused)
        add_answer(f"{channel.host} accepted the mail for {accepted} of {len(recipients)} recipients")
        if refused:
            raise _explain_refused(refused)
        return SentReference(first_id or make_message_id(message, channel.sender))

    async def _send(
        self, mail: EmailMessage, recipients: list[str], tls: ssl.SSLContext
    ) -> dict[str, tuple[int, bytes]]:
        from jobs.notifications.channels.mail import SmtpSession

        server = await self._server(tls)
        session: SmtpSession | None = None
        try:
            async with asyncio.timeout(server.timeout_s):
                session = SmtpSession(server, await self._resources.connect(server.host, server.port))
                return await asyncio.to_thread(session.send_mail, mail, parseaddr(self._channel.sender)[1], recipients)
        except TimeoutError:
            raise SendFailed(f"{server.name} did not accept the mail within {server.timeout_s:g} s") from None
        finally:
            if session is not None:
                session.abort()

    async def _server(self, tls: ssl.SSLContext) -> MailServer:
        from jobs.notifications.channels.mail import MailServer

        channel = self._channel
        return MailServer(
            channel.host,
            channel.port or _PORTS[channel.security],
            channel.security,
            tls,
            channel.timeout,
            await self._resolve(channel.username),
            await self._resolve(channel.password),
        )

    async def _resolve(self, value: str | SecretRef | None) -> str:
        if isinstance(value, SecretRef):
            return await self._resources.read_secret(value.secret)
        return value or ""


def _prepare(resources: ChannelResources) -> ssl.SSLContext:
    """Import what mails need, and load the authorities. The first time takes 0.1 s, in which runs must not wait."""
    import jobs.notifications.channels.mail  # noqa: F401

    return resources.tls


def _explain_refused(refused: dict[str, tuple[int, bytes]]) -> SendFailed:
    texts = [
        f"{address} ({code} {make_printable(text.decode('utf-8', 'replace'), 100)})"
        for address, (code, text) in refused.items()
    ]
    is_permanent = all(500 <= code < 600 for code, _ in refused.values())
    return SendFailed(f"the mail server refused {'; '.join(texts[:5])}", is_permanent=is_permanent)
