"""What a TCP check asks: a connection, and what is said on it. The check itself is jobs/checks/kinds/tcp.py."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import ByteSize, Discriminator, Field, Tag, model_validator

from jobs.expectations.engines.regular_expressions import PatternField
from jobs.model_base import FrozenModel, TextOrSecret, discriminate_by_key
from jobs.policies import Timeouts
from jobs.targets.endpoint_types import Host, IpVersion, Port, format_host_port
from jobs.targets.http import TlsOptions

MOST_DIALOGUE_LINES = 50


class SendLine(FrozenModel):
    """A text that is sent as it is: write a line's end yourself, as in "PING\\r\\n"."""

    send: TextOrSecret


class ReceiveLine(FrozenModel):
    """Reading goes on until this regular expression is found in what arrives after the line before."""

    receive: PatternField


class StartTlsLine(FrozenModel):
    """TLS from here on, as after STARTTLS."""

    starttls: Literal[True]


DialogueLine = Annotated[
    Annotated[SendLine, Tag("send")]
    | Annotated[ReceiveLine, Tag("receive")]
    | Annotated[StartTlsLine, Tag("starttls")],
    Discriminator(discriminate_by_key("send", "receive", "starttls")),
]


class TcpTarget(FrozenModel):
    """A connection to a port that must be accepted; then the dialogue, line by line.

    `tls`: how the certificate is checked. With it the handshake comes first, or at the `starttls` of the dialogue.
    `server_name`: whom the certificate must be for, if it is not the host.
    `read_limit`: bytes that are kept while a `receive` is looked for. What is sent counts as harmless to repeat: for
    what is not, say `retry: {attempts: 1}`.
    """

    TIMEOUTS: ClassVar[Timeouts] = Timeouts(attempt=5.0, run=15.0)

    kind: Literal["tcp"]
    host: Host
    port: Port
    tls: TlsOptions | None = None
    server_name: Host | None = None
    ip_version: IpVersion | None = None
    dialogue: Annotated[tuple[DialogueLine, ...], Field(max_length=MOST_DIALOGUE_LINES)] = ()
    read_limit: ByteSize = Field(default=ByteSize(16 * 1024), ge=1, le=64 * 1024)

    @model_validator(mode="after")
    def _check_one_handshake(self) -> Self:
        handshakes = sum(isinstance(line, StartTlsLine) for line in self.dialogue)
        if handshakes > 1:
            raise ValueError("dialogue starts TLS twice: a connection has one handshake")
        return self

    @property
    def starts_with_tls(self) -> bool:
        """Whether the connection begins with the handshake: with `tls`, unless the dialogue starts it."""
        return self.tls is not None and not any(isinstance(line, StartTlsLine) for line in self.dialogue)

    @property
    def endpoint(self) -> str:
        """The target for logs and history."""
        return f"tcp://{format_host_port(self.host, self.port)}"

    @property
    def idempotent(self) -> bool:
        """Asking again does no harm."""
        return True
