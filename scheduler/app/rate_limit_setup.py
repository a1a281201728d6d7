"""Builds the limits of the API's requests from the settings. Called by scheduler.app.building."""

from __future__ import annotations

from scheduler.app.foundation import Foundation
from scheduler.rate_limits.limiter import RateLimits
from scheduler.rate_limits.quota import RateLimitRules


def build_rate_limits(foundation: Foundation) -> RateLimits:
    """SQLite has one process, which counts in memory. Processes that share a store count in it."""
    settings = foundation.settings
    rules = RateLimitRules(**settings.rate_limits.model_dump())
    return RateLimits(rules, foundation.clock, foundation.store if settings.uses_azure_storage else None)
