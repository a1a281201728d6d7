"""Whether a run may still send requests: only while its lease lasts. Used by jobs.checks.net and the kinds of checks.

A process that stalls for longer than the lease does not notice it, and another process executes the run by then. So
every connection and every request of a check confirms the permission right before it is sent.
"""

from __future__ import annotations

from collections.abc import Callable

from jobs.errors import LeaseEnded


class SendPermission:
    """The permission of one run. `is_valid`: whether its lease still lasts; None: the run has no lease."""

    __slots__ = ("_is_valid", "has_sent")

    def __init__(self, is_valid: Callable[[], bool] | None = None) -> None:
        self._is_valid = is_valid
        self.has_sent = False
        """Whether the target may have received a request of this run."""

    def confirm(self) -> None:
        """Raise LeaseEnded if nothing may be sent any more."""
        if self._is_valid is not None and not self._is_valid():
            raise LeaseEnded

    def confirm_request(self) -> None:
        """Confirm the permission for data that the target may act upon, which is sent at once. Raises LeaseEnded."""
        self.confirm()
        self.has_sent = True


UNLIMITED = SendPermission()
"""Without a run: requests for tokens, notifications, tests of a definition."""
