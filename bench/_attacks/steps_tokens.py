"""Jobs of steps that sign in: each run saves another token, and what hostile targets give them to save is large."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from itertools import count
from typing import Any

from bench._attacks.harness import Attack, Scene, serving
from bench._parts import get_json

_NUMBERS = count()
_LINES = 7000


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A token as long as one of an identity provider; below /lines one of many lines; below /many fifty short ones."""
    path = (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1].decode()
    match path.split("/")[1]:
        case "sign-in":
            document: Any = {"token": f"eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.{secrets.token_urlsafe(870)}"}
        case "lines":
            document = {"token": "\n".join(f"{next(_NUMBERS):09}" for _ in range(_LINES))}
        case "many":
            document = {f"token{number}": secrets.token_urlsafe(240) for number in range(50)}
        case _:
            document = {"status": "well"}
    body = json.dumps(document).encode()
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body))
    await writer.drain()


def _job(url: str, path: str, save: Mapping[str, Any]) -> dict[str, Any]:
    sign_in = {"name": "sign in", "url": f"{url}/{path}", "save": save, "allow_plain_http": True}
    name = next(iter(save))
    look = {
        "name": "look",
        "url": "/look",
        "headers": {"Authorization": f"Bearer ${{{name}}}"},
        "expect": [{"json": "$.status", "equals": "well"}],
        "allow_plain_http": True,
    }
    return {"schedule": {"every": "1s"}, "check": {"kind": "steps", "steps": [sign_in, look]}, "retry": {"attempts": 1}}


def _outcomes(scene: Scene, job: str) -> set[str]:
    runs = get_json(f"{scene.scheduler.url}/api/runs?job={job}&limit=20")["runs"]
    return {run["outcome"] for run in runs if run["outcome"]}


class StepsTokens(Attack):
    """Twenty jobs of steps sign in each second: each run saves another token of 1,200 characters."""

    name = "steps-tokens"
    seconds = 60

    def server(self) -> AbstractContextManager[str]:
        """Give each sign-in a new token."""
        return serving(_answer)

    def jobs(self, url: str) -> Mapping[str, Any]:
        """More than a thousand tokens in the first 50 seconds."""
        return {f"steps-{number:02}": _job(url, "sign-in", {"token": {"json": "$.token"}}) for number in range(20)}

    def problems(self, scene: Scene) -> Iterator[str]:
        """Yield what the attack's own jobs did not do: they are honest."""
        outcomes = _outcomes(scene, "steps-00")
        if outcomes != {"succeeded"}:
            yield f"runs of steps-00 were to succeed: {outcomes or 'none is finished'}"


class StepsManyValues(Attack):
    """Jobs of steps save fifty secrets, or one of 7,000 lines, each second."""

    name = "steps-many-values"

    def server(self) -> AbstractContextManager[str]:
        """Give each request other values."""
        return serving(_answer)

    def jobs(self, url: str) -> Mapping[str, Any]:
        """Five jobs of each kind."""
        many = {f"token{number}": {"json": f"$.token{number}"} for number in range(50)}
        lines = {"token": {"json": "$.token"}}
        return {
            **{f"many-{number}": _job(url, "many", many) for number in range(5)},
            **{f"lines-{number}": _job(url, "lines", lines) for number in range(5)},
        }

    def problems(self, scene: Scene) -> Iterator[str]:
        """Yield it if a job that saves too much does not say so."""
        runs = get_json(f"{scene.scheduler.url}/api/runs?job=lines-0&outcome=failed&limit=5")["runs"]
        if not runs or "Nothing to save as token: the value has more than 65536 characters" not in runs[0]["message"]:
            yield f"runs of lines-0 were to say that the value is too large: {[run['message'] for run in runs[:1]]}"


ATTACKS = (StepsTokens(), StepsManyValues())
