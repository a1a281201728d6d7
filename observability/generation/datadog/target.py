"""The target `datadog`, and its Tool: dashboards, monitors and SLOs, by Datadog's client.

Environment variables: DD_API_KEY and DD_APP_KEY (or DD_API_KEY_FILE and DD_APP_KEY_FILE), and DD_SITE or
SCHEDULER_DATADOG__URL as for telemetry. Documents are checked by the models of the client before a write. A wrong
enumeration does not raise in these models: the object is marked, and so are those around it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from config.settings.variables import UnusableSecretFile, read_secret_variable
from jobs.problems import make_printable
from observability.exporters.bounded_urllib3 import DatadogResponse, limit_responses
from observability.generation.datadog.dashboard import make_dashboard
from observability.generation.datadog.monitors import (
    DASHBOARD,
    ID_TAG,
    MONITOR,
    OBJECTIVE,
    make_burn_rate_monitors,
    make_monitors,
    make_objectives,
)
from observability.generation.document import GeneratedDocument, GenerationTarget, Json, ToolDocument, ToolError

if TYPE_CHECKING:
    from datadog_api_client import ApiClient

    from observability.generation.portfolio import Portfolio

_MODELS = {
    DASHBOARD: ("datadog_api_client.v1.model.dashboard", "Dashboard"),
    MONITOR: ("datadog_api_client.v1.model.monitor", "Monitor"),
    OBJECTIVE: (
        "datadog_api_client.v1.model.service_level_objective_request",
        "ServiceLevelObjectiveRequest",
    ),
}
"""Module and class of each kind. Full names: the image has only the models that the program imports or names."""


def find_invalid_parts(kind: str, value: Json) -> list[str]:
    """Return what Datadog's model of this kind does not accept, with its place; empty for a valid document."""
    from datadog_api_client.configuration import Configuration
    from datadog_api_client.exceptions import ApiTypeError, ApiValueError
    from datadog_api_client.model_utils import validate_and_convert_types

    module, name = _MODELS[kind]
    model = getattr(import_module(module), name)
    convert: Any = validate_and_convert_types  # it has no types
    make_configuration: Any = Configuration
    try:
        read = convert(
            value, (model,), ["document"], True, True, configuration=make_configuration(spec_property_naming=True)
        )
    except (ApiTypeError, ApiValueError, TypeError, ValueError) as error:
        return [str(error)]
    return list(_find_marks(read, kind))


def _find_marks(value: Any, place: str) -> Iterator[str]:
    """Yield the deepest objects that could not be read, and keys that a model does not know."""
    from datadog_api_client.model_utils import ModelNormal, OpenApiModel, UnparsedObject

    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _find_marks(item, f"{place}[{number}]")
        return
    if not isinstance(value, OpenApiModel):
        return
    parts = value.__dict__.get("_data_store", {})
    inner = [found for key, part in parts.items() for found in _find_marks(part, f"{place}.{key}")]
    yield from inner
    if isinstance(value, UnparsedObject) or (value._unparsed and not inner):
        yield f"{place}: {type(value).__name__} does not accept {str(parts)[:200]}"
    elif isinstance(value, ModelNormal):
        yield from (
            f"{place}.{key}: {type(value).__name__} has no such key" for key in parts if key not in value.attribute_map
        )


KEY_VARIABLE, APP_KEY_VARIABLE, SITE_VARIABLE = "DD_API_KEY", "DD_APP_KEY", "DD_SITE"
URL_VARIABLE = "SCHEDULER_DATADOG__URL"
DEFAULT_SITE = "datadoghq.com"
_TIMEOUT_S = 30.0
_MAX_REASON_LENGTH = 300
_MAX_RESPONSE_BYTES = 64 * 1024 * 1024
"""Of a list of all dashboards."""
_LIMIT_RETRIES = 3
_MAX_LIMIT_WAIT_S = 60.0
"""A longer wait for the end of a limit is left to the user."""

_OWN_KEYS: Mapping[str, frozenset[str]] = {
    DASHBOARD: frozenset({"id", "url", "author_handle", "author_name", "created_at", "modified_at"}),
    MONITOR: frozenset(
        {"id", "created", "created_at", "creator", "modified", "deleted", "multi", "org_id", "overall_state"}
        | {"overall_state_modified", "state", "matching_downtimes", "assets", "draft_status"}
    ),
    OBJECTIVE: frozenset({"id", "created_at", "modified_at", "creator", "monitor_tags"}),
}
"""What Datadog adds to a document by itself."""

