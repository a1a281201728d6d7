"""Creates the response of a long list in steps, so that due runs start in between.

Called by scheduler.api.routes.jobs and scheduler.api.routes.runs. FastAPI would serialize the list at once: 500 runs
occupy the event loop for 10 ms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from fastapi import Response
from pydantic_core import to_json

from scheduler.api.models.base import ResponseModel
from scheduler.turns import convert_each

Item = TypeVar("Item")


async def create_list_response(
    name: str,
    items: Iterable[Item],
    create_model: Callable[[Item], ResponseModel],
    continuation: str | None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return `{"<name>": [...], "continuation": ...}`, as the model of the list would be serialized."""

    def serialize(item: Item) -> bytes:
        return to_json(create_model(item), by_alias=True)

    parts = b",".join(await convert_each(serialize, items))
    body = b'{"%s":[%s],"continuation":%s}' % (name.encode(), parts, to_json(continuation))
    return Response(body, media_type="application/json", headers=headers)
