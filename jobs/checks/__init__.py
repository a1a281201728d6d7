"""Run the checks of targets, one kind a module in jobs.checks.kinds. Built by scheduler.app."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobs.checks.binding.rules import Bindings
    from jobs.checks.files.ca_files import CaFiles
    from jobs.checks.guard.guard import Guard
    from jobs.checks.net.network import Network
    from jobs.checks.net.tls_contexts import TlsContexts
    from jobs.checks.port import AttemptContext, Check
    from jobs.judging import Judge
    from jobs.ports import Clock, HeartbeatSource, Secrets, Tokens
    from jobs.redaction import Redactor
    from jobs.runs import Observation
    from jobs.targets import Target

# httpx's command line would load rich and pygments, 3 MiB.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # None: the module does not exist


class Checks(dict[str, "Check"]):
    """All checks by kind. A check is built, and its libraries loaded, on its first use."""

    def __init__(self, makers: Mapping[str, Callable[[], Check]], close: Callable[[], None] = lambda: None) -> None:
        """`close`: closes what the checks share, after the checks."""
        super().__init__()
        self._makers = makers
        self._close = close

    def __missing__(self, kind: str) -> Check:
        """Build the check. Raises KeyError for an unknown kind."""
        check = self[kind] = self._makers[kind]()
        return check

    def prepare(self, targets: Iterable[Target]) -> None:
        """Load what observations of these targets need.

        Libraries take a tenth of a second and more to load, which would count as the target's response time. Unknown
        kinds are skipped: the run reports them.
        """
        for target in targets:
            if target.kind in self._makers:
                self[target.kind].prepare(target)

    async def observe(self, target: Target, call: AttemptContext) -> Observation:
        """Observe the target with the check of its kind."""
        return await self[target.kind].observe(target, call)

    async def aclose(self) -> None:
        """Close the checks that were built."""
        for check in self.values():
            await check.aclose()
        self._close()


def build_checks(
    secrets: Secrets,
    tokens: Tokens,
    redactor: Redactor,
    *,
    guard: Guard,
    user_agent: str = "scheduler",
    pings: HeartbeatSource | None = None,
    clock: Clock | None = None,
    traces: bool = False,
    bindings: Bindings | None = None,
    ca_files: CaFiles | None = None,
    judges: Judge | None = None,
) -> Checks:
    """Build all checks.

    `guard`: where they may connect to. `user_agent`: sent to HTTP targets, such as `scheduler/1.2.3`. `pings`, `clock`:
    required by heartbeats. `traces`: whether HTTP targets get the ids of the run's trace. `bindings`: which targets get
    which secret; None: each gets any. `ca_files`: reads the CA files of targets. `judges`: judge responses that are
    judged during the check; None: in the event loop.
    """

    shared = _Shared(guard, ca_files)

    def allowed() -> Bindings:
        from jobs.checks.binding.rules import UNRESTRICTED

        return UNRESTRICTED if bindings is None else bindings

    def http() -> Check:
        from jobs.checks.kinds.http import HttpCheck

        return HttpCheck(
            secrets,
            tokens,
            redactor,
            guard=guard,
            user_agent=user_agent,
            traces=traces,
            bindings=allowed(),
            contexts=shared.contexts,
        )

    def steps() -> Check:
        from jobs.checks.kinds.http import HttpCheck
        from jobs.checks.kinds.steps import StepsCheck

        one = checks["http"]
        assert isinstance(one, HttpCheck)
        return StepsCheck(one, redactor, judges)

    def tcp() -> Check:
        from jobs.checks.kinds.tcp import TcpCheck

        return TcpCheck(secrets, redactor, shared.network, shared.contexts, allowed(), judges)

    def dns() -> Check:
        from jobs.checks.kinds.dns import DnsCheck

        return DnsCheck(guard)

    def tls() -> Check:
        from jobs.checks.kinds.tls import TlsCheck

        return TlsCheck(shared.network, shared.contexts)

    def heartbeat() -> Check:
        from jobs.checks.kinds.heartbeat import HeartbeatCheck

        if pings is None or clock is None:
            raise KeyError("heartbeat")
        return HeartbeatCheck(pings, secrets, clock, redactor)

    makers = {"http": http, "steps": steps, "tcp": tcp, "dns": dns, "tls": tls, "heartbeat": heartbeat}
    checks = Checks(makers, shared.close)
    return checks


class _Shared:
    """What several kinds use, built on first use."""

    def __init__(self, guard: Guard, ca_files: CaFiles | None) -> None:
        self._guard = guard
        self._ca_files = ca_files

    @cached_property
    def network(self) -> Network:
        from jobs.checks.net.network import Network

        return Network(self._guard)

    @cached_property
    def contexts(self) -> TlsContexts:
        from jobs.checks.net.tls_contexts import TlsContexts

        return TlsContexts(self._ca_files)

    def close(self) -> None:
        if "network" in self.__dict__:
            self.network.close()