_FIXES = {
    401: f"set {KEY_VARIABLE} and {APP_KEY_VARIABLE} to valid keys of this site",
    403: f"check {KEY_VARIABLE}, {APP_KEY_VARIABLE} and {SITE_VARIABLE}: the application key needs the scopes "
    "dashboards_write, monitors_write and slos_write",
    409: "another document uses it; apply again after its removal there",
}


@contextmanager
def open_datadog(environ: Mapping[str, str]) -> Iterator[DatadogApi]:
    """Open the organisation that the environment variables name.

    Raises:
        ToolError: a key is missing, or its file cannot be used.
    """
    try:
        keys = {name: read_secret_variable(environ, name) for name in (KEY_VARIABLE, APP_KEY_VARIABLE)}
    except UnusableSecretFile as error:
        raise ToolError(str(error)) from None
    missing = [name for name, value in keys.items() if not value]
    if missing:
        raise ToolError(f"{' and '.join(missing)} must be set: an API key and an application key of Datadog")
    url = environ.get(URL_VARIABLE, "").strip() or None
    site = environ.get(SITE_VARIABLE, "").strip() or DEFAULT_SITE
    client = _open_client(keys[KEY_VARIABLE], keys[APP_KEY_VARIABLE], site, url)
    try:
        yield DatadogApi(client, tuple(keys.values()))
    finally:
        client.close()


def _open_client(api_key: str, app_key: str, site: str, url: str | None) -> ApiClient:
    from datadog_api_client import ApiClient, Configuration

    make: Any = Configuration  # it has no types
    configuration = make(
        api_key={"apiKeyAuth": api_key, "appKeyAuth": app_key},
        host=url.rstrip("/") if url else None,
        check_input_type=False,
        check_return_type=False,
        # The unchanged answer: the client's models would lose what a newer API adds, and drift needs all of it.
        preload_content=False,
        retry_policy=_make_retry_policy(),
        request_timeout=_TIMEOUT_S,
    )
    if not url:
        configuration.server_variables["site"] = site
    client: ApiClient = ApiClient(configuration)
    limit_responses(client, _MAX_RESPONSE_BYTES)
    return client


def _make_retry_policy() -> Any:
    """Wait for a limit of requests that ends soon: some hundred documents can reach it. Nothing else is repeated."""
    from datadog_api_client.rest import ClientRetry

    class LimitRetry(ClientRetry):
        RETRY_AFTER_STATUS_CODES = frozenset({429})

        def get_retry_after(self, response: Any) -> float | None:
            read: Any = super().get_retry_after  # it has no types
            wait: float | None = read(response)
            return wait if wait is not None and wait <= _MAX_LIMIT_WAIT_S else None

    return LimitRetry(total=_LIMIT_RETRIES, connect=0, read=0, other=0, raise_on_status=False)


