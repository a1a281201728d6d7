"""Dead letters of a running scheduler, by its API: see scheduler.features.delivery.room."""

from __future__ import annotations

from scheduler.errors import NotFound
from scheduler.features.dead_letters.models import DeadLetterDetail, DeadLetterList, ReplayModel
from scheduler.features.dead_letters.service import LetterFilter
from scheduler.features.delivery.room import RemoteRoom
from scheduler.features.runs.models import RunModel
from scheduler.identity.principal import Caller, Principal


class RemoteDeadLetters(RemoteRoom):
    """See DeadLetterQueries."""

    async def list_page(
        self, *, job: str | None = None, limit: int = 50, continuation: str | None = None
    ) -> DeadLetterList:
        return await self.read(DeadLetterList, ("dead-letters",), job=job, limit=limit, after=continuation)

    async def find(self, letter_id: str, principal: Principal) -> DeadLetterDetail | None:
        try:
            return await self.read(DeadLetterDetail, ("dead-letters", letter_id))
        except NotFound:
            return None


class RemoteDeadLetterReplayer(RemoteRoom):
    """See DeadLetterReplayer."""

    async def replay(self, letter_id: str, *, caller: Caller) -> RunModel:
        return await self.change(RunModel, ("dead-letters", letter_id, "replay"))

    async def replay_all(
        self, letter_filter: LetterFilter, *, per_second: float, limit: int, dry_run: bool = False, caller: Caller
    ) -> ReplayModel:
        criteria = {name: getattr(letter_filter, name) for name in ("job", "reason", "after", "before")}
        pace = {"per_second": per_second, "limit": limit, "dry_run": dry_run}
        return await self.change(ReplayModel, ("dead-letters", "replay"), {**criteria, **pace})

    async def discard(self, letter_id: str, *, caller: Caller) -> None:
        await self.send("DELETE", ("dead-letters", letter_id))
