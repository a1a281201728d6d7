"""The caller of a command: the user of the operating system. Called by scheduler.cli.commands."""

from __future__ import annotations

import os
import socket

from scheduler.identity.caller import Caller, ChangeSource
from scheduler.identity.principal import Principal, PrincipalKind, Role


def command_caller() -> Caller:
    """Return the caller of this process. Its name is that of the account, not of a variable that a user can set."""
    principal = Principal(PrincipalKind.COMMAND_LINE, f"{_account()}@{socket.gethostname()}", Role.ADMIN)
    return Caller(principal, ChangeSource.COMMAND_LINE)


def _account() -> str:
    try:
        import pwd
    except ImportError:  # Windows
        return os.environ.get("USERNAME", "unknown")
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container without an entry in /etc/passwd
        return f"uid-{os.getuid()}"
