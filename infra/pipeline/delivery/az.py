"""Runs the Azure CLI. Every command is printed; a read is retried, a change never is.

A change that gets no answer may have happened. Its caller reads the state instead of repeating it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from delivery.clock import DeliveryClock, format_duration
from delivery.errors import DeliveryError, UnusableInput
from delivery.reporter import Reporter

READ_TIMEOUT = 60.0
CHANGE_TIMEOUT = 600.0
"""Seconds; a swap waits until the new instances are warm."""
READ_ATTEMPTS = 3
FIRST_RETRY_DELAY = 2.0
"""Seconds, doubled after each attempt."""
_ERROR_LINES = 6
"""Last lines of the output of a failed command that are printed."""

REMEDIES = (
    (
        ("az login", "AADSTS", "No subscription found", "Please run"),
        "Sign in: `az login`, in a pipeline by federation.",
    ),
    (
        ("AuthorizationFailed", "does not have authorization", "Forbidden"),
        "Give the identity of the pipeline its roles: docs/releasing.md lists them.",
    ),
    (
        ("ResourceNotFound", "ResourceGroupNotFound", "was not found", "does not exist", "could not be found"),
        "Compare subscription, resource_group, app, slot and registry in the environment file with Azure.",
    ),
    (
        ("MANIFEST_UNKNOWN", "manifest unknown", "ManifestUnknown"),
        "The registry does not have this digest: push the image, or correct --image.",
    ),
    (("Conflict", "in progress", "OperationNotAllowed"), "Another operation on the app runs: wait for its end."),
    (
        ("ConnectionError", "Max retries", "Name or service not known", "CONNECTIVITY", "timed out"),
        "Check the network of this machine, then run the script again.",
    ),
    (
        ("unrecognized arguments", "invalid choice"),
        "This Azure CLI does not know the command: update it (`az upgrade`).",
    ),
)
"""Texts in the output of a failed command, and what to do."""
_PERMANENT = ("az login", "AADSTS", "AuthorizationFailed", "NotFound", "not found", "not exist", "unrecognized")
"""Texts of errors that a retry does not change."""


@dataclass(frozen=True)
class Completed:
    """The result of a program."""

    code: int
    output: str
    errors: str


Execute = Callable[[Sequence[str], float], Completed]
"""Runs a command with a timeout in seconds. Raises FileNotFoundError and TimeoutError."""


def execute_program(command: Sequence[str], timeout: float) -> Completed:
    """Run a program. If this process is interrupted or the time is over, the program and its children are ended."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # `az` is a shell script that starts Python
    ) as process:
        try:
            output, errors = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            _end(process)
            raise TimeoutError from None
        except BaseException:
            _end(process)
            raise
    return Completed(process.returncode, output, errors)


def _end(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


class Az:
    """The Azure CLI for one subscription. `dry_run`: commands are printed and not run; a read returns `assumed`."""

    def __init__(
        self,
        subscription: str,
        reporter: Reporter,
        clock: DeliveryClock,
        *,
        dry_run: bool = False,
        execute: Execute = execute_program,
    ) -> None:
        self.dry_run = dry_run
        self._subscription = subscription
        self._reporter = reporter
        self._clock = clock
        self._execute = execute

    def read(self, *arguments: str, assumed: Any = None) -> Any:
        """Return the JSON that a command prints. Raises DeliveryError."""
        command = self._command(arguments, "json")
        if self.dry_run:
            return assumed
        for attempt in range(READ_ATTEMPTS):
            try:
                completed = self._run(command, READ_TIMEOUT)
                return json.loads(completed.output) if completed.output.strip() else None
            except ValueError:
                raise DeliveryError(f"{shlex.join(command)} printed no JSON: is `az` the Azure CLI?") from None
            except _CommandFailed as failure:
                if attempt + 1 == READ_ATTEMPTS or any(text in failure.output for text in _PERMANENT):
                    raise
                delay = FIRST_RETRY_DELAY * 2**attempt
                self._reporter.report(f"the command failed; retrying in {format_duration(delay)}")
                self._clock.sleep(delay)
        raise AssertionError("the last attempt returns or raises")

    def read_text(self, *arguments: str) -> str:
        """Return what a command prints for people, its warnings first. Raises DeliveryError. In a dry run: nothing."""
        command = ["az", *arguments]
        self._reporter.report(f"$ {shlex.join(command)}")
        if self.dry_run:
            return ""
        completed = self._run(command, CHANGE_TIMEOUT)
        return completed.errors + completed.output

    def change(self, *arguments: str, timeout: float = CHANGE_TIMEOUT) -> None:
        """Run a command that changes something, once. Raises DeliveryError."""
        command = self._command(arguments, "none")
        if not self.dry_run:
            self._run(command, timeout)

    def sign_in(self, *arguments: str) -> None:
        """Sign in, once. Raises DeliveryError."""
        command = ["az", "login", *arguments, "--only-show-errors", "--output", "none"]
        self._reporter.report(f"$ {shlex.join(command)}")
        if not self.dry_run:
            self._run(command, READ_TIMEOUT)

    def _command(self, arguments: Sequence[str], output: str) -> list[str]:
        common = ["--subscription", self._subscription, "--only-show-errors", "--output", output]
        command = ["az", *arguments, *common]
        self._reporter.report(f"$ {shlex.join(command)}")
        return command

    def _run(self, command: Sequence[str], timeout: float) -> Completed:
        try:
            completed = self._execute(command, timeout)
        except FileNotFoundError:
            raise UnusableInput("`az` is not on PATH: install the Azure CLI on this machine.") from None
        except TimeoutError:
            raise _CommandFailed(
                f"{shlex.join(command)} did not end within {format_duration(timeout)}. Azure may still complete it: "
                "run `status`, and `rollback` if a deployment was in progress.",
                "timed out",
            ) from None
        if completed.code != 0:
            raise _CommandFailed(_describe_failure(command, completed), completed.errors + completed.output)
        return completed


class _CommandFailed(DeliveryError):
    """`output`: what the command printed."""

    def __init__(self, message: str, output: str) -> None:
        super().__init__(message)
        self.output = output


def _describe_failure(command: Sequence[str], completed: Completed) -> str:
    printed = completed.errors.strip() or completed.output.strip() or "(no output)"
    lines = [f"{shlex.join(command)} ended with {completed.code}:", *printed.splitlines()[-_ERROR_LINES:]]
    remedy = next((text for signs, text in REMEDIES if any(sign in printed for sign in signs)), "")
    return "\n  ".join([*lines, *([remedy] if remedy else [])])
