"""The kinds of checks: a new one is a file beside this one and two lines below. Built by scheduler.app."""

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

# httpx goes without its command line, which would load rich and pygments: 3 MiB that nothing here needs.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # None: there is no such module


class Checks(dict[str, "Check"]):
    """Every check by its kind; together they are one. Each is made, and its libraries loaded, when it is asked for."""

    def __init__(self, makers: Mapping[str, Callable[[], Check]], close: Callable[[], None] = lambda: None) -> None:
        """`close`: closes what they share, after them."""
        super().__init__()
        self._makers = makers
        self._close = close

    def __missing__(self, kind: str) -> Check:
        """Raises KeyError for a kind that there is none of."""
        check = self[kind] = self._makers[kind]()
        return check

    def prepare(self, targets: Iterable[Target]) -> None:
        """Load what observations of these targets need: libraries take a tenth of a second and more, which would count
        as the target's response time. A kind that there is no check of is left to the run, which says so."""
        for target in targets:
            if target.kind in self._makers:
                self[target.kind].prepare(target)

    async def observe(self, target: Target, call: AttemptContext) -> Observation:
        """Ask the target by the check of its kind."""
        return await self[target.kind].observe(target, call)

    async def aclose(self) -> None:
        """Close those that were made."""
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
    """All checks. `guard`: where they may connect to. `user_agent`: how HTTP targets see this program, such as
    `scheduler/1.2.3`. `pings` and `clock`: without them there are no heartbeats. `traces`: whether HTTP targets get
    the ids of the run's trace. `bindings`: which targets get which secret; None: all get each. `ca_files`: reads those
    of targets. `judges`: who judges answers that are judged on the way; without them it is done inline."""

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
    """What several kinds use, made when the first of them is."""

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
