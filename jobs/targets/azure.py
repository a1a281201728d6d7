"""The targets of the Azure kinds: what Azure's management and monitoring APIs tell about a resource.

A check of these kinds queries a control plane, which is not the target: one that is silent, refuses or throttles leaves
the state of the target unknown (`Observation.unknown`). A job names a resource, never a host: tokens of the app's
identity go to the API hosts of one cloud alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from jobs.expectations.engines.jsonpath import JsonPathField
from jobs.expectations.entry import Feature, JsonField
from jobs.formats import parse_duration
from jobs.model_base import DisplayText, Duration, FrozenModel
from jobs.policies import Timeouts
from jobs.targets.azure_apis import API_HOSTS, CloudName, LeastInterval, find_least_interval
from jobs.targets.endpoints import Destination
from jobs.targets.http import ManagedIdentityAuth
from jobs.targets.resource_paths import check_arm_path, check_path, find_resource_id, shorten_path
from jobs.targets.tls import TlsTarget

_URL = re.compile(r"https://([^/?#]+)(/[^?#]*)")
_QUERY_ACTION = re.compile(r"/query[A-Za-z]*$")
_GUID = r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"

SINCE = "{since}"
MAX_QUERY_CHARACTERS = 10_000
MAX_SUBSCRIPTIONS = 1000
"""In one query of Resource Graph, which accepts no more."""

Guid = Annotated[str, Field(pattern=_GUID, description="a GUID, such as 63613592-b6f7-4c3d-a390-22ba13102111")]
RoleName = Annotated[DisplayText, Field(min_length=1, max_length=200)]


def _check_kql(text: str) -> str:
    if text.lstrip().startswith("."):
        raise ValueError("is a management command: write a query, which starts with a table, such as AppRequests | ...")
    if not text.strip():
        raise ValueError("is empty: write a query, such as AppRequests | where Success == false")
    return text


ResourceId = Annotated[
    str, Field(max_length=2000, description="a resource id: /subscriptions/<id>/..."), AfterValidator(check_arm_path)
]


@cache
def _token_for(host: str) -> ManagedIdentityAuth:
    return ManagedIdentityAuth(kind="managed_identity", scope=f"https://{host}/.default")


class AzureTarget(FrozenModel):
    """What the four kinds share.

    `role`: the role, or the permission of Microsoft Graph, that the app's identity needs; messages name it.
    `cloud`: the Azure cloud of the resource.
    """

    CAN_BE_UNKNOWN: ClassVar[bool] = True
    """A timeout is that of an API about the target, whose state it leaves unknown."""
    TIMEOUTS: ClassVar[Timeouts] = Timeouts(attempt=45.0, run=60.0)
    FEATURES: ClassVar = frozenset({Feature.FACTS, Feature.DURATION, Feature.JSON})

    role: RoleName = "Reader"
    cloud: CloudName = "public"

    @property
    def host(self) -> str:
        """The host of the API."""
        return API_HOSTS[self.cloud].arm

    @property
    def path(self) -> str:
        """The path of the request, without its query."""
        raise NotImplementedError

    @property
    def label(self) -> str:
        """The target as messages and pages name it."""
        raise NotImplementedError

    @property
    def endpoint(self) -> str:
        """The name of the target in logs and history: the URL without its query."""
        return f"https://{self.host}{self.path}"

    @property
    def auth(self) -> ManagedIdentityAuth:
        """The token that is sent: of the app's identity, for this API alone."""
        return _token_for(self.host)

    @property
    def azure_resource(self) -> str:
        """The id of the Azure resource that it is about; empty if it is about none, or several."""
        return ""

    @property
    def subject(self) -> str:
        """What a 404 of the API is about; empty if that is nothing of the target."""
        return self.azure_resource

    @property
    def role_scopes(self) -> tuple[str, ...]:
        """Where `role` must be assigned: ids, or names; empty if that is not known, as for Microsoft Graph."""
        return (self.azure_resource,) if self.azure_resource else ()

    @property
    def idempotent(self) -> bool:
        """Always true: a request only reads."""
        return True

    @property
    def least_interval(self) -> LeastInterval:
        """The shortest time between two runs that the API is meant for."""
        return find_least_interval(self.path)

    def destinations(self) -> Iterator[Destination]:
        """Yield what a check connects to."""
        yield self.endpoint


class CertificateEdge(TlsTarget):
    """Where the certificate of a resource is served, which must be the same one.

    `thumbprint`, `expires`: JSONPaths of the resource, to its SHA-1 digest and the end of its validity.
    """

    kind: Literal["tls"] = "tls"
    thumbprint: JsonPathField = "$.properties.thumbprint"
    expires: JsonPathField = "$.properties.expirationDate"


