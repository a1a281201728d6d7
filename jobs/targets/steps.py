"""The target of a check of several steps: a sequence of requests, and `${name}`, a saved value of an earlier step.

Also decides whether a request would send secrets over plain http, readable for others on the network: for definitions
(jobs.warnings), and for URLs from earlier answers (jobs.checks.kinds).
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Iterator, Mapping, Set
from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Discriminator, Field, Tag, ValidationInfo, field_validator, model_validator

from jobs.expectations import Expectation, Expectations, check_applicable
from jobs.expectations.engines.jsonpath import JsonPathField
from jobs.expectations.engines.regular_expressions import PatternField
from jobs.expectations.entries.error import ErrorEntry
from jobs.expectations.entry import Feature
from jobs.expectations.judging import compared_values
from jobs.formats import format_count
from jobs.model_base import HEADER_NAME_PATTERN, DisplayText, Duration, FrozenModel, SecretRef, discriminate_by_key
from jobs.policies import Timeouts
from jobs.problems import looks_secret
from jobs.targets.endpoints import Destination, strip_user, validate_http_url
from jobs.targets.http import FormBody, HttpTarget, JsonBody, NoAuth, TextBody

VALUE_NAME = r"[A-Za-z_][A-Za-z0-9_]{0,63}"
_PLACEHOLDER = re.compile(r"\$(?:\$|\{([^{}]*)\})")
"""`$$` is a single dollar sign."""


def find_names(value: Any) -> Iterator[str]:
    """Yield the names of all placeholders in a text, or in the texts of a JSON value."""
    for text in _texts_in(value):
        yield from (found[1] for found in _PLACEHOLDER.finditer(text) if found[1] is not None)


def has_placeholders(value: Any) -> bool:
    """Whether a text, or a text in a JSON value, has a placeholder or `$$`."""
    return any("$" in text and _PLACEHOLDER.search(text) for text in _texts_in(value))


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts_in(key)
            yield from _texts_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts_in(item)


def fill_text(text: str, values: Mapping[str, Any], quote: Callable[[str], str] = str) -> str:
    """Replace the placeholders of a text by the values; `quote` encodes each value."""

    def value_of(match: re.Match[str]) -> str:
        return "$" if match[1] is None else quote(format_as_text(values[match[1]]))

    return _PLACEHOLDER.sub(value_of, text) if "$" in text else text


def fill_json(value: Any, values: Mapping[str, Any]) -> Any:
    """Replace the placeholders in the texts of a JSON value.

    A text that is only a placeholder becomes the value itself, so that a number stays a number.
    """
    if isinstance(value, str):
        whole = _PLACEHOLDER.fullmatch(value)
        return values[whole[1]] if whole is not None and whole[1] is not None else fill_text(value, values)
    if isinstance(value, Mapping):
        return {fill_text(key, values): fill_json(one, values) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [fill_json(one, values) for one in value]
    return value


def format_as_text(value: Any) -> str:
    """Return a text unchanged, and every other value as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


MAX_STEPS = 50
MAX_STEP_EXPECTATIONS = 300
"""Entries of `expect` in all steps together, including `cleanup`."""

MAX_SAVED_VALUES = 200
"""Values that all steps of a check can save."""

MAX_SAVED_SECRETS = 50
"""Secret ones among them: the redactor searches for each in about a hundred forms."""


class SavedValue(FrozenModel):
    """`secret`: whether the value is never shown; default: if its name looks secret, such as `token`."""

    secret: bool | None = None


class JsonSource(SavedValue):
    """The first value that a JSONPath selects in the body."""

    json_: JsonPathField = Field(alias="json")


class HeaderSource(SavedValue):
    """A header, or the match of a regular expression in it: its first group, or the whole match."""

    header: str = Field(pattern=HEADER_NAME_PATTERN, description="the name of a header, such as location")
    regex: PatternField | None = None


class CookieSource(SavedValue):
    """A cookie that this answer or an earlier one set."""

    cookie: str = Field(min_length=1, max_length=200)


class BodySource(SavedValue):
    """The match of a regular expression in the body: its first group, or the whole match."""

    regex: PatternField


