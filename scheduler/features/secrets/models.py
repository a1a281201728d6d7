"""Response models of secrets."""

from __future__ import annotations

from datetime import datetime

from scheduler.features.secrets.service import SecretView
from scheduler.model_base import ResponseModel, example_values


class SecretModel(ResponseModel):
    """A secret that jobs use. `source` and `read_at` are null until this process has read it.

    `error`: why it is unavailable; empty if it is available. `expires_at`, `expired`: of its newest version, from the
    events of the vault. `hosts`: hosts that can receive it, null for all. `tags`: restrict it to jobs with one of these
    tags.
    """

    model_config = example_values(
        name="checkout-token", source="key_vault", error="", hosts=["checkout.example.com"], tags=[]
    )

    name: str
    jobs: list[str]
    source: str | None
    read_at: datetime | None
    error: str
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
            error=view.problem,
            expires_at=None if view.expiry is None else view.expiry.at,
            expired=view.expiry is not None and view.expiry.past,
            hosts=None if view.hosts is None else list(view.hosts),
            tags=list(view.tags),
        )


class SecretList(ResponseModel):
    secrets: list[SecretModel]