class AzureResourceTarget(AzureTarget):
    """A resource, or a list of them, of Azure Resource Manager or Microsoft Graph; all pages of a list.

    `resource`: the path, or the whole URL, which Microsoft Graph needs. `query`: further parameters. `body`: sent by
    POST, to an action that queries, such as queryPipelineRuns. `since`: how long ago the instant is that stands for
    `{since}` in both. `max_pages`: a longer list is not judged. `first_page`: the first page with entries is enough.
    `age_of`: where an entry, or the resource, has the time of its data. `max_data_age`: the state is unknown if the
    newest is older. `edge`: where the certificate that it is about is served.
    """

    kind: Literal["azure_resource"]
    resource: str = Field(
        max_length=2000, description="/subscriptions/<id>/... or https://graph.microsoft.com/v1.0/..."
    )
    api_version: str = Field(default="", pattern=r"^$|^\d{4}-\d{2}-\d{2}(-preview)?$", description="such as 2024-01-01")
    query: dict[str, str] = {}
    body: dict[str, JsonField] | None = None
    since: Annotated[Duration, Field(ge=60, le=366 * 86400)] | None = None
    max_pages: int = Field(default=20, ge=1, le=100)
    first_page: bool = False
    age_of: str = Field(
        default="",
        pattern=r"^(\$(\.[A-Za-z0-9_]{1,100}){1,10})?$",
        description="JSONPath of names, such as $.properties.reportedTime",
    )
    max_data_age: Annotated[Duration, Field(gt=0)] | None = None
    edge: CertificateEdge | None = None

    @model_validator(mode="after")
    def _check_request(self) -> Self:
        hosts = API_HOSTS[self.cloud]
        if self.resource.startswith("https:"):
            found = _URL.fullmatch(self.resource.split("?")[0].split("#")[0])
            if found is None or found[1].lower() not in (hosts.arm, hosts.graph):
                raise ValueError(
                    f"resource: the host must be {hosts.arm} or {hosts.graph}, those of cloud {self.cloud}"
                )
        try:
            check_path(self.resource.removeprefix(f"https://{self.host}"))
        except ValueError as error:
            raise ValueError(f"resource {error}") from None
        if bool(self.api_version) is self.is_graph:
            need = "has its version in the path: remove api_version" if self.is_graph else "needs an api_version"
            raise ValueError(f"{'Microsoft Graph' if self.is_graph else 'Azure Resource Manager'} {need}")
        if "api-version" in (name.lower() for name in self.query):
            raise ValueError("query: api-version is written as api_version")
        if self.body is not None and not _QUERY_ACTION.search(self.path):
            raise ValueError("body: only an action that queries gets one, such as .../queryPipelineRuns: remove it")
        return self

    @model_validator(mode="after")
    def _check_times(self) -> Self:
        if (SINCE in json.dumps([self.query, self.body])) is (self.since is None):
            need = "in query or body needs it" if self.since is None else "is missing in query and body"
            raise ValueError(f"since: {SINCE} {need}")
        if self.max_data_age is not None and not self.age_of:
            raise ValueError("max_data_age needs age_of: where an entry has the time of its data")
        return self

    @property
    def is_graph(self) -> bool:
        """Whether it is about Microsoft Graph."""
        return self.host == API_HOSTS[self.cloud].graph

    @property
    def host(self) -> str:
        hosts = API_HOSTS[self.cloud]
        return hosts.graph if self.resource.lower().startswith(f"https://{hosts.graph}/") else hosts.arm

    @property
    def path(self) -> str:
        found = _URL.fullmatch(self.resource)
        return (self.resource if found is None else found[2]).rstrip("/")

    @property
    def azure_resource(self) -> str:
        return "" if self.is_graph else find_resource_id(self.path)

    @property
    def subject(self) -> str:
        return self.path if self.is_graph else self.azure_resource

    @property
    def label(self) -> str:
        """Such as `Azure Microsoft.ServiceBus/namespaces/shop/queues`."""
        return f"Azure {shorten_path(self.path)}"

    def destinations(self) -> Iterator[Destination]:
        yield self.endpoint
        if self.edge is not None:
            yield from self.edge.destinations()


