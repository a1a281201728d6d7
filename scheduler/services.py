"""What the API needs of the program: built by scheduler.app, served by scheduler.api, which do not know each other."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.ports import Clock
from scheduler.circuit_board import CircuitBoard
from scheduler.health import Health
from scheduler.heartbeats import HeartbeatViews
from scheduler.operations import Operations
from scheduler.queries import Queries
from scheduler.secret_watch import SecretWatch
from scheduler.uptimes import Uptimes
from scheduler.watchdog import Watchdog


@dataclass(frozen=True, slots=True)
class Services:
    operations: Operations
    queries: Queries
    health: Health
    watchdog: Watchdog
    secrets: SecretWatch
    heartbeats: HeartbeatViews
    uptimes: Uptimes
    circuits: CircuitBoard
    clock: Clock
    environment: str
    version: str
