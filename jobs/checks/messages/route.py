"""Whom a request asks, and how it came there: what texts say about it. Used by http.py. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.checks.peer import Peer


@dataclass(slots=True)
class RequestRoute:
    """Of one target's requests: `peer` is whom the latest is for, `redirected_by` who redirected it from elsewhere, `proxy`
    the one that it goes by way of, once that is asked."""

    peer: Peer | None = None
    redirected_by: Peer | None = None
    proxy: Peer | None = None

    def move_to(self, peer: Peer) -> None:
        """The next request is for this one."""
        if self.peer not in (None, peer):
            self.redirected_by = self.peer
        self.peer = peer

    def describe(self) -> str:
        """What the target's URL does not tell, as sentences."""
        told = []
        if self.proxy is not None:
            here = self.peer == self.proxy
            told.append("That is the proxy." if here else f"It was asked by way of the proxy {self.proxy}.")
        if self.redirected_by is not None and self.redirected_by != self.peer:
            told.append(f"{self.redirected_by} redirects there.")
        return " ".join(told)
