"""The excerpt of an answer that failed its attempt, stored for analysis. Pure; called by jobs.running.run_factories."""

from __future__ import annotations

from dataclasses import replace

from jobs.expectations.answer import JudgedAnswer
from jobs.redaction import Redact
from jobs.runs import Observation

DEFAULT_EXCERPT_BYTES = 2048
"""Bytes, for kinds of targets without a setting."""

_REDACTED_AHEAD = 4096
"""Characters beyond the limit that are searched for secrets: redaction shortens the text."""

_LONGEST_CHARACTER = 4
"""Bytes."""
_AS_THEY_ARE = "\n\t"


def extract_excerpt(seen: Observation, limit: int, redact: Redact) -> str:
    """Return the start of the body as text: at most `limit` bytes of UTF-8, redacted and printable."""
    if not (limit and seen.body):
        return ""
    # Enough bytes for any characters: a long body is not decoded as a whole.
    begin = (limit + _REDACTED_AHEAD) * _LONGEST_CHARACTER
    if len(seen.body) > begin:
        seen = replace(seen, body=seen.body[:begin], body_truncated=True)
    answer = JudgedAnswer(seen, redact)
    text = answer.redact(answer.text, limit + _REDACTED_AHEAD)[:limit]
    text = "".join(each if each.isprintable() or each in _AS_THEY_ARE else _escaped(each) for each in text)
    return text.encode("utf-8", "replace")[:limit].decode("utf-8", "ignore")


def _escaped(character: str) -> str:
    return "" if character == "\r" else character.encode("unicode_escape", "backslashreplace").decode()
