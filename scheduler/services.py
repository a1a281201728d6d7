"""What the API uses of the program. Built by scheduler.app, used by scheduler.api: neither imports the other."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.ports import Clock
from scheduler.audit.trail import AuditTrail
from scheduler.authentication.authentication import Authentication
from scheduler.health.report import Health
from scheduler.operations import Operations
from scheduler.queries.audit import AuditQueries
from scheduler.queries.circuits import CircuitQueries
from scheduler.queries.heartbeats import HeartbeatQueries
from scheduler.queries.jobs_and_runs import JobAndRunQueries
from scheduler.queries.uptime import UptimeReader
from scheduler.rate_limits.limiter import RateLimits
from scheduler.secrets.monitor import SecretMonitor
from scheduler.stores.idempotency import IdempotencyRecords
from scheduler.watchdog import Watchdog


@dataclass(frozen=True, slots=True)
class Services:
    audit: AuditTrail
    audit_queries: AuditQueries
    operations: Operations
    queries: JobAndRunQueries
    health: Health
    watchdog: Watchdog
    secret_monitor: SecretMonitor
    heartbeats: HeartbeatQueries
    uptimes: UptimeReader
    circuits: CircuitQueries
    rate_limits: RateLimits
    idempotency: IdempotencyRecords
    authentication: Authentication
    clock: Clock
    environment: str
    version: str
