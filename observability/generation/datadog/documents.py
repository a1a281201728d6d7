"""The documents for Datadog: their kinds, tags and the keys of items of their lists, and queries about metrics. Pure.

A metric has the tags of its declaration, `env` and `service`; the tag `job` and the tags of a job only where
`telemetry.metrics` splits it by job.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable

from observability import names
from observability.exporters.measurements import is_split_by_job
from observability.generation.document import GeneratedDocument, ItemKey, Json
from observability.generation.portfolio import Portfolio, PortfolioJob

BAD_OUTCOMES = ("failed", "timed_out", "rejected")
"""Outcomes of a run whose target is down."""
JUDGED_OUTCOMES = ("succeeded", *BAD_OUTCOMES)
"""Outcomes that count for the success rate: skipped and cancelled runs do not."""

WATCHDOG = "scheduler.watchdog"

_NOT_IN_TAGS = re.compile(r"[^\w./:-]")


def tag_value(text: str) -> str:
    """Return a value as Datadog stores it: in lower case, with `_` for characters that tags cannot have."""
    return _NOT_IN_TAGS.sub("_", text.lower())[:200]


def scope_tags(portfolio: Portfolio) -> tuple[str, str]:
    """Return the tags of everything that this deployment sends."""
    return (
        f"{names.TAG_ENV}:{tag_value(portfolio.datadog_env)}",
        f"{names.TAG_SERVICE}:{tag_value(portfolio.datadog_service)}",
    )


def make_scope(portfolio: Portfolio, *conditions: str) -> str:
    """Return the filter of a monitor's query, in braces: these conditions within the deployment."""
    return f"{{{' AND '.join((*scope_tags(portfolio), *conditions))}}}"


def is_in(tag: str, values: Iterable[str]) -> str:
    """Return the condition that a tag has one of the values."""
    found = sorted({tag_value(value) for value in values})
    return f"{tag}:{found[0]}" if len(found) == 1 else f"{tag} IN ({', '.join(found)})"


def is_split(metric: names.Metric, job: PortfolioJob) -> bool:
    """Whether the metric of a job has the tag `job`."""
    return is_split_by_job(metric, job.reporting.metrics)


def split_jobs(metric: names.Metric, jobs: Iterable[PortfolioJob]) -> tuple[PortfolioJob, ...]:
    """Return the jobs for which the metric has the tag `job`."""
    return tuple(job for job in jobs if is_split(metric, job))


DASHBOARD, MONITOR, OBJECTIVE = "dashboard", "monitor", "slo"
"""Kinds of documents."""

ITEM_KEYS: tuple[ItemKey, ...] = (("definition", "title"), ("name",), ("timeframe",), ("title",))
ID_TAG = "generated_id"
_NOT_IN_FILE_NAMES = re.compile(r"[^a-z0-9._-]+")


def make_document(kind: str, key: str, value: Json) -> GeneratedDocument:
    """Return the document with this key, which is the name of its file."""
    return GeneratedDocument(f"{kind}s/{key}.json", value, kind, ITEM_KEYS)


def make_key(*parts: str) -> str:
    """Return a text for file names and tags: another one for other parts, whatever characters they contain."""
    plain = _NOT_IN_FILE_NAMES.sub("-", "-".join(parts).lower())
    if plain == "-".join(parts):
        return plain[:100]
    return f"{plain[:80]}-{zlib.crc32('/'.join(parts).encode()):08x}"


def make_tags(key: str, portfolio: Portfolio, *more: str) -> list[str]:
    """Return the tags of a monitor or SLO, sorted. `generated_id` finds it again."""
    return sorted({*scope_tags(portfolio), f"{ID_TAG}:{make_id(key, portfolio)}", "generated:scheduler", *more})


def make_id(key: str, portfolio: Portfolio) -> str:
    """Return what identifies a document among those of all deployments of an organisation."""
    place = zlib.crc32(" ".join(scope_tags(portfolio)).encode())
    return f"{key}-{place:08x}"
