"""Which secrets jobs use and whether they can be had; reading one again. Never a value."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path

from scheduler.api.dependencies import ServicesDep, reject_unknown_query
from scheduler.api.models.base import ResponseModel
from scheduler.api.problems import PROBLEM_RESPONSES
from scheduler.audit import ChangeSource
from scheduler.secrets.monitor import SecretView

router = APIRouter(
    prefix="/api/secrets",
    tags=["secrets"],
    responses=PROBLEM_RESPONSES,
    dependencies=[Depends(reject_unknown_query)],
)

SecretName = Annotated[str, Path(max_length=127, description="The secret's name, as jobs write it")]


class SecretModel(ResponseModel):
    """A secret that jobs use. `source` and `read_at`: null until this process has read it. `trouble`: why it cannot be
    had; empty if it can. `expires_at` and `expired`: what the vault's events say of its newest version. `hosts`: which
    hosts may get it, null for all; `tags`: for jobs with one of these tags alone, if there are any."""

    name: str
    jobs: list[str]
    source: str | None
    read_at: datetime | None
    trouble: str
    expires_at: datetime | None
    expired: bool
    hosts: list[str] | None
    tags: list[str]

    @classmethod
    def from_view(cls, view: SecretView) -> SecretModel:
        return cls(
            name=view.name,
            jobs=list(view.jobs),
            source=view.source,
            read_at=view.read_at,
            trouble=view.problem,
            expires_at=None if view.expiry is None else view.expiry.at,
            expired=view.expiry is not None and view.expiry.past,
            hosts=None if view.hosts is None else list(view.hosts),
            tags=list(view.tags),
        )


class SecretList(ResponseModel):
    secrets: list[SecretModel]


@router.get("")
async def list_secrets(uses: ServicesDep) -> SecretList:
    """The secrets that jobs use, as this process knows them. Values are never told."""
    return SecretList(secrets=[SecretModel.from_view(view) for view in await uses.secret_monitor.list_secrets()])


@router.post("/{name}/refresh")
async def refresh_secret(uses: ServicesDep, name: SecretName) -> SecretModel:
    """Read a secret again: here at once, in other processes at the next use after 15 s at the latest."""
    return SecretModel.from_view(await uses.operations.secrets.refresh(name, source=ChangeSource.API))