ValueSource = Annotated[
    Annotated[JsonSource, Tag("json")]
    | Annotated[HeaderSource, Tag("header")]
    | Annotated[CookieSource, Tag("cookie")]
    | Annotated[BodySource, Tag("regex")],
    Discriminator(discriminate_by_key("json", "header", "cookie", "regex")),
]
ValueName = Annotated[
    str,
    Field(pattern=f"^{VALUE_NAME}$", description="letters, digits and _, not starting with a digit, such as order_id"),
]


def _check_step_url(url: str) -> str:
    """Check an absolute URL; a placeholder or a path is checked at run time."""
    return url if url.startswith(("/", "${")) else validate_http_url(url)


class Step(HttpTarget):
    """One request, the expectations of its answer, and the values that later steps use.

    In `url`, `headers`, `query`, `body` and the values that `expect` compares with, `${name}` is a value of an earlier
    step; `$$` is a dollar sign. A `url` that starts with / is on the host of the previous step.
    """

    name: DisplayText = Field(min_length=1, max_length=100)
    url: Annotated[str, Field(min_length=1, max_length=2048), AfterValidator(_check_step_url)]
    expect: Expectations = ()
    save: dict[ValueName, ValueSource] = {}
    timeout: Annotated[Duration, Field(gt=0)] | None = None

    @field_validator("expect")
    @classmethod
    def _check_expectations(cls, value: tuple[Expectation, ...], info: ValidationInfo) -> tuple[Expectation, ...]:
        check_applicable(value, "http", HttpTarget.FEATURES, info.data.get("url", ""))
        if any(isinstance(entry, ErrorEntry) for entry in value):
            raise ValueError(
                "error does not fit a step, as a step without an answer ends the check: write a separate job"
            )
        return value

    def is_secret_value(self, value: str) -> bool:
        """Whether the value that it saves under this name is never shown."""
        secret = self.save[value].secret
        return looks_secret(value) if secret is None else secret

    def placeholder_names(self) -> set[str]:
        """The names of the saved values that it needs."""
        expected = [value for entry in self.expect for value in compared_values(entry)]
        return {name for value in (*self.sent_values(), *expected) for name in find_names(value)}

    def sent_values(self) -> list[Any]:
        """Return the texts of its request that can contain placeholders, and a JSON body."""
        texts: list[Any] = [self.url, *_texts(self.headers), *_texts(self.query)]
        match self.body:
            case TextBody(text=str() as text):
                texts.append(text)
            case JsonBody(json_=document):
                texts.append(document)
            case FormBody(form=form):
                texts += _texts(form)
        return texts


def _texts(values: dict[str, str | SecretRef]) -> Iterator[str]:
    return (value for value in values.values() if isinstance(value, str))


