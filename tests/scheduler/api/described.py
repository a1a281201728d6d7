"""Compares answers of the API with its OpenAPI document."""

from __future__ import annotations

import re
from typing import Any

import httpx
from fastapi import FastAPI

_documents: dict[str, Any] = {}


def check_described(answer: httpx.Response, app: FastAPI) -> None:
    """Fail if the document does not describe the status for the operation. Other methods and paths pass."""
    method = {"HEAD": "get"}.get(answer.request.method, answer.request.method.lower())
    operation = _find_operation(_paths(app), method, answer.request.url.raw_path.partition(b"?")[0].decode())
    if operation is not None and answer.status_code != 405:
        described = f"{answer.request.method} {answer.request.url.path} describes {', '.join(operation['responses'])}"
        assert str(answer.status_code) in operation["responses"], (
            f"{described}, not {answer.status_code}: {answer.text}"
        )


def _paths(app: FastAPI) -> dict[str, Any]:
    """The paths are those of every app, so they are read once."""
    if not _documents:
        _documents.update(app.openapi()["paths"])
    return _documents


def _find_operation(paths: dict[str, Any], method: str, path: str) -> dict[str, Any] | None:
    """The operation of the path with the fewest parameters; None if no one serves the path or the method."""
    fitting = [each for each in paths if re.fullmatch(re.sub(r"{\w+}", "[^/]+", each), path) and method in paths[each]]
    found: dict[str, Any] | None = paths[min(fitting, key=lambda each: each.count("{"))][method] if fitting else None
    return found
