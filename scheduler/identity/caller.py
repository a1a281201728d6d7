"""The caller of an operation: who, by which way, from where. Given to every operation, recorded by the audit trail."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from scheduler.identity.principal import PROGRAM_PRINCIPAL, Principal


class ChangeSource(StrEnum):
    """Where a change was requested."""

    API = "over the API"
    COMMAND_LINE = "on the command line"
    PING = "by a ping of its heartbeat"
    FILES = "by the job files"


@dataclass(frozen=True, slots=True)
class Caller:
    """`address`: of the client, without a port; empty if unknown. `request_id`: of the HTTP request, empty without."""

    principal: Principal
    source: ChangeSource
    address: str = ""
    request_id: str = ""


JOB_FILES_CALLER: Final = Caller(PROGRAM_PRINCIPAL, ChangeSource.FILES)
PING_CALLER: Final = Caller(PROGRAM_PRINCIPAL, ChangeSource.PING)
