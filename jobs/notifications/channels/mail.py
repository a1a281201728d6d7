"""Compose the mail of a message, and send it by SMTP over a connection that the target guard allowed (RFC 5321).

The Message-ID follows from the dedup key: a mail that is sent again has the same one, and servers and clients can
recognise it. Later mails of an incident refer to the first one.

smtplib blocks: `send_mail` runs in a thread, and `abort` ends it from the event loop. smtplib collects the lines of a
reply without end, so the session reads them through BoundedReplies.
"""

from __future__ import annotations

import contextlib
import re
import smtplib
import socket
import ssl
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from html import escape
from typing import BinaryIO, Literal

from jobs.notifications.channels.http_posting import SecretHider
from jobs.notifications.port import Message, SendFailed, color_of, is_quiet, links_of, plain_text
from jobs.problems import make_printable

_NOT_IN_ID = re.compile(r"[^A-Za-z0-9._-]+")
_MAX_SUBJECT = 400
_CELL = "padding:4px 16px 4px 0;vertical-align:top"


def make_message_id(message: Message, sender: str) -> str:
    """Return `<incident.number.channel@domain>`, the domain being that of the sender."""
    domain = parseaddr(sender)[1].rpartition("@")[2] or "localhost"
    return f"<{_NOT_IN_ID.sub('.', message.dedup_key)}@{domain}>"


def compose_mail(
    message: Message, sender: str, recipients: Iterable[str], now: datetime, first_id: str = ""
) -> EmailMessage:
    """Return the mail. `first_id`: the Message-ID of the incident's first mail, empty for this one."""
    mail = EmailMessage(policy=SMTP)
    mail["From"] = sender
    mail["To"] = ", ".join(recipients)
    mail["Subject"] = make_printable(message.title, _MAX_SUBJECT)
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = make_message_id(message, sender)
    if first_id:
        mail["In-Reply-To"] = first_id
        mail["References"] = first_id
    mail["Auto-Submitted"] = "auto-generated"
    if not (message.is_resolution or is_quiet(message) or message.severity == "info"):
        mail["Importance"] = "high"
    mail.set_content(f"{message.title}\n\n{plain_text(message)}\n")
    mail.add_alternative(_html(message), subtype="html")
    return mail


def _html(message: Message) -> str:
    text = escape(message.text).replace("\n", "<br>")
    rows = "".join(
        f'<tr><th align="left" style="{_CELL}">{escape(label)}</th><td style="{_CELL}">{escape(value)}</td></tr>'
        for label, value in message.facts
    )
    links = " · ".join(f'<a href="{escape(url)}">{escape(label)}</a>' for label, url in links_of(message))
    return (
        '<!DOCTYPE html><html><body style="font-family:sans-serif">'
        f'<h3 style="border-left:6px solid {color_of(message)};padding-left:10px">{escape(message.title)}</h3>'
        f"<p>{text}</p><table>{rows}</table><p>{links}</p></body></html>\n"
    )


MAX_REPLY_LINES = 100
MAX_REPLY_BYTES = 64 * 1024
MAX_SESSION_BYTES = 1024 * 1024
"""Of all replies of a session."""

Security = Literal["starttls", "tls", "none"]


@dataclass(frozen=True, slots=True)
class MailServer:
    """`tls`: verifies the certificate for `host`."""

    host: str
    port: int
    security: Security
    tls: ssl.SSLContext
    timeout_s: float
    username: str = ""
    password: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        return f"{self.host}:{self.port}"


class ReplyTooLarge(smtplib.SMTPException):
    """A reply of the server, or all of them, exceed a limit. The message is a clause about the server."""