class StepsTarget(FrozenModel):
    """A sequence of requests with one cookie jar; the first step that fails ends it.

    The steps of `cleanup` always run at the end, also after a timeout; one that needs a value that was never saved is
    skipped.
    """

    TIMEOUTS: ClassVar[Timeouts] = Timeouts(attempt=30.0, run=60.0)
    FEATURES: ClassVar = frozenset({Feature.FACTS, Feature.DURATION})

    kind: Literal["steps"]
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=MAX_STEPS)]
    cleanup: Annotated[tuple[Step, ...], Field(max_length=MAX_STEPS)] = ()

    @model_validator(mode="after")
    def _check_steps(self) -> Self:
        if self.steps[0].url.startswith("/"):
            raise ValueError(f"steps[0].url: {self.steps[0].url!r} has no host, but the first step needs one")
        entries = sum(len(step.expect) for _, step in self._iter_steps())
        if entries > MAX_STEP_EXPECTATIONS:
            raise ValueError(
                f"has {entries} entries of expect in all steps together; at most {MAX_STEP_EXPECTATIONS} are allowed: "
                "combine some in one entry (cel, or a pattern with |), or split the job"
            )
        saved: set[str] = set()
        seen: set[str] = set()
        for place, step in self._iter_steps():
            if step.name in seen:
                raise ValueError(f"{place}.name: {step.name!r} is the name of two steps: rename one")
            seen.add(step.name)
            for name in sorted(step.placeholder_names() - saved):
                raise ValueError(
                    f"{place}: ${{{name}}} is not saved by an earlier step{_explain_placeholder(saved, name)}"
                )
            saved |= step.save.keys()
        self._check_saved_values()
        return self

    def _check_saved_values(self) -> None:
        """Raises ValueError."""
        hidden = [step.is_secret_value(name) for _, step in self._iter_steps() for name in step.save]
        if len(hidden) > MAX_SAVED_VALUES:
            raise ValueError(
                f"the steps save {len(hidden)} values; at most {MAX_SAVED_VALUES} are allowed: "
                "save only values that later steps need"
            )
        if sum(hidden) > MAX_SAVED_SECRETS:
            raise ValueError(
                f"the steps save {sum(hidden)} secret values; at most {MAX_SAVED_SECRETS} are allowed: "
                "write `secret: false` for those that can be shown (names such as token count as secret)"
            )

    def _iter_steps(self) -> Iterator[tuple[str, Step]]:
        for key, steps in (("steps", self.steps), ("cleanup", self.cleanup)):
            yield from ((f"{key}[{number}]", step) for number, step in enumerate(steps))

    @property
    def endpoint(self) -> str:
        """The name of the target in logs and history: that of the first step."""
        return self.steps[0].endpoint

    @property
    def label(self) -> str:
        """The target as messages and pages name it: the first request, and the number of all."""
        more = f" and {format_count(len(self.steps) - 1, 'more step')}" if len(self.steps) > 1 else ""
        return self.steps[0].label + more

    def label_of_step(self, name: str) -> str:
        """Return the request of a step: `pay: POST https://shop.internal/orders/${order}`. `label` if it has no such
        step.

        A URL that is a path is shown on the host of the steps before it, as far as the definition names one.
        """
        origin = ""
        for _, step in self._iter_steps():
            is_path = step.url.startswith("/")
            if step.name == name:
                return f"{name}: {step.method} {origin if is_path else ''}{strip_user(step.endpoint)}"
            origin = origin if is_path else _origin_of(step.url)
        return self.label

    @property
    def idempotent(self) -> bool:
        """Whether all of its requests are idempotent."""
        return all(step.idempotent for step in (*self.steps, *self.cleanup))

    def destinations(self) -> Iterator[Destination]:
        """Yield the destinations of all steps."""
        for step in (*self.steps, *self.cleanup):
            yield from step.destinations()


def _origin_of(url: str) -> str:
    """Return scheme, host and port of a URL, which can have placeholders; empty without a host."""
    found = re.match(r"[^/?#]*//[^/?#]+", strip_user(url))
    return "" if found is None else found[0]


def _explain_placeholder(saved: set[str], name: str) -> str:
    if not re.fullmatch(VALUE_NAME, name):
        return "; write $$ for a dollar sign"
    return f"; saved names: {', '.join(sorted(saved))}" if saved else "; add a save to an earlier step"


def exposes_secrets(request: HttpTarget, url: str, saved_secrets: Set[str] = frozenset()) -> bool:
    """Return whether the request to this URL sends a secret without TLS, and the job does not allow it.

    `saved_secrets`: names of secret values that earlier steps saved.
    """
    return not request.allow_plain_http and is_plain_http(url) and sends_secrets(request, saved_secrets)


def is_plain_http(url: str) -> bool:
    """Return whether a request to this URL crosses a network without TLS. Loopback is not a network."""
    if url.startswith("https://"):
        return False
    parts = urlsplit(url)
    return parts.scheme == "http" and not _is_loopback(parts.hostname or "")


def sends_secrets(request: HttpTarget, saved_secrets: Set[str] = frozenset()) -> bool:
    """Return whether the request contains a secret, in auth, headers, query or body."""
    texts: list[object] = [*request.headers.values(), *request.query.values()]
    match request.body:
        case TextBody(text=text):
            texts.append(text)
        case FormBody(form=form):
            texts += form.values()
    if not isinstance(request.auth, NoAuth) or any(isinstance(text, SecretRef) for text in texts):
        return True
    return (
        bool(saved_secrets) and isinstance(request, Step) and not saved_secrets.isdisjoint(request.placeholder_names())
    )


def _is_loopback(host: str) -> bool:
    """RFC 6761, section 6.3: localhost and the names below it are always loopback."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
