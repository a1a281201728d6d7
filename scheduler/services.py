"""What the API needs of the program: built by scheduler.app, served by scheduler.api, which do not know each other."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.ports import Clock
from scheduler.circuit_board import CircuitQueries
from scheduler.health import Health
from scheduler.heartbeats import HeartbeatQueries
from scheduler.operations import Operations
from scheduler.queries import JobAndRunQueries
from scheduler.secret_watch import SecretMonitor
from scheduler.uptimes import UptimeReader
from scheduler.watchdog import Watchdog


@dataclass(frozen=True, slots=True)
class Services:
    operations: Operations
    queries: JobAndRunQueries
    health: Health
    watchdog: Watchdog
    secret_monitor: SecretMonitor
    heartbeats: HeartbeatQueries
    uptimes: UptimeReader
    circuits: CircuitQueries
    clock: Clock
    environment: str
    version: str
