"""A new notification channel is a module, a line in the registry, and a section with an example."""

from __future__ import annotations

from tests.project.changes.sample_change import SampleChangeFactory

CHANNEL = '''"""The channel `pager`: a text to a pager."""

from __future__ import annotations

from typing import Literal

from jobs.notifications.channels.base import ChannelBase, OnlySecret
from jobs.notifications.channels.http_posting import Posting, post
from jobs.notifications.port import Message
from jobs.notifications.port import ChannelResources, SentReference


class PagerChannel(ChannelBase):
    kind: Literal["pager"]
    url: OnlySecret

    def create_sender(self, resources: ChannelResources) -> PagerSender:
        return PagerSender(self, resources)


class PagerSender:
    def __init__(self, channel: PagerChannel, resources: ChannelResources) -> None:
        self._channel = channel
        self._resources = resources

    async def send(self, message: Message, reference: SentReference | None) -> SentReference | None:
        url = await self._resources.read_secret(self._channel.url.secret)
        await post(self._resources, Posting.of_json(url, message.title), timeout_s=self._channel.timeout)
        return reference
'''

SECTION = """## pager

```yaml
alerting:
  channels:
    duty:
      kind: pager
      url: {secret: pager-url}
```
"""


def test_a_channel(sample_change: SampleChangeFactory) -> None:
    change = sample_change("a notification channel")
    change.write("jobs/notifications/channels/pager.py", CHANNEL)
    change.insert(
        "jobs/notifications/channels/__init__.py",
        after="import OpsgenieChannel",
        text="from jobs.notifications.channels.pager import PagerChannel",
    )
    change.insert("jobs/notifications/channels/__init__.py", after="    NtfyChannel,", text="    PagerChannel,")
    change.insert("docs/alerting-channels.md", before="## Templates", text=SECTION)

    change.pytest("tests/docs/test_alerting_channels_page.py")
    change.assert_touches_documented_files()
