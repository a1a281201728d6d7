"""The base class of all entries of `expect`, a frozen model that compares an answer with its own fields; the answer.

Each target class lists the features of its observations, each entry needs one: entries that do not fit the kind of
check are found at load.

An answer is an observation whose body is decoded and parsed once, and whose values are shortened and redacted for
messages. The values of a JSON document are counted before it is parsed: each needs up to a hundred bytes of memory.
"""

from __future__ import annotations

import codecs
import json
import math
import re
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, ClassVar, NoReturn

from pydantic import AfterValidator, SerializerFunctionWrapHandler, model_serializer

from jobs.expectations.engines.regular_expressions import LimitExceeded
from jobs.expectations.health.document import EntryRules
from jobs.model_base import FrozenModel
from jobs.problems import make_printable
from jobs.redaction import Redact
from jobs.runs import Failure, Observation, Severity
from jobs.runs.details import HealthDetail

MAX_JSON_VALUES = 1_000_000
"""Values of a document, without keys."""

_SEPARATORS = b",[{"
"""One of these precedes each value or its key."""
_OTHER_BYTES = bytes(code for code in range(256) if code not in b',[{"')
_QUOTED_TEXT = re.compile(rb'"[^"]*+"?')


def has_more_values(body: bytes, most: int) -> bool:
    """Whether a document has more values than `most`."""
    if len(body) <= most or _count_separators(body) <= most:
        return False
    # Remove texts, which can contain these characters. (In UTF-16 each character has a NUL next to it.)
    bare = body.replace(b"\0", b"").replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, _OTHER_BYTES)
    return _count_separators(_QUOTED_TEXT.sub(b"", bare.replace(b'""', b""))) > most


def _count_separators(text: bytes) -> int:
    return sum(text.count(sign) for sign in _SEPARATORS)


_DEEPEST_OPERAND = 64
_MAX_OPERAND_VALUES = 10_000


def is_json_equal(first: Any, second: Any) -> bool:
    """Whether two JSON values are equal: 1 equals 1.0, but true does not equal 1."""
    if isinstance(first, bool) or isinstance(second, bool):
        return first is second
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(is_json_equal(value, second[key]) for key, value in first.items())
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(is_json_equal, first, second))
    return bool(first == second)


def to_json_text(value: Any) -> str:
    """Return the value as compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _json_value(value: Any) -> Any:
    """Refuse values that JSON cannot express, and cyclic ones (YAML can write both)."""
    open_values = [(value, 0)]
    count = 0
    while open_values:
        one, depth = open_values.pop()
        count += 1
        if depth > _DEEPEST_OPERAND or count > _MAX_OPERAND_VALUES:
            raise ValueError("is too large or nested too deeply")
        open_values.extend((child, depth + 1) for child in _children(one))
    return value


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise ValueError("has a key that is not a text: write the key in quotes")
        return list(value.values())
    if isinstance(value, list):
        return value
    if value is None or isinstance(value, (str, bool, int)) or (isinstance(value, float) and math.isfinite(value)):
        return []
    raise ValueError(f"{str(value)[:40]} is not a JSON value: write it in quotes to compare with the text")


JsonField = Annotated[Any, AfterValidator(_json_value)]
"""A field of any JSON value."""


MAX_SHOWN_CHARACTERS = 120
"""Characters of a value that a failure contains."""

_MAX_REDACTED_CHARACTERS = 4096
"""Characters of a value that are redacted: more than are shown, because redaction shortens the text."""

_CHARSET = re.compile(r"charset\s*=\s*\"?([\w.:-]+)", re.IGNORECASE)
_ALLOWED_CODECS = re.compile(
    r"ascii|utf-(?:8|16|32)(?:-[a-z]+)?|iso8859-\d+|cp\d+|koi8-[ru]|euc_\w+|shift_jis\w*|gb\w+|big5\w*"
)
"""Text codecs by Python's names. Others (idna, unicode_escape, ...) are slow or are not charsets."""


