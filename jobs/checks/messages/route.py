"""The route of an HTTP request, through a proxy or redirects, for messages. Used by jobs.checks.http.exchange. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.checks.peer import Peer


@dataclass(slots=True)
class RequestRoute:
    """`peer`: of the latest request. `redirected_by`: the peer that redirected it. `proxy`: the proxy, once it is
    connected to."""

    peer: Peer | None = None
    redirected_by: Peer | None = None
    proxy: Peer | None = None

    def move_to(self, peer: Peer) -> None:
        """Set the peer of the next request."""
        if self.peer not in (None, peer):
            self.redirected_by = self.peer
        self.peer = peer

    def describe(self) -> str:
        """Return what the target's URL does not show, as sentences."""
        notes = []
        if self.proxy is not None:
            here = self.peer == self.proxy
            notes.append("This is the proxy." if here else f"The request went through the proxy {self.proxy}.")
        if self.redirected_by is not None and self.redirected_by != self.peer:
            notes.append(f"{self.redirected_by} redirected to it.")
        return " ".join(notes)
