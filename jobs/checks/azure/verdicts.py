"""What a response of an Azure API shows about the target: nothing, if the API itself failed.

A resource that does not exist is a fault of the target. Everything else that is not a complete answer leaves its state
unknown, and the sentence names the remedy: the missing role and its scope, or the time until which Azure throttles.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NoReturn

from jobs.checks.azure.budget import LimitKey
from jobs.expectations.entry import has_more_values
from jobs.formats import describe_seconds, describe_span, format_instant
from jobs.problems import make_printable
from jobs.redaction import Redact
from jobs.runs import ErrorClass, Observation
from jobs.targets import AzureResourceTarget, AzureTarget

MAX_PAGE_BYTES = 4 * 1024 * 1024
"""Of one page. A larger one is not judged."""
MAX_PAGE_VALUES = 200_000
_MAX_READ, _MAX_MESSAGE = 2000, 300
"""Characters of an error message."""
_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,80}")
_CODE_HEADER = "x-ms-error-code"
"""Of storage, whose error documents are XML."""

_OWN_FAULTS = frozenset({ErrorClass.TARGET_DENIED, ErrorClass.INTERNAL_ERROR, ErrorClass.OUT_OF_RESOURCES})
"""Of the scheduler or its settings: they keep their own verdict."""

_HIDDEN = frozenset({"authorizationfailed", "linkedauthorizationfailed"})
"""Codes of a 404 that stands for a missing right."""
_NOT_OF_TARGET = _HIDDEN | {
    "subscriptionnotfound",
    "invalidsubscriptionid",
    "invalidresourcetype",
    "noregisteredproviderfound",
    "invalidauthenticationtokentenant",
}
"""Codes of a 404 that is about the request, or about what the identity may see."""
_OBJECT_ID = re.compile(r"object id '([0-9A-Fa-f-]{36})'")


class Concluded(Exception):
    """The observation is complete without all pages."""

    def __init__(self, observation: Observation) -> None:
        super().__init__(observation.unknown or observation.message)
        self.observation = observation


def unknown(seen: Observation, sentence: str) -> Concluded:
    """Return that this observation leaves the target's state unknown."""
    bare = replace(seen, error=None, message="", unknown=sentence, body=b"", body_truncated=False)
    return Concluded(bare)


def refuse_stale(seen: Observation, age_s: float | None, most_s: float | None) -> None:
    """Raise Concluded if the newest data is older than the job allows."""
    if age_s is not None and most_s is not None and age_s > most_s:
        age, most = describe_span(age_s), describe_span(most_s)
        raise unknown(seen, f"The newest data is {age} old, more than {most} (max_data_age): Azure is late.")


