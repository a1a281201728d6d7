"""Requests with credentials, and a store of keys that can be unavailable."""

from __future__ import annotations

from scheduler.authentication.own import KeyVerifier
from scheduler.authentication.port import RequestCredentials
from scheduler.features.access.service import ApiKeyManager, NewKey
from scheduler.identity.principal import LOCAL_PRINCIPAL, Caller, ChangeSource, Role
from scheduler.stores.identity import ApiKeys
from tests.config.clock import ManualClock
from tests.scheduler.audit.memory_trail import MemoryAuditTrail
from tests.scheduler.stores.memory import MemoryStore

CALLER = Caller(LOCAL_PRINCIPAL, ChangeSource.COMMAND_LINE)


class KeyDesk:
    """A store with keys, and the verifier of one process."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore()
        self.keys = ApiKeys(self.store)
        self.trail = MemoryAuditTrail()
        self.manager = ApiKeyManager(self.keys, self.trail, self.clock)
        self.verifier = KeyVerifier(self.keys, self.clock)

    async def create(self, name: str = "deploy", role: Role = Role.OPERATOR, **values: object) -> tuple[str, str]:
        """The id and the text of a new key."""
        created = await self.manager.create(NewKey(name, role, **values), CALLER)  # type: ignore[arg-type]
        return created.id, created.key


def credentials(address: str = "10.0.0.1", function_name: str = "", **headers: str) -> RequestCredentials:
    """A request with these headers; `_` in a name is a hyphen."""
    given = {name.replace("_", "-"): [value] for name, value in headers.items()}
    return RequestCredentials(lambda name: given.get(name, []), address, function_name)
