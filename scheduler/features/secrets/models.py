"""The secrets of jobs as the API, the commands and the page show them."""

from __future__ import annotations

from datetime import datetime

from scheduler.model_base import ListModel, ResponseModel, example_values


class SecretModel(ResponseModel):
    """A secret that jobs use. `source` and `read_at` are null until this process has read it.

    `error`: why it is unavailable; empty if it is available. `expires_at`, `expired`: of its newest version, from the
    events of the vault. `is_expiring`: the vault has announced its end, also if `expires_at` is not known. `hosts`:
    hosts that can receive it, null for all. `tags`: restrict it to jobs with one of these tags.
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
    is_expiring: bool = False


class SecretList(ListModel[SecretModel]):
    secrets: list[SecretModel]
