"""The target of a TCP check: a connection and a dialogue. Used by jobs.checks.kinds.tcp."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal, Self

from pydantic import ByteSize, Discriminator, Field, Tag, model_validator

from jobs.expectations.engines.regular_expressions import PatternField
from jobs.expectations.entry import Feature
from jobs.formats import format_host_port
from jobs.model_base import FrozenModel, TextOrSecret, discriminate_by_key
from jobs.policies import Timeouts
from jobs.targets.endpoints import Destination, Host, HostPort, IpVersion, Port
from jobs.targets.http import TlsOptions

MAX_DIALOGUE_LINES = 50


class SendLine(FrozenModel):
    """A text that is sent without a line end: add it, as in "PING\\r\\n"."""

    send: TextOrSecret


class ReceiveLine(FrozenModel):
    """Read until this regular expression matches in the text since the previous line."""

    receive: PatternField


class StartTlsLine(FrozenModel):
    """Start TLS, as after STARTTLS."""

    starttls: Literal[True]


DialogueLine = Annotated[
    Annotated[SendLine, Tag("send")]
    | Annotated[ReceiveLine, Tag("receive")]
    | Annotated[StartTlsLine, Tag("starttls")],
    Discriminator(discriminate_by_key("send", "receive", "starttls")),
]


class TcpTarget(FrozenModel):
    """A connection to a port, then the dialogue, line by line.

    `tls`: how the certificate is verified. With it, the handshake is first, or at the `starttls` of the dialogue.
    `server_name`: the name that the certificate must have, if it is not the host.
    `read_limit`: bytes that are buffered for a `receive`. The dialogue counts as idempotent: if it is not, use
    `retry: {attempts: 1}`.
    """

    TIMEOUTS: ClassVar[Timeouts] = Timeouts(attempt=5.0, run=15.0)
    FEATURES: ClassVar = frozenset(
        {Feature.FACTS, Feature.DURATION, Feature.BODY, Feature.CONNECTION, Feature.OPTIONAL_TLS, Feature.CERTIFICATE}
    )

    kind: Literal["tcp"]
    host: Host
    port: Port
    tls: TlsOptions | None = None
    server_name: Host | None = None
    ip_version: IpVersion | None = None
    dialogue: Annotated[tuple[DialogueLine, ...], Field(max_length=MAX_DIALOGUE_LINES)] = ()
    read_limit: ByteSize = Field(default=ByteSize(16 * 1024), ge=1, le=64 * 1024)

    @model_validator(mode="after")
    def _check_one_handshake(self) -> Self:
        handshakes = sum(isinstance(line, StartTlsLine) for line in self.dialogue)
        if handshakes > 1:
            raise ValueError("dialogue has more than one starttls: remove all but one")
        return self

    @property
    def starts_with_tls(self) -> bool:
        """Whether the connection starts with the handshake: with `tls`, unless the dialogue has a `starttls`."""
        return self.tls is not None and not any(isinstance(line, StartTlsLine) for line in self.dialogue)

    @property
    def endpoint(self) -> str:
        """The name of the target in logs and history."""
        return f"tcp://{format_host_port(self.host, self.port)}"

    @property
    def label(self) -> str:
        """The target as messages and pages name it."""
        return f"TCP {format_host_port(self.host, self.port)}"

    @property
    def idempotent(self) -> bool:
        """Always true."""
        return True

    def destinations(self) -> Iterator[Destination]:
        """Yield what a check connects to."""
        yield HostPort(self.host, self.port)