class NotJson(Exception):
    """The body is not a JSON document; the message is a clause with the reason."""


class JudgedAnswer:
    """One answer and its redaction."""

    def __init__(self, observation: Observation, redact: Redact) -> None:
        self.observation = observation
        self._redact = redact
        self.health: HealthDetail | None = None
        """The health document, once an entry has read it. Its texts are not redacted."""

    @cached_property
    def text(self) -> str:
        """The body, decoded by its charset or as UTF-8 with replacements; of a TCP check, the received text."""
        received = self.observation.facts.get("received")
        if not self.observation.body and isinstance(received, str):
            return received
        return self.observation.body.decode(_codec_name(self.observation.headers.get("content-type", "")), "replace")

    @cached_property
    def now(self) -> datetime:
        """The time of the judgement."""
        return datetime.now(UTC)

    def parse_json(self) -> Any:
        """Return the parsed body. Raises NotJson."""
        document, problem = self._document
        if problem:
            raise NotJson(problem)
        return document

    @cached_property
    def _document(self) -> tuple[Any, str]:
        if not self.observation.body.strip():
            return None, "an empty body"
        if has_more_values(self.observation.body, MAX_JSON_VALUES):
            return None, f"JSON with more than {MAX_JSON_VALUES} values: reduce the answer of the target"
        try:
            return json.loads(self.observation.body, parse_constant=_refuse_constant), ""
        except RecursionError:
            return None, "JSON that is nested too deeply"
        except ValueError:
            if self.observation.body_truncated:
                return (
                    None,
                    f"incomplete JSON: reading stopped after {format_size(len(self.observation.body))} (read_limit)",
                )
            return None, f"not JSON: {self.quote_text(self.text)}"

    def quote_text(self, text: str) -> str:
        """Quote a text for a failure: on one line, short, without secrets."""
        return f"'{self._shorten(text)}'"

    def format_json(self, value: Any) -> str:
        """Write a value for a failure as JSON: on one line, short, without secrets."""
        return self._shorten(to_json_text(value))

    def shorten(self, text: str) -> str:
        """Prepare a message that contains values of the target: on one line, short, without secrets."""
        return self._shorten(text)

    def describe_missing_text(self) -> str:
        """Describe the body for an entry whose text or pattern was not match."""
        if not self.text:
            return "an empty body"
        if self.observation.body_truncated:
            return f"not in the first {format_size(len(self.observation.body))}, where reading stopped (read_limit)"
        return self.quote_text(self.text)

    def redact(self, text: str, max_characters: int) -> str:
        """Cut a text of the answer and redact it, including a secret that the cut leaves incomplete."""
        # A truncated body, and the text that a TCP check received, can end within a secret.
        cut = len(text) > max_characters or self.observation.body_truncated or "connected" in self.observation.facts
        return self._redact(text[:max_characters], cut=cut)

    def _shorten(self, text: str) -> str:
        return shorten_redacted(self.redact(text, _MAX_REDACTED_CHARACTERS))


def shorten_redacted(redacted: str) -> str:
    """Shorten a redacted text for a failure, and escape control characters."""
    return make_printable(redacted[: MAX_SHOWN_CHARACTERS + 1], MAX_SHOWN_CHARACTERS)


def format_size(size: int) -> str:
    """Format a number of bytes: `300 bytes`, `64 KiB`, `1.5 MiB`."""
    for unit, name in ((1024 * 1024, "MiB"), (1024, "KiB")):
        if size >= unit:
            return f"{size / unit:.1f}".removesuffix(".0") + f" {name}"
    return f"{size} bytes"


def _codec_name(content_type: str) -> str:
    match = _CHARSET.search(content_type)
    if match is None:
        return "utf-8"
    try:
        name = codecs.lookup(match[1]).name
    except LookupError:
        return "utf-8"
    return name if _ALLOWED_CODECS.fullmatch(name) else "utf-8"


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


