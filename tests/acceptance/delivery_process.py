"""A process that delivers what is in the outbox of a SQLite store, and kills itself at any line of the delivery.

    async with ForkServer("tests.acceptance.delivery_process", environ, ROOT, output) as server:
        pid = await server.fork(DeliveryOrder(path, channels, "one", line=250).encode())

`line`: of those that run in the delivery, its store and the channels, counted from 1; 0: it is not killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any

from tests.parts.fork_server import serve_forks

_USED = (
    "httpx",
    "jobs.notifications.channels.mail",
    "scheduler.alerting.delivery.delivery",
    "scheduler.alerting.message_source",
    "scheduler.stores.sqlite.store",
    "tests.acceptance.channel_desk",
)
_COUNTED = ("scheduler/alerting/delivery/", "scheduler/stores/alerting/outbox", "jobs/notifications/channels/")
LONGEST = timedelta(seconds=20)


@dataclass(frozen=True)
class DeliveryOrder:
    path: str
    channels: Mapping[str, Mapping[str, Any]]
    owner: str
    line: int = 0

    @property
    def mark(self) -> Path:
        """Exists after a process that was not killed."""
        return Path(f"{self.path}.{self.owner}")

    def encode(self) -> str:
        return json.dumps(asdict(self))


def kill_at(line: int) -> None:
    """Kill this process when so many lines of the delivery have run."""
    left = line

    def count(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal left
        if event == "call":
            return count if any(each in frame.f_code.co_filename for each in _COUNTED) else None
        if event == "line":
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return count

    sys.settrace(count)


async def deliver(order: DeliveryOrder) -> None:
    from jobs.running.clocks import SystemClock
    from scheduler.alerting.delivery.delivery import OutboxDelivery
    from scheduler.stores.sqlite.connections import StoreAccess
    from scheduler.stores.sqlite.store import open_sqlite
    from tests.acceptance.channel_desk import ChannelDesk

    store = await open_sqlite(Path(order.path), StoreAccess.SHARED)
    desk = ChannelDesk(store, order.channels, {}, clock=SystemClock(), owner=order.owner, is_only_worker=True)
    if order.line:
        kill_at(order.line)
    await OutboxDelivery(desk.tools).run_once(LONGEST)
    await desk.resources.close()
    await store.aclose()


def _become(order: str) -> int:
    given = DeliveryOrder(**json.loads(order))
    asyncio.run(deliver(given))
    given.mark.touch()
    return 0


if __name__ == "__main__":
    serve_forks(_USED, _become)
