"""What channels need in tests: a service on loopback with scripted answers, resources, and messages.

async with NotificationService(Answer(503), Answer.of_json({"ok": True})) as service:
    async with resources(secrets={"key": "value"}) as shared:
        await make_channel(kind="webhook", url=service.url).create_sender(shared).send(message(), None)
    service.requests
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from jobs.incidents.values import TransitionKind
from jobs.model_base import FILE_CONTEXT, FrozenModel
from jobs.notifications.channels import Channel
from jobs.notifications.port import Message, SendFailed
from jobs.notifications.templates.incident_message import sample_message
from tests.parts.http_server import Answer, HttpServer, Request
from tests.parts.tls import TlsKind, client_context


class NotificationService(HttpServer):
    """Gives the answers in order, the last one again and again."""

    def __init__(self, *answers: Answer, tls: TlsKind | None = None) -> None:
        super().__init__(tls=tls)
        self.answers = list(answers) or [Answer()]

    def answer(self, request: Request) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@dataclass
class LoopbackResources:
    """The ChannelResources of tests. `denied`: hosts that the target guard refuses."""

    http: httpx.AsyncClient
    secrets: Mapping[str, str]
    denied: frozenset[str] = frozenset()
    scopes: list[str] = field(default_factory=list)

    @property
    def tls(self) -> ssl.SSLContext:
        return client_context()

    async def read_secret(self, name: str) -> str:
        try:
            return self.secrets[name]
        except KeyError:
            raise SendFailed(f"the secret {name} does not exist") from None

    async def get_token(self, scope: str) -> str:
        self.scopes.append(scope)
        return "t0ken-of-the-identity"

    async def connect(self, host: str, port: int) -> socket.socket:
        await self.check_host(host, port)
        try:
            return socket.create_connection((host, port), timeout=5)
        except OSError as error:
            raise SendFailed(f"the connection to {host}:{port} failed: {error}") from None

    async def check_host(self, host: str, port: int) -> None:
        if host in self.denied:
            raise SendFailed(f"{host} is not an allowed host", is_permanent=True)


@contextlib.asynccontextmanager
async def resources(
    secrets: Mapping[str, str] | None = None, denied: frozenset[str] = frozenset()
) -> AsyncIterator[LoopbackResources]:
    async with httpx.AsyncClient(verify=client_context(), trust_env=False) as client:
        yield LoopbackResources(client, {} if secrets is None else secrets, denied)


def message(kind: TransitionKind = TransitionKind.OPENED, number: int = 1, **changed: Any) -> Message:
    """The sample message of a transition."""
    return replace(sample_message(kind, number), **changed)


class _Holder(FrozenModel):
    """As a job file contains a channel."""

    channel: Channel


def make_channel(**values: Any) -> Any:
    """Validate a channel as a job file does. Raises ValidationError, which shows no values."""
    return _Holder.model_validate({"channel": values}, context=FILE_CONTEXT).channel
