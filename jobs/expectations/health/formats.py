"""The formats of health documents, and how one is recognised. Called by jobs.expectations.entries.health. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from jobs.expectations.health import aspnet, health_json, spring
from jobs.expectations.health.aspnet import read_aspnet
from jobs.expectations.health.document import HealthDocument, NotHealthDocument, lower_keys, make_document, read_word
from jobs.expectations.health.health_json import read_health_json
from jobs.expectations.health.microprofile import read_microprofile
from jobs.expectations.health.spring import read_spring

_MAX_PLAIN_ANSWER = 100
"""Characters of an answer that can be a status alone."""


class HealthFormat(StrEnum):
    ASPNET = "aspnet"
    SPRING = "spring"
    MICROPROFILE = "microprofile"
    HEALTH_JSON = "health_json"
    AUTO = "auto"
    """Recognised by media type and shape."""


FORMAT_NAMES = {  # behind "a health document"
    HealthFormat.ASPNET: " of ASP.NET Core",
    HealthFormat.SPRING: " of Spring Boot",
    HealthFormat.MICROPROFILE: " of MicroProfile Health",
    HealthFormat.HEALTH_JSON: " (application/health+json)",
    HealthFormat.AUTO: " of a known format",
}
_READERS: Mapping[HealthFormat, Callable[[Any], HealthDocument | None]] = {
    HealthFormat.ASPNET: read_aspnet,
    HealthFormat.SPRING: read_spring,
    HealthFormat.MICROPROFILE: read_microprofile,
    HealthFormat.HEALTH_JSON: read_health_json,
}


def read_plain_status(text: str, expected: HealthFormat) -> HealthDocument | None:
    """Return the document of an answer that is a status of ASP.NET alone, such as `Unhealthy`; None for any other."""
    if expected not in (HealthFormat.ASPNET, HealthFormat.AUTO) or len(text) > _MAX_PLAIN_ANSWER:
        return None
    word = text.strip().strip('"')
    return make_document(word) if word.lower() in aspnet.WORDS else None


def read_document(value: Any, media_type: str, expected: HealthFormat) -> HealthDocument:
    """Return the document of a JSON value. Raises NotHealthDocument."""
    found = recognize_format(value, media_type) if expected is HealthFormat.AUTO else expected
    document = None if found is None else _READERS[found](value)
    if document is None:
        raise NotHealthDocument("JSON that is not such a document")
    return document


def recognize_format(value: Any, media_type: str) -> HealthFormat | None:
    """Return the format of a JSON value; None if it has another shape."""
    if not isinstance(value, Mapping):
        return None
    media_type = media_type.lower()
    if media_type.startswith("application/health+json"):
        return HealthFormat.HEALTH_JSON
    if media_type.startswith("application/vnd.spring-boot.actuator."):
        return HealthFormat.SPRING
    keys = lower_keys(value)
    word = read_word(keys.get("status", keys.get("outcome", keys.get("overallstatus")))).lower()
    if word in aspnet.WORDS or isinstance(keys.get("status"), int):
        return HealthFormat.ASPNET
    if isinstance(keys.get("checks"), list):
        return HealthFormat.MICROPROFILE
    if isinstance(keys.get("checks"), Mapping) or word in health_json.WORDS:
        return HealthFormat.HEALTH_JSON
    return HealthFormat.SPRING if word in spring.WORDS or "components" in keys else None
