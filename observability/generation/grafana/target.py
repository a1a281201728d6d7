"""The target `grafana`: the dashboard for Application Insights, and the Tool, which writes dashboards to a Grafana by
its HTTP API.

The queries of the dashboard are those of the workbook (observability.generation.kql), with the variables of Grafana and
the data source Azure Monitor. Environment variables: GRAFANA_URL, GRAFANA_TOKEN (of a service account with the role
Editor) or GRAFANA_TOKEN_FILE, GRAFANA_FOLDER (the uid of the folder, `scheduler` by default; it is created).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from config.settings.variables import UnusableSecretFile, read_secret_variable
from jobs.problems import make_printable
from jobs.responses import BlockingClient, ReceivedResponse
from observability import names
from observability.generation.document import GeneratedDocument, GenerationTarget, Json, ToolDocument, ToolError
from observability.generation.grafana.panels import (
    DashboardDescription,
    DashboardVariable,
    PanelDescription,
    PanelKind,
    PanelQuery,
    PanelRow,
    make_dashboard_document,
)
from observability.generation.grafana.prometheus_dashboard import make_prometheus_dashboard
from observability.generation.kql import objectives, runs, scheduler
from observability.generation.kql.runs import QueryScope, pipe, quote
from observability.generation.portfolio import Portfolio
from observability.generation.prometheus import make_prometheus_rules

SOURCE_TYPE = "grafana-azure-monitor-datasource"
RESOURCE = "resource"
"""The variable with the id of the component."""

_ANY_JOB = quote("*")
"""In place of the names of jobs if all are selected: a list of 10,000 names would be too long for a query."""
_PERCENTILES = ("50", "95", "99")


def make_insights_dashboard(portfolio: Portfolio) -> GeneratedDocument:
    """Return the dashboard."""
    scope = QueryScope(
        time="$__timeFilter(timestamp)",
        step="$__interval",
        roles=f"cloud_RoleName == {quote(portfolio.service)}",
        jobs=f"({_ANY_JOB} in ($job) or {names.JOB_NAME} in ($job))",
    )
    rows = (
        PanelRow("Overview", _overview_panels(scope)),
        PanelRow("Durations", _duration_panels(scope)),
        PanelRow("Failures", _failure_panels(scope, portfolio)),
        *([PanelRow("Objectives", _objective_panels(scope, portfolio))] if _has_objectives(portfolio) else ()),
        PanelRow("Scheduler", _scheduler_panels(scope)),
    )
    component = "The resource id of the Application Insights component: its JSON view in the portal shows it."
    variables = (
        DashboardVariable(RESOURCE, "Component", None, description=component),
        DashboardVariable("job", "Job", _make_variable_query(_list_names(scope)), all_value=_ANY_JOB),
    )
    description = "Scheduled jobs and health checks. Generated: changes by hand are retained, and reported by drift."
    described = DashboardDescription("insights", "Scheduler", description, SOURCE_TYPE, variables, rows)
    return make_dashboard_document(described, portfolio)


def _has_objectives(portfolio: Portfolio) -> bool:
    return bool(portfolio.objectives)


def _list_names(scope: QueryScope) -> str:
    """The names of the jobs that ran, for the choice of a job."""
    everything = QueryScope(time=scope.time, roles=scope.roles)
    return pipe(runs.select_runs(everything), f"distinct {names.JOB_NAME}", f"order by {names.JOB_NAME} asc")


def _make_variable_query(text: str) -> dict[str, object]:
    logs = {"query": text, "resources": [f"${RESOURCE}"], "resultFormat": "table"}
    return {"refId": "A", "queryType": "Azure Log Analytics", "azureLogAnalytics": logs}


def _panel(kind: PanelKind, key: str, title: str, query: str, unit: str = "short", width: int = 12) -> PanelDescription:
    return PanelDescription(f"insights {key}", kind, title, (PanelQuery(query),), unit=unit, width=width)


def _overview_panels(scope: QueryScope) -> tuple[PanelDescription, ...]:
    counts = runs.count_runs(scope)
    tiles: Iterable[tuple[str, str, str]] = (
        ("Jobs", "Jobs", "short"),
        ("Runs", "Runs", "short"),
        ("Failed", "Failed runs", "short"),
        ("SuccessRate", "Success rate", "percent"),
    )
    return (
        *(_panel("stat", column, title, pipe(counts, f"project {column}"), unit, 6) for column, title, unit in tiles),
        _panel("timeseries", "success", "Success rate of the worst jobs", runs.chart_success_rate(scope), "percent"),
        _panel("timeseries", "failures", "Failed runs", runs.chart_failures(scope)),
        _panel("timeseries", "availability", "Availability", objectives.chart_availability(scope), "percent"),
        _panel("table", "jobs", "Jobs", runs.list_jobs(scope)),
    )


def _duration_panels(scope: QueryScope) -> tuple[PanelDescription, ...]:
    durations = (
        _panel("timeseries", f"duration {share}", f"Duration, p{share}", runs.chart_duration(scope, share), "ms", 8)
        for share in _PERCENTILES
    )
    latenesses = (
        _panel("timeseries", f"lateness {share}", f"Lateness, p{share}", runs.chart_lateness(scope, share), "ms", 8)
        for share in _PERCENTILES
    )
    return (*durations, *latenesses, _panel("timeseries", "retries", "Retries a run", runs.chart_attempts(scope)))


def _failure_panels(scope: QueryScope, portfolio: Portfolio) -> tuple[PanelDescription, ...]:
    limits = [(job.name, limit) for job in portfolio.active_jobs if (limit := objectives.find_silence_limit(job))]
    return (
        _panel("table", "errors", "Errors", runs.list_errors(scope)),
        _panel("table", "failed runs", "Failed runs, newest first", runs.list_failed_runs(scope)),
        _panel("table", "unknown", "Jobs that cannot be checked", runs.list_unknown_jobs(scope)),
        _panel("table", "silent", "Silent jobs", objectives.list_silent_jobs(scope, limits)),
        _panel("table", "circuits", "Openings of circuits", runs.list_circuit_openings(scope)),
        _panel("table", "letters", "Dead letters", runs.list_dead_letters(scope)),
    )


def _objective_panels(scope: QueryScope, portfolio: Portfolio) -> tuple[PanelDescription, ...]:
    query = objectives.list_budgets(scope, portfolio.objectives)
    return (_panel("table", "budgets", "Good runs and burn rates", query, width=24),)


def _scheduler_panels(scope: QueryScope) -> tuple[PanelDescription, ...]:
    ages = scheduler.chart_gauges(scope, scheduler.TICK_GAP, scheduler.QUEUE_AGE)
    depths = (scheduler.QUEUE_DEPTH, scheduler.POISON_DEPTH, scheduler.DEAD_LETTERS)
    counts = (scheduler.SILENT_JOBS, scheduler.LATE_JOBS)
    return (
        _panel("timeseries", "ages", "Tick lag and age of the queue", ages, "s", 8),
        _panel("timeseries", "depths", "Queue and dead letters", scheduler.chart_gauges(scope, *depths), width=8),
        _panel("timeseries", "late", "Silent and late jobs", scheduler.chart_gauges(scope, *counts), width=8),
        _panel("table", "unhealthy", "Unhealthy parts", scheduler.find_unhealthy_parts(scope)),
    )


URL_VARIABLE, TOKEN_VARIABLE, FOLDER_VARIABLE = "GRAFANA_URL", "GRAFANA_TOKEN", "GRAFANA_FOLDER"
DEFAULT_FOLDER = "scheduler"
_TIMEOUT_S = 30.0
_MAX_RESPONSE_BYTES = 16 * 1024 * 1024
_MAX_REASON_LENGTH = 300
_OWN_KEYS = frozenset({"id", "version", "iteration"})
"""Of a dashboard, what Grafana changes by itself."""


@contextmanager
def open_grafana(environ: Mapping[str, str]) -> Iterator[GrafanaApi]:
    """Open the Grafana that the environment variables name. Raises ToolError: one is missing or invalid."""
    import httpx

    try:
        url, token = environ.get(URL_VARIABLE, "").strip(), read_secret_variable(environ, TOKEN_VARIABLE)
    except UnusableSecretFile as error:
        raise ToolError(str(error)) from None
    missing = [name for name, value in ((URL_VARIABLE, url), (TOKEN_VARIABLE, token)) if not value]
    if missing:
        raise ToolError(
            f"{' and '.join(missing)} must be set: the address of Grafana, and the token of a service account"
        )
    if not url.startswith(("https://", "http://")) or not token.isascii():
        raise ToolError(f"{URL_VARIABLE} must be an address such as https://grafana.example.com, and the token ASCII")
    headers = {"Authorization": f"Bearer {token}"}
    with BlockingClient(httpx.AsyncClient(base_url=url.rstrip("/"), headers=headers)) as client:
        yield GrafanaApi(client, token, environ.get(FOLDER_VARIABLE, "").strip() or DEFAULT_FOLDER)


class GrafanaApi:
    """A Tool; the id of a dashboard is its uid."""

    def __init__(self, client: BlockingClient, token: str, folder: str) -> None:
        self._client = client
        self._token = token
        self._folder = folder
        self._has_folder = False
        self._versions: dict[str, int] = {}

    def fetch(self, kind: str, tool_id: str) -> ToolDocument | None:
        found = self._request("GET", f"/api/dashboards/uid/{tool_id}", accepts_404=True)
        if found is None:
            return None
        try:
            value = dict(found["dashboard"])
            self._versions[tool_id] = int(value.get("version") or 0)
        except (LookupError, TypeError, ValueError):
            raise ToolError(f"Grafana's dashboard {tool_id} is not in the form of its API") from None
        return ToolDocument(tool_id, {key: part for key, part in value.items() if key not in _OWN_KEYS})

    def find(self, document: GeneratedDocument) -> ToolDocument | None:
        return self.fetch(document.kind, document.value["uid"])

    def write(self, document: GeneratedDocument, value: Json, tool_id: str | None) -> ToolDocument:
        self._create_folder()
        uid = value["uid"]
        # With the version that was read, Grafana refuses to overwrite what a person has saved meanwhile.
        dashboard = {**value, "id": None, "version": self._versions.get(uid, 0)}
        body = {"dashboard": dashboard, "folderUid": self._folder, "message": "generated", "overwrite": False}
        self._request("POST", "/api/dashboards/db", body)
        written = self.fetch(document.kind, uid)
        if written is None:
            raise ToolError(f"Grafana has no dashboard {uid} after it was written; apply again")
        return written

    def delete(self, kind: str, tool_id: str) -> None:
        self._request("DELETE", f"/api/dashboards/uid/{tool_id}", accepts_404=True)

    def _create_folder(self) -> None:
        if self._has_folder:
            return
        if self._request("GET", f"/api/folders/{self._folder}", accepts_404=True) is None:
            self._request("POST", "/api/folders", {"uid": self._folder, "title": self._folder.capitalize()})
        self._has_folder = True

    def _request(self, method: str, path: str, body: Json = None, *, accepts_404: bool = False) -> Any:
        """Return the parsed answer; None for an accepted 404."""
        import httpx

        try:
            response = self._client.fetch(method, path, limit=_MAX_RESPONSE_BYTES, timeout_s=_TIMEOUT_S, json=body)
        except (httpx.HTTPError, TimeoutError) as error:
            raise ToolError(self._redact(f"Grafana did not answer: {type(error).__name__}: {error}")) from None
        if response.status == httpx.codes.NOT_FOUND and accepts_404:
            return None
        if not response.is_success:
            raise ToolError(self._describe(f"{method} {path}", response))
        try:
            return response.parse_json()
        except ValueError:
            raise ToolError(f"{URL_VARIABLE} does not lead to Grafana's API: {path} did not answer JSON") from None

    def _describe(self, request: str, response: ReceivedResponse) -> str:
        fixes = {
            401: f"set {TOKEN_VARIABLE} to a valid token",
            403: f"give the service account of {TOKEN_VARIABLE} the role Editor, or permissions for the folder",
            412: "a person saved it meanwhile; apply again",
            429: f"it limits requests; apply again in {make_printable(response.headers.get('retry-after', '60'))} s",
        }
        fix = fixes.get(response.status, request)
        try:
            reason = str(response.parse_json()["message"])
        except (ValueError, KeyError, TypeError):
            reason = response.reason
        reason = make_printable(reason, _MAX_REASON_LENGTH)
        return self._redact(f"Grafana answered {response.status} ({reason}): {fix}")

    def _redact(self, text: str) -> str:
        return text.replace(self._token, "[redacted]")


def _generate(portfolio: Portfolio) -> Sequence[GeneratedDocument]:
    return (
        make_prometheus_dashboard(portfolio),
        make_insights_dashboard(portfolio),
        make_prometheus_rules(portfolio),
    )


TARGET = GenerationTarget("grafana", _generate, open_grafana)
