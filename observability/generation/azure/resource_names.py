"""Names and tags of the generated resources: the same for the same job set. Pure.

Called by the modules of observability.generation.azure.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Mapping, Sequence

from observability.generation.core.portfolio import Portfolio, PortfolioJob

GENERATOR_TAG = "generated-by"
GENERATOR = "scheduler"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:scheduler:generated")

MAX_TAGS = 20
"""Azure allows 50; the rest is for the people who own the resource group."""
_MAX_TAG_NAME, _MAX_TAG_VALUE = 128, 256
_FORBIDDEN_IN_TAG_NAMES = re.compile(r"[<>%&\\?/\x00-\x1f]")
_MAX_SLUG = 60


def make_slug(text: str) -> str:
    """Return the text as a part of a resource name: lower case, with a hash if that loses something."""
    slug = re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")[:_MAX_SLUG]
    if slug == text:
        return slug
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{slug}-{digest}" if slug else digest


def make_rule_name(portfolio: Portfolio, key: str) -> str:
    """Return the name of a rule. `key`: what distinguishes it from the other rules of the portfolio."""
    return f"{make_slug(portfolio.service)}-{make_slug(portfolio.environment)}-{key}"


def make_guid(portfolio: Portfolio, key: str) -> str:
    """Return a name where Azure demands a GUID."""
    return str(uuid.uuid5(_NAMESPACE, "\n".join((portfolio.service, portfolio.environment, key))))


def make_tags(portfolio: Portfolio, jobs: Sequence[PortfolioJob] = ()) -> dict[str, str]:
    """Return the tags of a resource: who generated it, and the tags that all of its jobs have in common."""
    shared = {key: value for key, value in _find_shared_tags(jobs).items() if _is_valid_tag(key, value)}
    own = {GENERATOR_TAG: GENERATOR, "service": portfolio.service, "environment": portfolio.environment}
    return {**dict(sorted(shared.items())[:MAX_TAGS]), **own}


def _find_shared_tags(jobs: Sequence[PortfolioJob]) -> Mapping[str, str]:
    if not jobs:
        return {}
    return {key: value for key, value in jobs[0].tags.items() if all(job.tags.get(key) == value for job in jobs)}


def _is_valid_tag(name: str, value: str) -> bool:
    return 0 < len(name) <= _MAX_TAG_NAME and len(value) <= _MAX_TAG_VALUE and not _FORBIDDEN_IN_TAG_NAMES.search(name)
