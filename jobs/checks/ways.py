"""Whom a request asks, and how it came there: what texts say about it. Used by http.py. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.checks.peer import Peer


@dataclass(slots=True)
class Way:
    """Of one target's requests: `peer` is whom the latest is for, `led_by` who redirected it from elsewhere, `proxy`
    the one that it goes by way of, once that is asked."""

    peer: Peer | None = None
    led_by: Peer | None = None
    proxy: Peer | None = None

    def leads_to(self, peer: Peer) -> None:
        """The next request is for this one."""
        if self.peer not in (None, peer):
            self.led_by = self.peer
        self.peer = peer

    def besides(self) -> str:
        """What the target's URL does not tell, as sentences."""
        told = []
        if self.proxy is not None:
            here = self.peer == self.proxy
            told.append("That is the proxy." if here else f"It was asked by way of the proxy {self.proxy}.")
        if self.led_by is not None and self.led_by != self.peer:
            told.append(f"{self.led_by} redirects there.")
        return " ".join(told)
