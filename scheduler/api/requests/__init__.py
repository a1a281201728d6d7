"""Checks of a request before its route. Added to every app by scheduler.api.middleware.common."""

from scheduler.api.requests.body_rules import BodyRules, RouteBody
from scheduler.api.requests.guard import RequestGuard
from scheduler.api.requests.hosts import ANY_HOST
from scheduler.api.requests.read_limiter import ReadLimiter

__all__ = ["ANY_HOST", "BodyRules", "ReadLimiter", "RequestGuard", "RouteBody"]
