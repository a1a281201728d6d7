"""All self-checks of the scheduler: of its credentials, and of its network and clock.

Created by scheduler.app.alerting_setup.
"""

from __future__ import annotations

from datetime import datetime

from jobs.ports import SelfChecks
from jobs.running.self_checks.credentials import CREDENTIAL_ERRORS, CredentialChecks
from jobs.runs import ErrorClass


class OwnChecks:
    """Implements SelfChecks. `network`: what decides about all other errors."""

    def __init__(self, network: SelfChecks, credentials: CredentialChecks) -> None:
        self._network = network
        self._credentials = credentials

    def record(self, endpoint: str, error: ErrorClass | None) -> None:
        self._network.record(endpoint, error)

    async def explain(self, error: ErrorClass, since: datetime, endpoint: str = "") -> str | None:
        """Without a network there are no tokens either: then the network is the cause."""
        if error not in CREDENTIAL_ERRORS:
            return await self._network.explain(error, since, endpoint)
        cause = await self._credentials.explain(error)
        return cause and (await self._network.explain(ErrorClass.CONNECT_TIMEOUT, since) or cause)

    async def confirms_clock(self, since: datetime) -> bool:
        return await self._network.confirms_clock(since)

    async def confirms_way(self, since: datetime) -> bool:
        return await self._network.confirms_way(since)
