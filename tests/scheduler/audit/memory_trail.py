"""An audit trail in memory, and the callers of tests."""

from __future__ import annotations

from scheduler.audit.trail import AuditedChange, Refusal
from scheduler.identity.principal import LOCAL_PRINCIPAL, Caller, ChangeSource, Principal, PrincipalKind, Role
from scheduler.stores.port import StoreUnavailable

API_CALLER = Caller(LOCAL_PRINCIPAL, ChangeSource.API, "127.0.0.1", "request-1")
COMMAND_CALLER = Caller(Principal(PrincipalKind.COMMAND_LINE, "ada@desk", Role.ADMIN), ChangeSource.COMMAND_LINE)


class MemoryAuditTrail:
    """`is_unavailable`: refuse entries, as a store that does not answer."""

    def __init__(self) -> None:
        self.changes: list[tuple[Caller, AuditedChange]] = []
        self.failures: list[tuple[AuditedChange, BaseException]] = []
        self.refusals: list[Refusal] = []
        self.is_unavailable = False

    @property
    def actions(self) -> list[tuple[str, str]]:
        return [(change.action, change.object_id) for _, change in self.changes]

    async def record(self, caller: Caller, change: AuditedChange) -> int:
        if self.is_unavailable:
            raise StoreUnavailable("the store does not answer")
        self.changes.append((caller, change))
        return len(self.changes)

    async def record_failure(self, caller: Caller, change: AuditedChange, error: BaseException, number: int) -> None:
        self.failures.append((change, error))

    async def record_refusal(self, refusal: Refusal) -> None:
        self.refusals.append(refusal)
