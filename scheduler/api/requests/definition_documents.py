"""Documents with definitions, in JSON or YAML."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Depends, Request

from scheduler.api.requests.body_rules import JSON_TYPE

YAML_TYPE: Final = "application/yaml"
MAX_DOCUMENT_BYTES: Final = 256 * 1024
"""Bytes of about 500 jobs."""


class DefinitionBody:
    """The body of a request."""

    def __init__(self, content: bytes, is_json: bool) -> None:
        self.content = content
        self.is_json = is_json


async def read_document(request: Request) -> DefinitionBody:
    """Return the body. Whatever is wrong with it is a finding, not a problem of the request."""
    media_type = request.headers.get("content-type", JSON_TYPE).partition(";")[0].strip().lower()
    return DefinitionBody(await request.body(), media_type == JSON_TYPE)


DefinitionBodyDep = Annotated[DefinitionBody, Depends(read_document)]
