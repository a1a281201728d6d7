"""Maps types that are requests of a certain kind (`real-browser`, `docker`, `rabbitmq`), and databases and brokers: a
connection to their port, or the greeting that their protocol allows.

There are no clients of databases: what a monitor checks further is reported as not carried over.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote, urlsplit

from importers.http_requests import put_basic_auth, put_url
from importers.ledger import JobDraft
from importers.source_tree import NotCarriedOver
from importers.sources.kuma.http import put_upside_down
from importers.sources.kuma.monitor import KumaMonitor, put_common_parts

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


_PORTS = {"sqlserver": 1433, "postgres": 5432, "mysql": 3306, "mongodb": 27017, "redis": 6379, "oracledb": 1521}
_ONLY_PORT = "only the connection to the port is checked"
_NO_CLIENT = "there is no client of this protocol"
_HEALTH_URL = "check a health URL of the application that uses it"
_SERVER = re.compile(r"(?:^|;)\s*(?:data source|server|address|addr|network address)\s*=\s*([^;]+)", re.IGNORECASE)
_COLUMNS_WITHOUT_CLIENT = (
    "database_query",
    "conditions",
    "mqtt_topic",
    "mqtt_success_message",
    "mqtt_username",
    "mqtt_password",
    "mqtt_check_type",
    "mqtt_websocket_path",
    "kafka_producer_topic",
    "kafka_producer_message",
    "kafka_producer_sasl_options",
    "kafka_producer_allow_auto_topic_creation",
    "grpc_protobuf",
    "grpc_body",
    "grpc_metadata",
    "grpc_method",
    "grpc_service_name",
    "keyword",
    "invert_keyword",
    "json_path",
    "json_path_operator",
    "expected_value",
    "basic_auth_user",
    "basic_auth_pass",
)


def map_database(monitor: KumaMonitor) -> Sequence[JobDraft]:
    """Add a connection to the server of a connection string; for Redis, a PING. Raises NotCarriedOver."""
    row = monitor.row
    kind = row.text("type")
    host, port, is_encrypted = read_address(row.text("database_connection_string"), _PORTS[kind])
    draft = monitor.new_draft("tcp")
    nodes = row.nodes("database_connection_string")
    how = "a PING without signing in" if kind == "redis" else _ONLY_PORT
    draft.put("check.host", host, *nodes, how=how)
    draft.put("check.port", port)
    if is_encrypted and kind == "redis":
        draft.put("check.tls", {"verify": not row.is_set("ignore_tls")}, *row.nodes("ignore_tls"))
    if kind == "redis":
        # A server that requires a password refuses the command, and is therefore there.
        draft.put("check.dialogue", [{"send": "PING\r\n"}, {"receive": r"^(\+PONG|-NOAUTH|-NOPERM)"}])
    _finish(monitor, draft)
    return [draft]


def read_address(text: str, default_port: int) -> tuple[str, int, bool]:
    """Return host, port and whether TLS is used, of a connection string. Raises NotCarriedOver."""
    address, is_encrypted = text.strip(), False
    if "://" in address:
        scheme, _, rest = address.partition("://")
        if scheme.lower() == "mongodb+srv":
            raise NotCarriedOver("a name of SRV records has no port", "check the port of one of its servers")
        is_encrypted = scheme.lower() == "rediss"
        authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
        if "@" in rest and "@" not in authority:
            # A password that is not encoded: its parts must not be read as host and port.
            raise NotCarriedOver("the connection string cannot be read: its password is not percent-encoded")
        address = authority.rpartition("@")[2].split(",")[0]
    elif (found := _SERVER.search(address)) is not None:
        address = found[1].strip().removeprefix("tcp:").split("\\")[0].replace(",", ":")
    else:
        address = address.partition("/")[0]
    try:
        parts = urlsplit(f"//{address}")
        host, port = parts.hostname or "", parts.port or default_port
    except ValueError:
        raise NotCarriedOver("the connection string has no valid host and port") from None
    if not host or not re.fullmatch(r"[A-Za-z0-9._:-]+", host):
        raise NotCarriedOver("the connection string has no host")
    return host, port, is_encrypted


def map_mqtt(monitor: KumaMonitor) -> Sequence[JobDraft]:
    """Add a connection to the port of the broker."""
    row = monitor.row
    address = row.text("hostname").strip()
    host = address.partition("://")[2] if "://" in address else address
    draft = monitor.new_draft("tcp")
    if not host:
        raise NotCarriedOver("it has no host")
    draft.put("check.host", host.partition("/")[0].partition(":")[0], *row.nodes("hostname"), how=_ONLY_PORT)
    draft.put("check.port", row.whole("port") or 1883, *row.nodes("port"))
    _finish(monitor, draft)
    return [draft]


def map_kafka(monitor: KumaMonitor) -> Sequence[JobDraft]:
    """Add a connection to each broker."""
    row = monitor.row
    brokers = row.texts("kafka_producer_brokers")
    if not brokers:
        raise NotCarriedOver("it has no brokers")
    drafts = []
    for number, broker in enumerate(brokers):
        draft = monitor.new_draft("tcp", str(number + 1) if len(brokers) > 1 else "")
        column = row.nodes("kafka_producer_brokers")
        nodes = [node for one in column if (node := one.child(number)) is not None] or column
        host, port, _ = read_address(f"kafka://{broker}", 9092)
        draft.put("check.host", host, *nodes, how=_ONLY_PORT)
        draft.put("check.port", port)
        if row.is_set("kafka_producer_ssl"):
            draft.put("check.tls", {"verify": True}, *row.nodes("kafka_producer_ssl"))
        _finish(monitor, draft)
        drafts.append(draft)
    return drafts


def map_grpc(monitor: KumaMonitor) -> Sequence[JobDraft]:
    """Add a connection to the server, with TLS if the monitor uses it."""
    row = monitor.row
    host, port, _ = read_address(f"grpc://{row.text('grpc_url').rpartition('://')[2]}", 443)
    draft = monitor.new_draft("tcp")
    draft.put("check.host", host, *row.nodes("grpc_url"), how=_ONLY_PORT)
    draft.put("check.port", port)
    if row.is_set("grpc_enable_tls"):
        draft.put("check.tls", {"verify": not row.is_set("ignore_tls")}, *row.nodes("grpc_enable_tls", "ignore_tls"))
    _finish(monitor, draft)
    return [draft]


def _finish(monitor: KumaMonitor, draft: JobDraft) -> None:
    row = monitor.row
    if row.is_set("upside_down"):
        raise NotCarriedOver(
            "upside down: the opposite of this check is not known", "expect {error: connection_refused}"
        )
    for node in row.nodes(*_COLUMNS_WITHOUT_CLIENT):
        draft.drop(node, _NO_CLIENT, _HEALTH_URL)
    put_common_parts(monitor, draft, uses_timeout=False)
