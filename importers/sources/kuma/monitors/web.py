"""Maps types that are requests of a certain kind: `real-browser`, `docker`, `rabbitmq`. Called by types."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote, urlsplit

from importers.errors import NotCarriedOver
from importers.job_draft import JobDraft
from importers.sources.kuma.monitors.http import put_upside_down
from importers.sources.kuma.monitors.monitor import KumaMonitor, put_common_parts
from importers.values.http_requests import put_basic_auth, put_url

_DOCKER_PORTS = {"http": 2375, "https": 2376}


def map_real_browser(monitor: KumaMonitor) -> Sequence[JobDraft]:
    """Add a request of the page alone, as there is no browser."""
    draft = monitor.new_draft("http")
    row = monitor.row
    put_url(
        monitor.context, draft, row.text("url"), *row.nodes("url"), how="only the page is requested, without a browser"
    )
    if row.is_set("upside_down"):
        put_upside_down(monitor, draft)
    else:
        draft.expect({"status": "200-399"})
    for node in row.nodes("remote_browser", "screenshot_delay"):
        draft.drop(node, "there is no browser", "check the requests of the page, or use steps")
    put_common_parts(monitor, draft, uses_timeout=True)
    return [draft]


def map_docker(monitor: KumaMonitor) -> Sequence[JobDraft]:
    """Add a request to the API of Docker. Raises NotCarriedOver: it is not reachable over TCP."""
    row = monitor.row
    host = monitor.rows.find("docker_host", row.values.get("docker_host"))
    if host is None:
        raise NotCarriedOver("its Docker host does not exist")
    if host.text("docker_type") != "tcp":
        raise NotCarriedOver(
            "a check cannot use the socket of Docker",
            "check what the container serves, or let its health check ping a heartbeat",
        )
    draft = monitor.new_draft("http")
    container = quote(row.text("docker_container"), safe="")
    url = f"{_docker_origin(host.text('docker_daemon'))}/containers/{container}/json"
    nodes = [*row.nodes("docker_container", "docker_host"), *host.nodes("docker_daemon", "docker_type", "name")]
    draft.put("check.url", url, *nodes, how="a request to the API of Docker")
    draft.expect({"json": "$.State.Running", "equals": True})
    draft.expect({"json": "$.State.Paused", "equals": False})
    draft.expect({"json": "$.State.Health.Status", "one_of": ["healthy", "starting", "none"], "missing": "ok"})
    _refuse_upside_down(monitor)
    put_common_parts(monitor, draft, uses_timeout=True)
    return [draft]


def _docker_origin(daemon: str) -> str:
    """`tcp://docker.internal:2375` -> `http://docker.internal:2375`; the port of TLS means https."""
    try:
        parts = urlsplit(daemon if "://" in daemon else f"tcp://{daemon}")
        port = parts.port
    except ValueError:
        raise NotCarriedOver("the address of its Docker host is not valid") from None
    scheme = "https" if parts.scheme == "https" or port == _DOCKER_PORTS["https"] else "http"
    return f"{scheme}://{parts.hostname or ''}:{port or _DOCKER_PORTS[scheme]}"


def map_rabbitmq(monitor: KumaMonitor) -> Sequence[JobDraft]:
    """Add a request to each node; the monitor is up if one of them is, which a group of the jobs expresses."""
    row = monitor.row
    urls = row.texts("rabbitmq_nodes")
    if not urls:
        raise NotCarriedOver("it has no nodes")
    _refuse_upside_down(monitor)
    drafts = []
    for number, url in enumerate(urls):
        draft = monitor.new_draft("http", str(number + 1) if len(urls) > 1 else "")
        column = row.nodes("rabbitmq_nodes")
        nodes = [node for one in column if (node := one.child(number)) is not None] or column
        put_url(monitor.context, draft, f"{url.rstrip('/')}/api/health/checks/alarms/", *nodes)
        draft.put("check.headers", {"Accept": "application/json"})
        credentials = row.nodes("rabbitmq_username", "rabbitmq_password")
        if credentials:
            user, password = row.text("rabbitmq_username"), row.text("rabbitmq_password")
            put_basic_auth(monitor.context, draft, user, password, *credentials)
        draft.expect({"status": 200})
        put_common_parts(monitor, draft, uses_timeout=True)
        drafts.append(draft)
    return drafts


def _refuse_upside_down(monitor: KumaMonitor) -> None:
    if monitor.row.is_set("upside_down"):
        raise NotCarriedOver("upside down: the opposite of this check is not known", "write the expectation itself")