class DatadogApi:
    """A Tool."""

    def __init__(self, client: ApiClient, secrets: tuple[str, ...]) -> None:
        from datadog_api_client.v1.api.dashboards_api import DashboardsApi
        from datadog_api_client.v1.api.monitors_api import MonitorsApi
        from datadog_api_client.v1.api.service_level_objectives_api import ServiceLevelObjectivesApi

        self._secrets = secrets
        make: Mapping[str, Any] = {
            DASHBOARD: DashboardsApi,
            MONITOR: MonitorsApi,
            OBJECTIVE: ServiceLevelObjectivesApi,
        }
        self._apis = {kind: api(client) for kind, api in make.items()}

    def fetch(self, kind: str, tool_id: str) -> ToolDocument | None:
        api = self._apis[kind]
        get = {DASHBOARD: "get_dashboard", MONITOR: "get_monitor", OBJECTIVE: "get_slo"}[kind]
        found = self._call(getattr(api, get), _parse_id(kind, tool_id), accepts_404=True)
        return None if found is None else self._read(kind, found)

    def find(self, document: GeneratedDocument) -> ToolDocument | None:
        with _expect_form():
            found = self._find_id(document)
        return None if found is None else self.fetch(document.kind, found)

    def write(self, document: GeneratedDocument, value: Json, tool_id: str | None) -> ToolDocument:
        kind = document.kind
        # Of the generated value alone: what Datadog has added may be newer than the models.
        if problems := find_invalid_parts(kind, document.value):
            raise ToolError(f"Datadog's models do not accept it: {problems[0]}")
        api = self._apis[kind]
        noun = {DASHBOARD: "dashboard", MONITOR: "monitor", OBJECTIVE: "slo"}[kind]
        if tool_id is None:
            return self._read(kind, self._call(getattr(api, f"create_{noun}"), value))
        return self._read(kind, self._call(getattr(api, f"update_{noun}"), _parse_id(kind, tool_id), value))

    def delete(self, kind: str, tool_id: str) -> None:
        noun = {DASHBOARD: "dashboard", MONITOR: "monitor", OBJECTIVE: "slo"}[kind]
        self._call(getattr(self._apis[kind], f"delete_{noun}"), _parse_id(kind, tool_id), accepts_404=True)

    def _find_id(self, document: GeneratedDocument) -> str | None:
        api, kind = self._apis[document.kind], document.kind
        if kind == DASHBOARD:
            # Dashboards cannot have such tags, so the id is the end of the description.
            mark = document.value["description"].rpartition(" ")[2]
            listed = self._call(api.list_dashboards)["dashboards"]
            return next((str(one["id"]) for one in listed if str(one.get("description")).endswith(mark)), None)
        tag = next(tag for tag in document.value["tags"] if tag.startswith(f"{ID_TAG}:"))
        if kind == MONITOR:
            found = self._call(lambda: api.list_monitors(monitor_tags=tag))
        else:
            found = self._call(lambda: api.list_slos(tags_query=tag))["data"]
        return str(found[0]["id"]) if found else None

    def _call(self, call: Callable[..., Any], *arguments: Any, accepts_404: bool = False) -> Any:
        """Return the parsed answer; None for an accepted 404."""
        from datadog_api_client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        try:
            response: DatadogResponse = call(*arguments)
        except ApiException as error:
            if error.status == 404 and accepts_404:
                return None
            raise ToolError(self._describe(error.status, error.reason, error.body, error.headers or {})) from None
        except (HTTPError, OSError) as error:
            raise ToolError(self._redact(f"Datadog did not answer: {type(error).__name__}: {error}")) from None
        if response.error:
            raise ToolError(f"Datadog's response cannot be read: {response.error}")
        with _expect_form():
            return json.loads(response.data) if response.data else {}

    def _read(self, kind: str, answer: Json) -> ToolDocument:
        """An SLO is in `data`, alone or in a list."""
        with _expect_form():
            value = answer["data"] if kind == OBJECTIVE else answer
            value = value[0] if isinstance(value, list) else value
            own = {key: part for key, part in value.items() if key not in _OWN_KEYS[kind]}
            return ToolDocument(str(value["id"]), own)

    def _describe(self, status: int, reason: str, body: Any, headers: Mapping[str, str]) -> str:
        text = "; ".join(map(str, body["errors"])) if isinstance(body, dict) and body.get("errors") else reason
        fix = _FIXES.get(status, "correct it in the job file, or apply again if Datadog is unavailable")
        if status == 429:
            wait = {name.lower(): value for name, value in headers.items()}.get("x-ratelimit-reset", "60")
            fix = f"it limits requests; apply again in {make_printable(wait)} s"
        text = make_printable(text, _MAX_REASON_LENGTH)
        return self._redact(f"Datadog answered {status} ({text}): {fix}")

    def _redact(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "[redacted]")
        return text


def _parse_id(kind: str, tool_id: str) -> Any:
    return int(tool_id) if kind == MONITOR else tool_id


@contextmanager
def _expect_form() -> Iterator[None]:
    """Raise ToolError if a response is not in the form that is read."""
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise ToolError(f"Datadog's response is not that of its API: {type(error).__name__}") from None


def _generate(portfolio: Portfolio) -> Sequence[GeneratedDocument]:
    return (
        *make_objectives(portfolio),
        *make_monitors(portfolio),
        *make_burn_rate_monitors(portfolio),
        make_dashboard(portfolio),
    )


TARGET = GenerationTarget("datadog", _generate, open_datadog)
