"""Compose the mail of a message: headers for threads, plain text and HTML. Pure.

Used by jobs.notifications.channels.email. The Message-ID follows from the dedup key: a mail that is sent again has the
same one, and servers and clients can recognise it. Later mails of an incident refer to the first one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from html import escape

from jobs.notifications.message import Message, color_of, is_quiet, links_of, plain_text
from jobs.problems import make_printable

_NOT_IN_ID = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_SUBJECT = 400
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
    mail["Subject"] = make_printable(message.title, _LONGEST_SUBJECT)
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
