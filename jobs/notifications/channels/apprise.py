"""The channel `apprise`: the services of the library Apprise, by its URL of the service.

Registered in jobs.notifications.channels. The library blocks and sleeps, hence each channel has a thread, at most one
at a time; the event loop only waits for it. Its result is a truth value; the reason of a failure is the last warning
that it logged in that thread, without secrets. https://github.com/caronc/apprise/wiki
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field

from jobs.notifications.channels.base import ChannelBase, OnlySecret
from jobs.notifications.channels.http_posting import SecretHider
from jobs.notifications.port import ChannelResources, Message, SendFailed, SentReference, plain_text

if TYPE_CHECKING:
    from apprise.plugins.base import NotifyBase

_STATUS = re.compile(r"error=(\d{3})\b")
_TEMPORARY = frozenset({408, 425, 429})
_LOCAL_SERVICES = frozenset({"dbus", "qt", "glib", "kde", "gnome", "macosx", "windows", "syslog", "file", "spl"})
"""They notify the desktop or the machine on which the program runs."""
_SHORTEST_PART = 6
"""Characters of a part of the URL that can be a key."""


class AppriseChannel(ChannelBase):
    kind: Literal["apprise"]
    url: OnlySecret = Field(description="a URL of Apprise, such as discord://ID/TOKEN; it contains the key")

    def create_sender(self, resources: ChannelResources) -> AppriseSender:
        return AppriseSender(self, resources)


class AppriseSender:
    def __init__(self, channel: AppriseChannel, resources: ChannelResources) -> None:
        self._channel = channel
        self._resources = resources
        self._is_busy = threading.Event()
        """Set while the thread of a message works, also after its time limit."""

    async def send(self, message: Message, reference: SentReference | None) -> SentReference | None:
        secret = self._channel.url.secret
        if self._is_busy.is_set():
            raise SendFailed("the service has not finished the previous message")
        url = await self._resources.read_secret(secret)
        hide = SecretHider(_secret_parts(url))
        service = await asyncio.to_thread(_open_service, url)
        if service is None:
            raise SendFailed(f"the secret {secret} is not a URL that Apprise accepts", is_permanent=True)
        for host, port in _hosts_of(service):
            await self._resources.check_host(host, port)
        try:
            async with asyncio.timeout(self._channel.timeout):
                succeeded, reason = await self._notify(service, message)
        except TimeoutError:
            raise SendFailed(f"the service did not respond within {self._channel.timeout:g} s") from None
        if not succeeded:
            raise _to_failure(hide(reason))
        return reference

    async def _notify(self, service: NotifyBase, message: Message) -> tuple[bool, str]:
        """Send in a thread. If it is cancelled, the thread ends by itself: a daemon, so it does not delay an exit."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[tuple[bool, str]] = loop.create_future()

        def finish(result: tuple[bool, str]) -> None:
            if not done.done():
                done.set_result(result)

        def work() -> None:
            result = _notify_blocking(service, message)
            self._is_busy.clear()
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(finish, result)

        self._is_busy.set()
        threading.Thread(target=work, name="notification", daemon=True).start()
        return await done


def _open_service(url: str) -> NotifyBase | None:
    """Return the service of a URL; None if it is invalid. Blocks: the first call imports the library."""
    import apprise

    logging.getLogger("apprise").propagate = False  # its texts can contain keys
    asset = apprise.AppriseAsset(
        app_id="Scheduler", async_mode=False, http_redirects=False, storage_mode=apprise.PersistentStoreMode.MEMORY
    )
    service = apprise.Apprise.instantiate(url, asset=asset)
    schema = urlsplit(url).scheme.lower()
    return None if service is None or schema in _LOCAL_SERVICES else service


def _notify_blocking(service: NotifyBase, message: Message) -> tuple[bool, str]:
    """Return whether the service accepted the message, and the reason if not."""
    from apprise import NotifyFormat, NotifyType

    kind = NotifyType.SUCCESS if message.is_resolution else _TYPES.get(message.severity, "failure")
    logger = logging.getLogger("apprise")
    log = _WarningsOfThread()
    logger.addHandler(log)
    try:
        sent = service.notify(
            title=message.title, body=plain_text(message) or message.title, notify_type=NotifyType(kind),
            body_format=NotifyFormat.TEXT,
        )  # fmt: skip
        return bool(sent), log.last
    except Exception as error:  # of one of its hundred plugins
        return False, f"{type(error).__name__}: {error}"
    finally:
        logger.removeHandler(log)


_TYPES = {"info": "info", "degraded": "warning"}


class _WarningsOfThread(logging.Handler):
    """Holds the last warning of the thread that made it: other channels log at the same time."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last = ""
        self._ident = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._ident:
            self.last = record.getMessage()


def _to_failure(reason: str) -> SendFailed:
    found = _STATUS.search(reason)
    status = int(found[1]) if found else 0
    is_permanent = 400 <= status < 500 and status not in _TEMPORARY
    return SendFailed(f"the service did not accept the message: {reason or 'no reason'}", is_permanent=is_permanent)


def _hosts_of(service: Any) -> list[tuple[str, int]]:
    """Return the hosts that a service connects to, as far as its attributes name them."""
    own = getattr(service, "smtp_host", None) or getattr(service, "host", None)
    port = getattr(service, "port", None) or (443 if getattr(service, "secure", True) else 80)
    if isinstance(own, str) and own:
        return [(own, int(port))]
    fixed = getattr(service, "notify_url", None)
    parts = urlsplit(fixed) if isinstance(fixed, str) else None
    return [(parts.hostname, parts.port or 443)] if parts is not None and parts.hostname else []


def _secret_parts(url: str) -> list[str]:
    """Return the URL and its parts: each can be a key, also where a host is in other URLs."""
    parts = [each for each in re.split(r"[/?&=#:@]+", url.partition("://")[2]) if len(each) >= _SHORTEST_PART]
    return [url, *parts, *map(unquote, parts)]
