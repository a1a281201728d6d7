"""Silences and windows of a running scheduler, by its API: see scheduler.features.delivery.room."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.formats import format_duration
from scheduler.features.delivery.room import RemoteRoom
from scheduler.features.suppressions.models import (
    CreatedSilenceModel,
    CreatedWindowModel,
    SilenceListModel,
    SilenceModel,
    WindowListModel,
    WindowModel,
)
from scheduler.features.suppressions.service import NewSilence
from scheduler.identity.principal import Caller, Principal


class RemoteSuppressions(RemoteRoom):
    """See SuppressionQueries."""

    async def list_silences(
        self, principal: Principal, *, ended: bool = False, limit: int = 100, after: str = ""
    ) -> SilenceListModel:
        return await self.read(SilenceListModel, ("silences",), ended=ended, limit=limit, after=after)

    async def list_windows(
        self, principal: Principal, *, ended: bool = False, limit: int = 100, after: str = ""
    ) -> WindowListModel:
        return await self.read(WindowListModel, ("windows",), ended=ended, limit=limit, after=after)


class RemoteSilenceManager(RemoteRoom):
    """See SilenceManager."""

    async def create(self, new: NewSilence, caller: Caller) -> CreatedSilenceModel:
        select = new.select.model_dump(mode="json", exclude_defaults=True)
        length = None if new.seconds is None else format_duration(new.seconds)
        times = {"starts_at": new.starts_at, "ends_at": new.ends_at, "for": length}
        return await self.change(CreatedSilenceModel, ("silences",), {"select": select, "reason": new.reason, **times})

    async def end(self, silence: str, caller: Caller) -> SilenceModel:
        return await self.change(SilenceModel, ("silences", silence, "end"))

    async def delete(self, silence: str, caller: Caller) -> None:
        await self.send("DELETE", ("silences", silence))


class RemoteWindowManager(RemoteRoom):
    """See WindowManager."""

    async def create(self, definition: Mapping[str, Any], caller: Caller) -> CreatedWindowModel:
        return await self.change(CreatedWindowModel, ("windows",), definition)

    async def end(self, window: str, caller: Caller) -> WindowModel:
        return await self.change(WindowModel, ("windows", window, "end"))

    async def delete(self, window: str, caller: Caller) -> None:
        await self.send("DELETE", ("windows", window))
