"""Creates the response of a long list in steps, so that due runs start in between.

The routes of jobs, runs and statistics use it. FastAPI would serialize the list at once: 500 runs occupy the event loop
for 10 ms.
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
    parts = await _serialize(items, create_model)
    body = b'{"%s":[%s],"continuation":%s}' % (name.encode(), parts, to_json(continuation))
    return Response(body, media_type="application/json", headers=headers)


async def create_response_with_list(
    start: ResponseModel, items: Iterable[Item], create_model: Callable[[Item], ResponseModel]
) -> Response:
    """Return `start`, whose last field is an empty list, with the items in this list."""
    body = to_json(start, by_alias=True).removesuffix(b"]}") + await _serialize(items, create_model) + b"]}"
    return Response(body, media_type="application/json")


async def _serialize(items: Iterable[Item], create_model: Callable[[Item], ResponseModel]) -> bytes:
    return b",".join(await convert_each(lambda item: to_json(create_model(item), by_alias=True), items))