class AzureQueryTarget(AzureTarget):
    """A KQL query of a Log Analytics workspace, an Application Insights application, or of Resource Graph.

    `timespan`: how far back the query reads; not for Resource Graph. `max_data_age`: the state is unknown if the newest
    row is older, as Azure takes minutes to ingest. `allow_partial`: judge what a query returned that did not finish.
    """

    kind: Literal["azure_query"]
    workspace: Guid | None = None
    application: Guid | None = None
    subscriptions: Annotated[tuple[Guid, ...], Field(max_length=MAX_SUBSCRIPTIONS)] = ()
    query: Annotated[str, Field(max_length=MAX_QUERY_CHARACTERS), AfterValidator(_check_kql)]
    timespan: Annotated[Duration, Field(ge=60)] | None = None
    max_data_age: Annotated[Duration, Field(gt=0)] | None = None
    allow_partial: bool = False
    max_pages: int = Field(default=20, ge=1, le=100)

    @model_validator(mode="after")
    def _check_source(self) -> Self:
        if sum(map(bool, (self.workspace, self.application, self.subscriptions))) != 1:
            raise ValueError("needs exactly one of workspace, application and subscriptions")
        if self.subscriptions and self.timespan is not None:
            raise ValueError("timespan is for logs: remove it, as Resource Graph knows the present alone")
        return self

    @property
    def host(self) -> str:
        hosts = API_HOSTS[self.cloud]
        return hosts.arm if self.subscriptions else hosts.logs if self.workspace else hosts.insights

    @property
    def path(self) -> str:
        if self.subscriptions:
            return "/providers/Microsoft.ResourceGraph/resources"
        return f"/v1/workspaces/{self.workspace}/query" if self.workspace else f"/v1/apps/{self.application}/query"

    @property
    def role_scopes(self) -> tuple[str, ...]:
        return tuple(f"/subscriptions/{each}" for each in self.subscriptions) or (self.label.removeprefix("KQL of "),)

    @property
    def label(self) -> str:
        """Such as `KQL of workspace 63613592-b6f7-4c3d-a390-22ba13102111`."""
        if self.subscriptions:
            return "KQL of Resource Graph"
        return f"KQL of workspace {self.workspace}" if self.workspace else f"KQL of application {self.application}"


METRIC_INTERVALS = {name: parse_duration(name) for name in ("1m", "5m", "15m", "30m", "1h", "6h", "12h", "1d")}
"""The lengths of buckets that Azure Monitor has, in seconds."""


class AzureMetricTarget(AzureTarget):
    """The newest complete value of a metric of a resource; with `filter`, one for each value of the dimensions.

    `interval`: the length of a bucket. `window`: how far back to look for one with data; default: at least 15 minutes,
    and two buckets. `max_data_age`: the state is unknown if the newest bucket ended longer ago.
    """

    kind: Literal["azure_metric"]
    resource: ResourceId
    metric: str = Field(pattern=r"^[^,\x00-\x1f\x7f]{1,200}$", description="its name in the API, such as CpuPercentage")
    namespace: str = Field(
        default="", pattern=r"^[^\x00-\x1f\x7f]{0,200}$", description="default: that of the resource"
    )
    aggregation: Literal["average", "total", "maximum", "minimum", "count"] = "average"
    interval: Literal["1m", "5m", "15m", "30m", "1h", "6h", "12h", "1d"] = "1m"
    window: Annotated[Duration, Field(ge=60, le=30 * 86400)] | None = None
    filter: str = Field(default="", pattern=r"^[^\x00-\x1f\x7f]{0,1000}$", description="such as EntityName eq '*'")
    max_data_age: Annotated[Duration, Field(gt=0)] | None = None
    role: RoleName = "Monitoring Reader"

    @model_validator(mode="after")
    def _check_window(self) -> Self:
        if self.window is not None and self.window < METRIC_INTERVALS[self.interval]:
            raise ValueError("window is shorter than interval: a bucket must fit in it")
        return self

    @property
    def path(self) -> str:
        return f"{self.resource}/providers/microsoft.insights/metrics"

    @property
    def azure_resource(self) -> str:
        return self.resource

    @property
    def label(self) -> str:
        """Such as `metric ActiveMessages of Microsoft.ServiceBus/namespaces/shop`."""
        return f"metric {self.metric} of {shorten_path(self.resource)}"


class AzureQueueTarget(AzureTarget):
    """How many messages a storage queue has, and its poison queue `<queue>-poison`, if that exists.

    The service of the account tells it, so its refusal leaves the state of the queue unknown.
    """

    kind: Literal["azure_queue"]
    account: str = Field(pattern=r"^[a-z0-9]{3,24}$", description="name of the storage account")
    queue: str = Field(pattern=r"^[a-z0-9](-?[a-z0-9])+$", max_length=56, description="its name, such as orders")
    role: RoleName = "Storage Queue Data Reader"

    @property
    def host(self) -> str:
        return f"{self.account}.{API_HOSTS[self.cloud].queues}"

    @property
    def path(self) -> str:
        return f"/{self.queue}"

    @property
    def auth(self) -> ManagedIdentityAuth:
        return _token_for("storage.azure.com")

    @property
    def subject(self) -> str:
        return self.label

    @property
    def role_scopes(self) -> tuple[str, ...]:
        return (f"storage account {self.account}",)

    @property
    def label(self) -> str:
        """Such as `queue orders of storage account shopqueues`."""
        return f"queue {self.queue} of storage account {self.account}"
