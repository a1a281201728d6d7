"""The APIs of Azure that checks ask: their hosts in each cloud, how many requests they admit, and how often to ask.

Published limits, which Azure may change; jobs.checks.azure.budget corrects them by what the responses say. Pure.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

CloudName = Literal["public", "usgovernment", "china"]


class CloudHosts(NamedTuple):
    """The hosts of Azure Resource Manager, Microsoft Graph, Log Analytics and Application Insights. `queues`: what
    follows the name of a storage account in the host of its queues."""

    arm: str
    graph: str
    logs: str
    insights: str
    queues: str


API_HOSTS: dict[str, CloudHosts] = {
    cloud: CloudHosts(arm, graph, f"api.{logs}", f"api.{insights}", f"queue.core.{storage}")
    for cloud, arm, graph, logs, insights, storage in (
        (
            "public",
            "management.azure.com",
            "graph.microsoft.com",
            "loganalytics.azure.com",
            "applicationinsights.io",
            "windows.net",
        ),
        (
            "usgovernment",
            "management.usgovcloudapi.net",
            "graph.microsoft.us",
            "loganalytics.us",
            "applicationinsights.us",
            "usgovcloudapi.net",
        ),
        (
            "china",
            "management.chinacloudapi.cn",
            "microsoftgraph.chinacloudapi.cn",
            "loganalytics.azure.cn",
            "applicationinsights.azure.cn",
            "chinacloudapi.cn",
        ),
    )
}
"""By the name of the cloud."""


def find_cloud(arm_host: str) -> str:
    """Return the cloud whose Azure Resource Manager has this host; `public` for an unknown one."""
    return next((cloud for cloud, hosts in API_HOSTS.items() if hosts.arm == arm_host), "public")


class RateLimit(NamedTuple):
    """A token bucket: `size` requests at once, and `refill` more each second."""

    size: float
    refill: float


SUBSCRIPTION_READS = RateLimit(250, 25)
"""Of Azure Resource Manager, for each subscription and identity; the same for reads of the tenant."""
SUBSCRIPTION_WRITES = RateLimit(200, 10)
"""The same of POST."""
RESOURCE_GRAPH = RateLimit(15, 3)
"""Queries of an identity: 15 in 5 seconds."""
LOG_QUERIES = RateLimit(200, 200 / 30)
"""Queries of an identity, of Log Analytics and of Application Insights: 200 in 30 seconds."""
GRAPH_READS = RateLimit(150, 2.5)
"""Of a tenant: 150 a minute, where keyCredentials are selected; other reads have more."""
COST_QUERIES = RateLimit(4, 4 / 60)
"""Of a scope: 4 a minute."""
QUEUE_REQUESTS = RateLimit(2000, 2000)
"""Of a storage account, what Azure admits for one of its queues."""


class LeastInterval(NamedTuple):
    """`api`: its name in messages. `seconds`: between two runs of a job. `reason`: a clause."""

    api: str
    seconds: float
    reason: str


_HOUR = 3600.0
_LEAST_INTERVALS: tuple[tuple[re.Pattern[str], LeastInterval], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), LeastInterval(api, seconds, reason))
    for pattern, api, seconds, reason in (
        (r"/microsoft\.(consumption|costmanagement)/", "Cost Management", 6 * _HOUR, "its numbers are hours old"),
        (
            r"/microsoft\.keyvault/vaults/[^/]+/(secrets|keys)\b",
            "Key Vault",
            _HOUR,
            "the vault has a limit for all users",
        ),
        (r"/(v1\.0|beta)/(applications|serviceprincipals)\b", "Microsoft Graph", _HOUR, "the tenant has one limit"),
        (r"/microsoft\.servicebus/.*/(queues|topics)\b", "Service Bus counters", 60.0, "counting is expensive there"),
        (r"/usages$|/providers/microsoft\.quota/", "quotas", 300.0, "quotas change slowly"),
        (r"/providers/microsoft\.resourcehealth/", "Resource Health", 60.0, "it is minutes late anyway"),
        (
            r".+/(query|metrics|microsoft\.resourcegraph/resources)$",
            "queries",
            60.0,
            "data arrives minutes late anyway",
        ),
    )
)
_ANY = LeastInterval("Azure", 30.0, "all checks share the limits of Azure")


def find_least_interval(path: str) -> LeastInterval:
    """Return the shortest interval for requests of this path."""
    return next((least for pattern, least in _LEAST_INTERVALS if pattern.search(path)), _ANY)
