"""The route for the OpenAPI description."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse

from scheduler.api.routing import ApiRouter

router = ApiRouter(in_schema=False, by_tag=True)


@router.read("/api/openapi.json")
async def get_openapi(request: Request) -> JSONResponse:
    """Return the OpenAPI description of all routes."""
    description: dict[str, Any] = request.app.openapi()
    return JSONResponse(description)
