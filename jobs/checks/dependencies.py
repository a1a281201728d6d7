"""What checks are built from. Made by scheduler.app and tests, used by the modules of jobs.checks.kinds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from jobs.checks.binding.rules import UNRESTRICTED, Bindings
from jobs.checks.guard import Guard
from jobs.checks.outbound import DIRECT, Outbound

if TYPE_CHECKING:
    from jobs.checks.net.network import Network
    from jobs.checks.net.tls_contexts import CaFiles, TlsContexts
    from jobs.judging import Judge
    from jobs.ports import Clock, HeartbeatSource, Secrets, Tokens
    from jobs.redaction import Redactor


@dataclass(frozen=True)
class CheckDependencies:
    """`guard`: where checks may connect to. `user_agent`: sent to HTTP targets, such as `scheduler/1.2.3`. `traces`:
    whether HTTP targets get the ids of the run's trace. `publishes_spans`: whether spans of jobs without an own policy
    may be published. `bindings`: which targets get which secret."""

    secrets: Secrets
    tokens: Tokens
    redactor: Redactor
    guard: Guard
    user_agent: str = "scheduler"
    traces: bool = False
    publishes_spans: bool = True
    bindings: Bindings = UNRESTRICTED
    pings: HeartbeatSource | None = None
    """Required by heartbeats, as is `clock`."""
    clock: Clock | None = None
    ca_files: CaFiles | None = None
    """Reads the CA files of targets; None: from anywhere."""
    judges: Judge | None = None
    """Judge responses that are judged during the check; None: in the event loop."""
    outbound: Outbound = DIRECT
    """The proxy of HTTP targets that name none, and authorities that are trusted in addition."""

    @cached_property
    def network(self) -> Network:
        from jobs.checks.net.network import Network

        return Network(self.guard)

    @cached_property
    def contexts(self) -> TlsContexts:
        from jobs.checks.net.tls_contexts import TlsContexts

        return TlsContexts(self.ca_files, self.outbound.authorities)

    def close(self) -> None:
        """Close what the checks share."""
        if "network" in self.__dict__:
            self.network.close()