class BoundedReplies:
    """The part of a socket's file that smtplib uses. `received`: bytes of the session before this file."""

    def __init__(self, file: BinaryIO, received: int) -> None:
        self._file = file
        self.received = received
        """Bytes of the session."""
        self.begin_reply()

    def begin_reply(self) -> None:
        self._lines, self._reply_bytes = 0, 0

    def readline(self, size: int) -> bytes:
        """Return the next line, at most `size` bytes. Raises ReplyTooLarge and OSError."""
        line = self._file.readline(size)
        self._lines += 1
        self._reply_bytes += len(line)
        self.received += len(line)
        if self._lines > MAX_REPLY_LINES or self._reply_bytes > MAX_REPLY_BYTES:
            raise ReplyTooLarge(f"its reply has more than {MAX_REPLY_LINES} lines or {MAX_REPLY_BYTES // 1024} KiB")
        if self.received > MAX_SESSION_BYTES:
            raise ReplyTooLarge(f"its replies have more than {MAX_SESSION_BYTES // 1024**2} MiB")
        return line

    def close(self) -> None:
        self._file.close()


class SmtpSession(smtplib.SMTP):
    """A session over a socket that is connected already. For one mail."""

    def __init__(self, server: MailServer, connected: socket.socket) -> None:
        self._server = server
        self._connected = connected
        self._is_started = False
        self._replies: BoundedReplies | None = None
        super().__init__(local_hostname=_address_literal(connected), timeout=server.timeout_s)

    def send_mail(self, mail: EmailMessage, sender: str, recipients: Collection[str]) -> dict[str, tuple[int, bytes]]:
        """Send a mail, and return the refused recipients with code and text. Blocks.

        Raises:
            SendFailed: no recipient was accepted, or the session failed.
        """
        self._is_started = True
        hide = SecretHider([self._server.username, self._server.password])
        try:
            return self._send(mail, sender, recipients)
        except smtplib.SMTPRecipientsRefused as error:
            return error.recipients
        except smtplib.SMTPResponseException as error:
            text = error.smtp_error.decode("utf-8", "replace") if isinstance(error.smtp_error, bytes) else ""
            reason = f"{self._server.name} responded {error.smtp_code} {hide(text)}"
            raise SendFailed(reason.strip(), is_permanent=500 <= error.smtp_code < 600) from None
        except smtplib.SMTPNotSupportedError as error:
            raise SendFailed(f"{self._server.name}: {hide(str(error))}", is_permanent=True) from None
        except (smtplib.SMTPException, OSError, ValueError) as error:
            reason = hide(str(error)) or type(error).__name__
            raise SendFailed(f"the session with {self._server.name} failed: {reason}") from None
        finally:
            self.close()
            self._connected.close()

    def getreply(self) -> tuple[int, bytes]:
        """Return code and text of the next reply. Raises SMTPException."""
        if self.file is None:  # at the begin, and again over TLS
            assert self.sock is not None
            received = 0 if self._replies is None else self._replies.received
            self.file = self._replies = BoundedReplies(self.sock.makefile("rb"), received)
        assert self._replies is not None
        self._replies.begin_reply()
        return super().getreply()

    def abort(self) -> None:
        """End the session of another thread: its next operation fails."""
        for each in (self.sock, self._connected):
            if each is not None:
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(each, socket.SHUT_RDWR)
        if not self._is_started:  # the thread was cancelled before it began
            self._connected.close()

    def _send(self, mail: EmailMessage, sender: str, recipients: Collection[str]) -> dict[str, tuple[int, bytes]]:
        server = self._server
        self._host = server.host  # the name in the certificate, for starttls
        code, text = self.connect(server.host, server.port)
        if code != 220:
            raise smtplib.SMTPConnectError(code, text)
        self.ehlo_or_helo_if_needed()
        if server.security == "starttls":
            self.starttls(context=server.tls)
            self.ehlo()
        if server.password:
            self.login(server.username, server.password)
        refused = self.send_message(mail, sender, list(recipients))
        with contextlib.suppress(smtplib.SMTPException, OSError):
            self.quit()  # accepted already
        return refused

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        self._connected.settimeout(timeout)
        if self._server.security != "tls":
            return self._connected
        return self._server.tls.wrap_socket(self._connected, server_hostname=host)


def _address_literal(connected: socket.socket) -> str:
    """Return the own address as EHLO names it. smtplib's default is a DNS query."""
    address = connected.getsockname()[0]
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"
