"""What differs between the processes that open the program: each host and the command line has its own profile.

A command knows where a server that runs next to it serves the API: never a target of a check.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, ClassVar, Literal, TextIO
from urllib.parse import urlsplit

from config.settings.model import Settings
from jobs.checks.addresses import OwnEndpoint

if TYPE_CHECKING:
    from jobs.runs import Ticket
    from scheduler.app.program import Program
    from scheduler.authentication.port import AuthenticationMode
    from scheduler.dispatch.port import Dispatch, QueueDepthReader
    from scheduler.worker.options import WorkerOptions


class HostProfile(ABC):
    """The choices of one kind of process."""

    worker_options: ClassVar[WorkerOptions]
    owns_store_file: ClassVar[bool] = True
    """Whether a SQLite file is opened for this process alone."""
    is_only_worker: ClassVar[bool] = False
    """Whether no other kind of process runs jobs of the same store."""
    shares_queue: ClassVar[bool] = False
    """Whether other processes take the tickets that this one queues, and publish the same watchdog report."""
    prepares_each_run: ClassVar[bool] = False
    """Whether a check is prepared with its run. A host prepares the checks of all jobs when it starts."""

    @abstractmethod
    def own_endpoints(self, settings: Settings) -> tuple[OwnEndpoint, ...]:
        """Return where the scheduler's API is served, which no check may request."""

    @abstractmethod
    def log_stream(self) -> TextIO | None:
        """Return where log lines go; None: to the handlers that the process already has."""

    def is_on_loopback(self, settings: Settings) -> bool:
        """Return whether only clients on this machine reach the API."""
        from config.settings.fields import LOOPBACK_HOSTS

        return settings.host in LOOPBACK_HOSTS

    def authentication_mode(self, settings: Settings) -> AuthenticationMode:
        """Return where callers of the API are authenticated."""
        from scheduler.app.authentication_setup import choose_embedded_mode

        return choose_embedded_mode(settings, is_loopback=self.is_on_loopback(settings))

    def processes(self, settings: Settings) -> int | Literal["auto"]:
        """Return how many processes execute runs; see the setting `processes`."""
        return 1

    def find_worker_options(self, settings: Settings) -> WorkerOptions:
        """Return the options of the worker with these settings."""
        return self.worker_options

    def log_level(self, settings: Settings) -> str:
        """Return the lowest level that is logged."""
        return settings.log.level

    async def open_queue(
        self, program: Program, submit: Callable[[Ticket], object]
    ) -> tuple[Dispatch, QueueDepthReader]:
        """Open the queue of tickets, and what reports its depth. `submit` hands a ticket to this process's worker.

        Raises DispatchError.
        """
        from scheduler.dispatch.port import InProcessDispatch

        return InProcessDispatch(submit), program.activity


def server_endpoints(settings: Settings) -> tuple[OwnEndpoint, ...]:
    """Return the address that the server has recorded next to its store, and that of the settings."""
    return tuple(dict.fromkeys(_find_server_endpoints(settings)))


def _find_server_endpoints(settings: Settings) -> Iterator[OwnEndpoint]:
    from scheduler.stores.sqlite.file_lock import read_api_address

    if settings.sqlite_path is not None and (address := read_api_address(settings.sqlite_path)):
        parts = urlsplit(address)
        yield OwnEndpoint(parts.hostname or "", parts.port or 80)
    if settings.port:
        yield OwnEndpoint(settings.host, settings.port)
