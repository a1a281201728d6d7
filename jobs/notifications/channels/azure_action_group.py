"""The channel `azure_action_group`: notifies the receivers of an Azure Monitor action group.

Registered in jobs.notifications.channels. Azure has no operation that sends a text of ours to all receivers, so:

- Webhooks, logic apps and functions get the common alert schema with the message, at the URL in the action group.
- E-mail, SMS, voice, app and role receivers are notified by `createNotifications`, the operation behind "Test action
  group". Its text is Azure's sample for `alert_type`: it reports that there is an incident, not which one. So it is
  sent for an opening, a higher severity, a reminder or an escalation, not for a resolution.

https://learn.microsoft.com/rest/api/monitor/action-groups/create-notifications-at-action-group-resource-level
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from jobs.formats import format_iso_instant
from jobs.incidents.values import TransitionKind
from jobs.notifications.channels.base import ChannelBase
from jobs.notifications.channels.http_posting import Posting, post
from jobs.notifications.port import (
    ChannelResources,
    Message,
    SendFailed,
    SentReference,
    choose_level,
    list_details,
    plain_text,
)
from jobs.targets.endpoints import HttpUrl

_API_VERSION = "2023-01-01"
_ACTION_GROUP_ID = (
    r"^/subscriptions/[0-9a-fA-F-]{36}/resourceGroups/[^/?#]{1,90}"
    r"/providers/[mM]icrosoft\.[iI]nsights/action[gG]roups/[^/?#]{1,260}$"
)
_URL_FIELDS = {
    "webhookReceivers": "serviceUri",
    "logicAppReceivers": "callbackUrl",
    "azureFunctionReceivers": "httpTriggerUrl",
}
_PEOPLE = ("emailReceivers", "smsReceivers", "voiceReceivers", "azureAppPushReceivers", "armRoleReceivers")
_NOTIFYING = frozenset(
    {
        TransitionKind.OPENED,
        TransitionKind.REOPENED,
        TransitionKind.RAISED,
        TransitionKind.REMINDED,
        TransitionKind.ESCALATED,
    }
)
_SEVERITIES = {"info": "Sev4", "degraded": "Sev2", "down": "Sev0", "blind": "Sev1"}


class AzureActionGroupChannel(ChannelBase):
    """`id`: the resource id of the group, for which the managed identity needs the role Monitoring Contributor."""

    kind: Literal["azure_action_group"]
    id: str = Field(pattern=_ACTION_GROUP_ID, max_length=500)
    alert_type: str = Field(
        default="logalertv2", pattern=r"^[a-z0-9]{1,50}$", description="the sample that Azure sends"
    )
    url: HttpUrl = "https://management.azure.com"

    def create_sender(self, resources: ChannelResources) -> AzureActionGroupSender:
        return AzureActionGroupSender(self, resources)


class AzureActionGroupSender:
    def __init__(self, channel: AzureActionGroupChannel, resources: ChannelResources) -> None:
        self._channel = channel
        self._resources = resources

    async def send(self, message: Message, reference: SentReference | None) -> SentReference | None:
        """Notify programs first: they recognise a repetition by its `originAlertId`, people do not."""
        token = await self._resources.get_token(f"{self._channel.url.rstrip('/')}/.default")
        group = await self._read_group(token)
        if not group.get("enabled", True):
            raise SendFailed("the action group is disabled", is_permanent=True)
        urls = _list_urls(group)
        people = {kind: group[kind] for kind in _PEOPLE if group.get(kind)}
        if not urls and not people:
            raise SendFailed("the action group has no receiver that can be notified", is_permanent=True)
        if urls:
            await self._post_to_programs(message, urls)
        if people and message.kind in _NOTIFYING:
            await self._request(token, "/createNotifications", {"alertType": self._channel.alert_type, **people})
        return reference

    async def _read_group(self, token: str) -> dict[str, Any]:
        group = await self._request(token, "", None)
        properties = group.get("properties")
        if not isinstance(properties, dict):
            raise SendFailed("Azure returned no action group")
        return properties

    async def _request(self, token: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        url = f"{self._channel.url.rstrip('/')}{self._channel.id}{path}?api-version={_API_VERSION}"
        headers = {"authorization": f"Bearer {token}"}
        posting = Posting(url, b"", headers, "GET") if body is None else Posting.of_json(url, body, headers)
        response = await post(self._resources, posting, [token], timeout_s=self._channel.timeout)
        return response.read_object()

    async def _post_to_programs(self, message: Message, urls: list[str]) -> None:
        alert = build_common_alert(message, self._channel.id)
        for url in urls:
            await post(self._resources, Posting.of_json(url, alert), [url], timeout_s=self._channel.timeout)


def _list_urls(group: dict[str, Any]) -> list[str]:
    """Return the URLs of receivers that are programs. Those that require a token of Entra ID are not supported."""
    return [
        receiver[field]
        for kind, field in _URL_FIELDS.items()
        for receiver in group.get(kind) or ()
        if receiver.get(field) and not receiver.get("useAadAuth")
    ]


def build_common_alert(message: Message, group: str) -> dict[str, Any]:
    """Return the message in the common alert schema of Azure Monitor."""
    at = format_iso_instant(message.at, precise=True)
    is_over = message.is_resolution
    return {
        "schemaId": "azureMonitorCommonAlertSchema",
        "data": {
            "essentials": {
                "alertId": message.incident_key,
                "alertRule": message.subject or "scheduler",
                "severity": choose_level({}, message.severity, _SEVERITIES, "Sev2"),
                "signalType": "Log",
                "monitorCondition": "Resolved" if is_over else "Fired",
                "monitoringService": "scheduler",
                "alertTargetIDs": [group],
                "originAlertId": message.dedup_key,
                "resolvedDateTime" if is_over else "firedDateTime": at,
                "description": message.title,
                "essentialsVersion": "1.0",
                "alertContextVersion": "1.0",
            },
            "alertContext": {
                "transition": message.kind.value,
                "text": plain_text(message),
                "link": message.link,
                "properties": list_details(message),
            },
        },
    }
