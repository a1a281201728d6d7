"""Who a command runs as, for the audit trail."""

from __future__ import annotations

import os
import socket

import pytest

from scheduler.identity.principal import ChangeSource, command_caller


def test_a_command_is_called_by_the_account_of_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    pwd = pytest.importorskip("pwd")
    monkeypatch.setenv("USER", "mallory")
    monkeypatch.setenv("LOGNAME", "mallory")

    caller = command_caller()

    name = pwd.getpwuid(os.getuid()).pw_name
    assert caller.principal.id == f"command_line:{name}@{socket.gethostname()}"
    assert caller.source is ChangeSource.COMMAND_LINE


def test_an_account_without_a_name_is_called_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pwd")
    monkeypatch.setattr(os, "getuid", lambda: 987_654)

    assert command_caller().principal.name.startswith("uid-987654@")