class Verdicts:
    """Judges responses for one target. `now`: returns the current instant."""

    def __init__(self, target: AzureTarget, now: Callable[[], datetime], redact: Redact) -> None:
        self._target = target
        self._now = now
        self._redact = redact
        self._host = target.host

    def check_success(self, seen: Observation, page: int, throttled_s: float | None) -> None:
        """Raise Concluded without a response of success. `throttled_s`: of a 429, how long nothing is sent."""
        if seen.error is not None:
            if seen.error in _OWN_FAULTS:
                raise Concluded(seen)
            raise unknown(seen, self._place(seen.message, page))
        status = seen.status or 0
        if not 200 <= status < 300:
            code, message = read_error(seen.body)
            code = code or read_code(seen.headers.get(_CODE_HEADER))
            raise self._refusal(seen, status, code, message, page, throttled_s)

    def read_page(self, seen: Observation, page: int) -> dict[str, Any]:
        """Return the JSON object of a response of success. Raises Concluded."""
        if seen.body_truncated or has_more_values(seen.body, MAX_PAGE_VALUES):
            most = f"{MAX_PAGE_BYTES // 1024**2} MiB or {MAX_PAGE_VALUES:,} values"
            raise unknown(seen, self._place(f"The page has more than {most}: request less, such as by $select.", page))
        try:
            document = json.loads(seen.body, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise unknown(seen, self._place(f"{self._host} sent no JSON object ({seen.status}).", page))
        return document

    def _place(self, sentence: str, page: int) -> str:
        return sentence if page == 1 else f"Page {page}: {sentence}"

    def _refusal(
        self, seen: Observation, status: int, code: str, message: str, page: int, throttled_s: float | None
    ) -> Concluded:
        target, named = self._target, f"{status} {code}".strip()
        if status == 404 and page == 1 and target.subject and code.lower() not in _NOT_OF_TARGET:
            text = f"{target.subject} does not exist ({named}): it was deleted or moved, or its id is misspelt."
            return Concluded(replace(seen, error=ErrorClass.UNEXPECTED_STATUS, message=text))
        if status == 401:
            text = f"{self._host} did not accept the token of the app's identity ({named}): check its tenant."
        elif status == 403 or code.lower() in _HIDDEN:
            text = f"{self._host} refused the request ({named}): {self._missing_role(message)}"
            if code == "AuthorizationFailure":  # of storage
                text += " It can also be the firewall of the account."
        elif status == 429:
            text = f"{self._host} throttles ({named}): no requests until {self._in(throttled_s or 0)}."
        elif status >= 500:
            wait = f"; it wants none until {self._in(seen.retry_after_s)}" if seen.retry_after_s else ""
            text = f"{self._host} failed ({named}){wait}. This is not the target's fault."
        else:
            redacted = self._redact(message, cut=len(message) == _MAX_READ)
            cause = make_printable(redacted, _MAX_MESSAGE) if message else "it gave no reason."
            text = f"{self._host} did not accept the request ({named}): {cause}"
        return unknown(seen, self._place(text, page))

    def _missing_role(self, message: str) -> str:
        target, role, scope = self._target, self._target.role, next(iter(self._target.role_scopes), "")
        if _is_graph(target):
            named = role if "role" in target.model_fields_set else f"to read {target.path}"
            return f"the app's identity lacks the permission {named}; an administrator of the tenant grants it."
        if not scope.startswith("/"):
            return f"the app's identity lacks the role {role}{scope and f' at the {scope}'}."
        found = _OBJECT_ID.search(message)
        return (
            f"the app's identity lacks the role {role} at {scope}. Assign it: az role assignment create "
            f'--assignee {found[1] if found else "OBJECT_ID"} --role "{role}" --scope {shlex.quote(scope)}'
        )

    def _in(self, seconds: float) -> str:
        return format_instant(self._now() + timedelta(seconds=seconds))

    def describe_budget(self, key: LimitKey, seconds: float, *, is_blocked: bool) -> str:
        """Return why nothing was sent, a sentence."""
        if is_blocked:
            return f"Nothing was sent: Azure throttles {key}, no requests until {self._in(seconds)}."
        return (
            f"Nothing was sent: budget. The checks of this process use up the {key}, the next turn is in "
            f"{describe_seconds(round(seconds))}: check less often, or spread the jobs by jitter."
        )


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _is_graph(target: AzureTarget) -> bool:
    return isinstance(target, AzureResourceTarget) and target.is_graph


def read_error(body: bytes) -> tuple[str, str]:
    """Return code and message of an error response: `{"error": {"code": ..., "message": ...}}`; empty without them."""
    try:
        document = json.loads(body[:64_000])
    except (ValueError, RecursionError):
        return "", ""
    error = document.get("error", document) if isinstance(document, dict) else None
    if not isinstance(error, Mapping):
        return "", ""
    code, message = (error.get(name) for name in ("code", "message"))
    return (
        read_code(code),
        message[:_MAX_READ] if isinstance(message, str) else "",
    )


def read_code(value: Any) -> str:
    """Return an error code, such as `AuthorizationFailed`; empty for what cannot be one."""
    return value if isinstance(value, str) and _CODE.fullmatch(value) else ""
