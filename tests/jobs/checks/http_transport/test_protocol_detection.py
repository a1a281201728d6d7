"""What is no HTTP is recognised by its first bytes."""

from __future__ import annotations

import pytest

from jobs.checks.http_transport.messages import HTTP1_PREFIX, may_be_http1, not_http_error
from jobs.checks.net.connection import DETECTION_BYTES
from tests.parts import bad_answers as answers


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (answers.TLS_ALERT, "TLS: write https in the URL"),
        (answers.BEGIN_OF_HANDSHAKE, "TLS: write https"),
        (answers.HTTP_2_SETTINGS, "HTTP/2"),
        (answers.HTTP_7, "another version"),
        (answers.SHOUTCAST, "SHOUTcast"),
        (answers.HTTP_0_9, "HTTP/0.9"),
        (answers.SSH, "SSH"),
        (answers.SMTP, "SMTP"),
        (answers.REDIS, "Redis"),
        (answers.MYSQL, "MySQL"),
        (b"+OK POP3 ready", "POP3"),
        (b"* OK IMAP4rev1", "IMAP"),
        (b"", "something that is not HTTP/1.1"),
        (b"\xff" * DETECTION_BYTES, "something that is not HTTP/1.1"),
    ],
)
def test_a_server_is_recognised_by_what_it_reports_first(data: bytes, message: str) -> None:
    assert message in str(not_http_error(data[:DETECTION_BYTES]))


@pytest.mark.parametrize(
    ("first", "may_be"),
    [
        (HTTP1_PREFIX, True),
        (b"HTTP/1.1 200 OK", True),
        (b"HTT", True),
        (b"", True),
        (b"HTTP/2", False),
        (b"SSH-", False),
    ],
)
def test_the_begin_of_an_answer_reports_whether_it_may_be_http(first: bytes, may_be: bool) -> None:
    assert may_be_http1(first) is may_be
