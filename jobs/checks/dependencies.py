"""What checks are built from. Made by scheduler.app and tests, used by the modules of jobs.checks.kinds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from time import monotonic
from typing import TYPE_CHECKING, cast

from jobs.checks.binding.rules import UNRESTRICTED, Bindings
from jobs.checks.guard import Guard
from jobs.checks.outbound import DIRECT, Outbound

if TYPE_CHECKING:
    from jobs.checks.azure.budget import AzureBudget
    from jobs.checks.azure.client import AzureClient, HttpObserver
    from jobs.checks.net.network import Network
    from jobs.checks.net.tls_contexts import CaFiles, TlsContexts
    from jobs.checks.port import Check
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

    @cached_property
    def azure_budget(self) -> AzureBudget:
        """Shared by all checks that ask Azure's APIs."""
        from jobs.checks.azure.budget import AzureBudget

        return AzureBudget(monotonic if self.clock is None else self.clock.monotonic)

    def make_azure_client(self, checks: Mapping[str, Check]) -> AzureClient:
        """Return a client over the HTTP check."""
        from jobs.checks.azure.client import AzureClient

        http = cast("HttpObserver", checks["http"])
        return AzureClient(http, self.azure_budget, self.redactor, self.clock)

    def close(self) -> None:
        """Close what the checks share."""
        if "network" in self.__dict__:
            self.network.close()
