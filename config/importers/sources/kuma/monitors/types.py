"""All types of monitors, and what becomes of each. Called by monitors of the source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from config.importers.sources.kuma.monitors.databases import (
    map_database,
    map_grpc,
    map_kafka,
    map_mqtt,
)
from config.importers.sources.kuma.monitors.dns import map_dns
from config.importers.sources.kuma.monitors.http import map_http
from config.importers.sources.kuma.monitors.monitor import MonitorMapper
from config.importers.sources.kuma.monitors.push import map_push
from config.importers.sources.kuma.monitors.tcp import map_port, map_smtp, map_websocket
from config.importers.sources.kuma.monitors.web import map_docker, map_rabbitmq, map_real_browser


class UnsupportedType(NamedTuple):
    """Why a type has no equivalent, and what is nearest."""

    why: str
    nearest: str


MAPPED_TYPES: Mapping[str, MonitorMapper] = {
    "http": map_http,
    "keyword": map_http,
    "json-query": map_http,
    "real-browser": map_real_browser,
    "docker": map_docker,
    "rabbitmq": map_rabbitmq,
    "port": map_port,
    "smtp": map_smtp,
    "websocket-upgrade": map_websocket,
    "dns": map_dns,
    "push": map_push,
    "mqtt": map_mqtt,
    "kafka-producer": map_kafka,
    "grpc-keyword": map_grpc,
    "sqlserver": map_database,
    "postgres": map_database,
    "mysql": map_database,
    "mongodb": map_database,
    "redis": map_database,
    "oracledb": map_database,
}

_PORT = "a job of the kind tcp for a port on which the host listens"
_HEARTBEAT = "a heartbeat that a script on that machine pings"
_UDP = "the protocol uses UDP, which checks do not, except for DNS"

REFUSED_TYPES: Mapping[str, UnsupportedType] = {
    "ping": UnsupportedType("there are no ICMP packets, which need privileges of the machine", _PORT),
    "tailscale-ping": UnsupportedType("there are no pings in a tailnet", _PORT),
    "globalping": UnsupportedType(
        "checks run where the scheduler runs, not at Globalping", "a job of the kind http, dns or tcp"
    ),
    "steam": UnsupportedType("there is no client of game servers", _PORT),
    "gamedig": UnsupportedType("there is no client of game servers", _PORT),
    "radius": UnsupportedType(_UDP, _HEARTBEAT),
    "snmp": UnsupportedType(_UDP, _HEARTBEAT),
    "ntp": UnsupportedType(_UDP, _HEARTBEAT),
    "sip-options": UnsupportedType("there is no client of SIP", _PORT),
    "pm2": UnsupportedType("a check does not see the processes of a machine", _HEARTBEAT),
    "system-service": UnsupportedType("a check does not see the services of a machine", _HEARTBEAT),
    "manual": UnsupportedType(
        "a status that people set is not a check", "a heartbeat whose pings report status=up or status=down"
    ),
}
UNKNOWN_TYPE = UnsupportedType("the importer does not know this type of monitor", _PORT)