class Feature(StrEnum):
    """The value describes the feature in error messages."""

    FACTS = "facts"
    DURATION = "a duration"
    HTTP_RESPONSE = "an HTTP response"
    BODY = "a body"
    JSON = "a JSON body"
    CONNECTION = "a connection"
    OPTIONAL_TLS = "a connection with optional TLS"
    CERTIFICATE = "a certificate"
    DNS_ANSWER = "a DNS answer"


BRIEF_TEXT_BYTES = 256 * 1024
"""Bytes of a body that is decoded and searched for a plain text."""
BRIEF_SEARCH_BYTES = 32 * 1024
"""Bytes of a body that is parsed as JSON, or searched with a pattern."""
BRIEF_CEL_BYTES = 4 * 1024
"""Bytes of a body that is converted for a CEL expression."""


class SparseModel(FrozenModel):
    """A model that serializes only the fields that were set."""

    @model_serializer(mode="wrap")
    def _serialize_sparsely(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        omitted = self._omitted_keys()
        return {key: value for key, value in write(self).items() if key not in omitted}

    def _omitted_keys(self) -> set[str]:
        """Return the keys that have their default."""
        return set()


class ExpectationEntry(SparseModel):
    """One entry, identified by its key.

    With `severity: degraded`, an entry that does not hold degrades the run and lets the attempt succeed.
    """

    needs: ClassVar[Feature] = Feature.FACTS
    """The feature of the observation that it compares."""
    REPLACES: ClassVar[str] = ""
    BRIEF_BYTES: ClassVar[int | None] = None

    severity: Severity = Severity.FAIL

    @classmethod
    def entry_key(cls) -> str:
        """Return the key that identifies the entry: its first required field."""
        name, field = next((name, field) for name, field in cls.model_fields.items() if field.is_required())
        return field.alias or name

    @property
    def brief_bytes(self) -> int | None:
        """The largest body that it surely decides within a few milliseconds; None: any."""
        return self.BRIEF_BYTES

    @property
    def entry_rules(self) -> EntryRules | None:
        """How it judges entries, each of which has a state; None: it reads none."""
        return None

    @property
    def replaces(self) -> str:
        """The implicit expectation that it replaces: `status`, `rcode` or none."""
        return self.REPLACES

    def find_failure(self, answer: JudgedAnswer) -> Failure | None:
        """Return the failure, or None if the entry holds. Raises only BudgetExceeded, for any answer."""
        try:
            observed = self.find_mismatch(answer)
        except (LimitExceeded, NotJson) as error:
            observed = str(error)
        return None if observed is None else Failure(self.failure_key(), self.describe_expected(answer), observed)

    def failure_key(self) -> str:
        return self.entry_key()

    def describe_expected(self, answer: JudgedAnswer) -> str:
        raise NotImplementedError

    def find_mismatch(self, answer: JudgedAnswer) -> str | None:
        """Return the observed value if it is not as expected; None if the entry holds."""
        raise NotImplementedError

    def _omitted_keys(self) -> set[str]:
        return super()._omitted_keys() | ({"severity"} if self.severity is Severity.FAIL else set())


def check_applicable(
    entries: Iterable[ExpectationEntry], kind: str, features: Collection[Feature], url: str = ""
) -> None:
    """Raise ValueError for an entry that needs another feature. `features`: of the kind; `url`: of an HTTP check."""
    reporting = ""
    for number, entry in enumerate(entries, 1):
        head = f"{entry.entry_key()} (entry {number})"
        if entry.needs not in features:
            raise ValueError(f"{head} does not fit a check of kind {kind}: it needs {entry.needs.value}")
        if entry.needs is Feature.CERTIFICATE and url.startswith("http://"):
            raise ValueError(f"{head} needs a certificate, but an http:// URL has none: use https://")
        if entry.entry_rules and reporting:
            raise ValueError(f"{head} has entries, as {reporting} has: an answer has those of one; split the job")
        reporting = head if entry.entry_rules else reporting
