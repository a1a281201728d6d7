"""The targets of database checks: a sign-in, the role of the server, and at most one read-only statement.

Used by jobs.checks.databases and the kinds of jobs.checks.kinds. Their drivers are an optional group of dependencies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from jobs.expectations.entry import Feature
from jobs.formats import format_host_port
from jobs.model_base import Duration, FrozenModel, SecretRef, TextOrSecret
from jobs.policies import Timeouts
from jobs.targets.endpoints import Destination, Host, HostPort, IpVersion, Port
from jobs.targets.http import TlsOptions

MISSING_DRIVERS = (
    "the drivers of databases are not installed: use the image whose tag ends in -databases, or install "
    "requirements-databases.txt"
)
"""A clause, for jobs that need one."""
MAX_STATEMENT = 4000
"""Characters."""
_READING = re.compile(r"\s*(?:select|with|show|values|table|explain|describe)\b", re.IGNORECASE)
_WRITING = re.compile(r"\binto\s+(?:outfile|dumpfile)\b|\bfor\s+(?:update|share)\b", re.IGNORECASE)


_T_SQL_WRITING = re.compile(
    r"\b(?:alter|backup|begin|bulk|commit|create|dbcc|delete|deny|drop|exec|execute|grant|insert|into|kill|merge|"
    r"openquery|openrowset|reconfigure|restore|revoke|rollback|set|shutdown|truncate|update|use|waitfor)\b|--|/\*",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"'(?:[^']|'')*'|\[(?:[^\]]|\]\])*\]|\"[^\"]*\"")


def _check_statement(statement: str) -> str:
    text = statement.strip().removesuffix(";").rstrip()
    if ";" in text:
        raise ValueError("must be one statement without a semicolon: compare the result with expectations instead")
    if not _READING.match(text) or _WRITING.search(text):
        raise ValueError("must be a statement that only reads, such as SELECT count(*) AS waiting FROM orders")
    return text


Statement = Annotated[str, Field(min_length=1, max_length=MAX_STATEMENT), AfterValidator(_check_statement)]


class DatabaseTarget(FrozenModel):
    """A sign-in to a database server.

    `password`: of the user. `entra`: sign in with a token of the app's managed identity instead of a password.
    `role`: what the server must be; a primary that answers as a replica fails with `read_only`.
    `tls`: how the certificate is verified; `none` sends everything in the clear, where a password can be read.
    `server_name`: the name that the certificate must have, if it is not the host.
    """

    TIMEOUTS: ClassVar[Timeouts] = Timeouts(attempt=10.0, run=30.0)
    FEATURES: ClassVar = frozenset({Feature.FACTS, Feature.DURATION, Feature.JSON, Feature.CERTIFICATE})
    ENTRA_SCOPE: ClassVar[str]
    NAME: ClassVar[str]
    """Of the product, for people."""
    DRIVER: ClassVar[str]
    """The module of its driver."""

    kind: str
    host: Host
    port: Port
    user: TextOrSecret | None = None
    password: SecretRef | None = None
    entra: bool = False
    role: Literal["primary", "replica"] | None = None
    tls: TlsOptions | Literal["none"] = TlsOptions()
    server_name: Host | None = None
    ip_version: IpVersion | None = None

    @model_validator(mode="after")
    def _check_sign_in(self) -> Self:
        if self.entra and self.password is not None:
            raise ValueError("entra and password cannot be combined: a token takes the place of the password")
        if self.entra and self.tls == "none":
            raise ValueError("entra needs tls: a token must not be readable on the network")
        if isinstance(self.tls, TlsOptions) and self.tls.client_certificate is not None:
            raise ValueError("tls.client_certificate is not supported for databases: use a password or entra")
        return self

    @property
    def tls_options(self) -> TlsOptions | None:
        """None without TLS."""
        return self.tls if isinstance(self.tls, TlsOptions) else None

    @property
    def endpoint(self) -> str:
        """The name of the target in logs and history."""
        return f"{self.kind}://{format_host_port(self.host, self.port)}"

    @property
    def label(self) -> str:
        """The target as messages and pages name it."""
        return f"{self.NAME} {format_host_port(self.host, self.port)}"

    @property
    def idempotent(self) -> bool:
        """Always true: statements only read."""
        return True

    def destinations(self) -> Iterator[Destination]:
        """Yield what a check connects to."""
        yield HostPort(self.host, self.port)


class SqlTarget(DatabaseTarget):
    """`statement`: one that only reads; its rows are the body, `{"rows": [{column: value}]}`.

    `statement_timeout`: after which the server ends it. `max_rows`: more fail the check.
    """

    user: TextOrSecret
    database: str = Field(default="", max_length=128)
    statement: Statement | None = None
    statement_timeout: Annotated[Duration, Field(ge=0.1, le=300)] = 5.0
    max_rows: int = Field(default=100, ge=1, le=1000)


class PostgresTarget(SqlTarget):
    """PostgreSQL, and Azure Database for PostgreSQL."""

    ENTRA_SCOPE: ClassVar = "https://ossrdbms-aad.database.windows.net/.default"
    NAME: ClassVar = "PostgreSQL"
    DRIVER: ClassVar = "pg8000"

    kind: Literal["postgres"]
    port: Port = 5432


class MysqlTarget(SqlTarget):
    """MySQL, MariaDB, and Azure Database for MySQL."""

    ENTRA_SCOPE: ClassVar = "https://ossrdbms-aad.database.windows.net/.default"
    NAME: ClassVar = "MySQL"
    DRIVER: ClassVar = "pymysql"

    kind: Literal["mysql"]
    port: Port = 3306


class SqlServerTarget(SqlTarget):
    """SQL Server, Azure SQL Database and Azure SQL Managed Instance.

    With `entra`, the token names the user: `user` is only shown.
    """

    ENTRA_SCOPE: ClassVar = "https://database.windows.net/.default"
    NAME: ClassVar = "SQL Server"
    DRIVER: ClassVar = "pytds"

    kind: Literal["sqlserver"]
    port: Port = 1433

    @field_validator("statement")
    @classmethod
    def _refuse_second_statement(cls, statement: str | None) -> str | None:
        # T-SQL needs no semicolon between two statements, and has no transaction that only reads.
        found = None if statement is None else _T_SQL_WRITING.search(_QUOTED.sub("''", statement))
        if found is not None:
            raise ValueError(f"must be one statement that only reads, without {found[0].upper()}")
        return statement


_READING_COMMANDS = frozenset(
    ("DBSIZE", "EXISTS", "GET", "HEXISTS", "HGET", "HLEN", "LLEN", "PING", "SCARD", "STRLEN", "TTL", "XLEN", "ZCARD")
)


def _check_command(command: tuple[str, ...]) -> tuple[str, ...]:
    if command[0].upper() not in _READING_COMMANDS:
        known = ", ".join(sorted(_READING_COMMANDS))
        raise ValueError(f"{command[0][:40]!r} is not a command that only reads one value: use one of {known}")
    return command


class RedisTarget(DatabaseTarget):
    """Redis, Valkey, Azure Cache for Redis and Azure Managed Redis.

    `command`: one that reads a value, such as `[LLEN, orders]`; the body is `{"rows": [{"value": 3}]}`.
    """

    ENTRA_SCOPE: ClassVar = "https://redis.azure.com/.default"
    NAME: ClassVar = "Redis"
    DRIVER: ClassVar = "redis"

    kind: Literal["redis"]
    port: Port = 6380
    database: int = Field(default=0, ge=0, le=1023)
    command: Annotated[
        tuple[Annotated[str, Field(max_length=512)], ...],
        Field(min_length=1, max_length=8),
        AfterValidator(_check_command),
    ] = ("PING",)
