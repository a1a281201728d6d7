"""A mail server on loopback by aiosmtpd, in the event loop of the test.

async with MailServerPart(security="starttls", login=("robot", "pass-word")) as server:
    server.port
    server.mails        # each an email.message.EmailMessage
    server.recipients   # the envelope's, one list a mail
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, Literal, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword

from tests.parts.tls import TlsKind, server_context


class MailServerPart:
    """`refuse`: responses by recipient. `response`: to the mail itself, instead of 250."""

    def __init__(
        self,
        *,
        security: Literal["starttls", "tls", "none"] = "none",
        certificate: TlsKind = "good",
        login: tuple[str, str] | None = None,
        refuse: Mapping[str, str] | None = None,
        response: str = "250 accepted",
    ) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.refuse = dict(refuse or {})
        self.response = response
        self._security = security
        self._context = None if security == "none" else server_context(certificate)
        self._login = login

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        tls = self._context if self._security == "tls" else None
        self._server = await loop.create_server(self._protocol, "127.0.0.1", 0, ssl=tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    def _protocol(self) -> SMTP:
        starttls = self._context if self._security == "starttls" else None
        return SMTP(
            self,
            hostname="mail.test",
            tls_context=starttls,
            require_starttls=starttls is not None,
            auth_require_tls=self._security == "starttls",
            auth_required=self._login is not None,
            authenticator=self._authenticate if self._login is not None else None,
        )

    def _authenticate(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, given: Any) -> AuthResult:
        assert isinstance(given, LoginPassword)
        return AuthResult(success=(given.login.decode(), given.password.decode()) == self._login, handled=False)

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Envelope, address: str, _options: Any) -> str:
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        if self.response.startswith("2"):
            mail = message_from_bytes(envelope.content, policy=default)
            assert isinstance(mail, EmailMessage)
            self.mails.append(mail)
            self.recipients.append(list(envelope.rcpt_tos))
        return self.response
