"""The target `grafana`, and its Tool: dashboards in a Grafana, by its HTTP API.

Environment variables: GRAFANA_URL, GRAFANA_TOKEN (of a service account with the role Editor) or GRAFANA_TOKEN_FILE,
GRAFANA_FOLDER (the uid of the folder, `scheduler` by default; it is created).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from config.settings.variables import UnusableSecretFile, read_secret_variable
from jobs.problems import make_printable
from jobs.responses.reading import BlockingClient, ReceivedResponse
from observability.generation.document import GeneratedDocument, GenerationTarget, Json, ToolDocument, ToolError
from observability.generation.grafana.insights_dashboard import make_insights_dashboard
from observability.generation.grafana.prometheus_dashboard import make_prometheus_dashboard
from observability.generation.prometheus import make_prometheus_rules

if TYPE_CHECKING:
    from observability.generation.portfolio import Portfolio

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
