"""The routes that list the secrets of jobs and refresh one. They never return a value."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from scheduler.api.routing import ApiRouter, CallerDep, ServicesDep
from scheduler.features.secrets.models import SecretList, SecretModel

router = ApiRouter("secrets")

SecretName = Annotated[
    str, Path(max_length=127, description="The secret's name, as in job files", examples=["checkout-token"])
]


@router.read("/api/secrets")
async def list_secrets(services: ServicesDep) -> SecretList:
    """List the secrets that jobs use, as this process knows them, without values."""
    return await services.secret_monitor.list_secrets()


@router.operate("/api/secrets/{name}/refresh")
async def refresh_secret(services: ServicesDep, caller: CallerDep, name: SecretName) -> SecretModel:
    """Read a secret again: in this process now, in others at its first use after at most 15 s."""
    return await services.operations.secrets.refresh(name, caller=caller)
