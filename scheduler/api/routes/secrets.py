"""The routes that list the secrets of jobs and refresh one. They never return a value."""

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

SecretName = Annotated[str, Path(max_length=127, description="The secret's name, as in job files")]


class SecretModel(ResponseModel):
    """A secret that jobs use. `source` and `read_at` are null until this process has read it.

    `error`: why it is unavailable; empty if it is available. `expires_at`, `expired`: of its newest version, from the
    events of the vault. `hosts`: hosts that can receive it, null for all. `tags`: restrict it to jobs with one of these
    tags.
    """

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
    """List the secrets that jobs use, as this process knows them, without values."""
    return SecretList(secrets=[SecretModel.from_view(view) for view in await uses.secret_monitor.list_secrets()])


@router.post("/{name}/refresh")
async def refresh_secret(uses: ServicesDep, name: SecretName) -> SecretModel:
    """Read a secret again: in this process now, in others at its first use after at most 15 s."""
    return SecretModel.from_view(await uses.operations.secrets.refresh(name, source=ChangeSource.API))
