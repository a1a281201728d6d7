"""The rows of Uptime Kuma as one document, and one row as values with the nodes they came from.

A column that has its default (of the schema, or of the form for new monitors: both are written to each row) is not
part of the document: only what was set is reported. Values in JSON are separate documents, so that each of their
leaves is reported.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from config.documents.parse_result import depth_exceeds
from importers.source_tree import SourceNode, UnreadableSource

BOOKKEEPING_COLUMNS = frozenset(
    {"id", "user_id", "created_date", "modified_date", "last_updated_date", "dns_last_result", "last_start_date"}
)
"""Columns that the program fills by itself."""

JSON_COLUMNS = frozenset(
    {
        ("monitor", "headers"),
        ("monitor", "accepted_statuscodes_json"),
        ("monitor", "kafka_producer_brokers"),
        ("monitor", "kafka_producer_sasl_options"),
        ("monitor", "rabbitmq_nodes"),
        ("monitor", "conditions"),
        ("notification", "config"),
        ("maintenance", "weekdays"),
        ("maintenance", "days_of_month"),
    }
)

OPTION_COLUMNS = frozenset({("notification", "config"), ("monitor", "kafka_producer_sasl_options")})
"""JSON columns whose keys are options: a key without a value is not set. A header without a value is sent."""

REPORTED_DEFAULTS = frozenset(
    {
        ("monitor", "name"),
        ("monitor", "type"),
        ("monitor", "interval"),
        ("maintenance", "title"),
        ("maintenance", "strategy"),
        ("notification", "name"),
    }
)
"""Columns that are reported even if they have their defaults."""

_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "monitor": {
        "active": 1,
        "weight": 2000,
        "maxretries": 0,
        "ignore_tls": 0,
        "upside_down": 0,
        "maxredirects": 10,
        "accepted_statuscodes_json": '["200-299"]',
        "dns_resolve_type": "A",
        "dns_resolve_server": "1.1.1.1",
        "method": "GET",
        "expiry_notification": 1,
        "grpc_enable_tls": 0,
        "resend_interval": 0,
        "retry_interval": 0,
        "packet_size": 56,
        "invert_keyword": 0,
        "json_path": "$",
        "timeout": 0,
        "gamedig_given_port_only": 1,
        "kafka_producer_ssl": 0,
        "kafka_producer_allow_auto_topic_creation": 0,
        "kafka_producer_brokers": "[]",
        "kafka_producer_sasl_options": '{"mechanism":"None"}',
        "oauth_auth_method": "client_secret_basic",
        "mqtt_check_type": "keyword",
        "snmp_version": "2c",
        "json_path_operator": "==",
        "cache_bust": 0,
        "conditions": "[]",
        "rabbitmq_nodes": "[]",
        "ws_ignore_sec_websocket_accept_header": 0,
        "ping_count": 1,
        "ping_numeric": 1,
        "ping_per_request_timeout": 2,
        "domain_expiry_notification": 1,
        "save_response": 0,
        "save_error_response": 1,
        "response_max_length": 1024,
        "expected_tls_alert": "none",
        "retry_only_on_status_code_failure": 0,
        "screenshot_delay": 0,
        "ntp_stratum_threshold": 5,
        "ntp_time_offset_threshold": 1000,
        "ntp_root_dispersion_threshold": 500,
        "http_body_encoding": "json",
    },
    "notification": {"active": 1, "is_default": 0},
    "proxy": {"active": 1, "default": 0},
    "maintenance": {"active": 1, "weekdays": "[]", "days_of_month": "[]"},
}


def find_default(table: str, column: str) -> Any:
    """Return the default of a column; None without one."""
    return _DEFAULTS.get(table, {}).get(column)


COLUMNS_OF_TYPES = tuple(
    re.findall(
        r"\S+",
        """url hostname port keyword invert_keyword maxredirects accepted_statuscodes_json dns_resolve_type
    dns_resolve_server push_token method body headers basic_auth_user basic_auth_pass docker_host docker_container
    proxy_id expiry_notification mqtt_topic mqtt_success_message mqtt_username mqtt_password mqtt_check_type
    mqtt_websocket_path database_connection_string database_query auth_method auth_domain auth_workstation grpc_url
    grpc_protobuf grpc_body grpc_metadata grpc_method grpc_service_name grpc_enable_tls radius_username
    radius_password radius_calling_station_id radius_called_station_id radius_secret packet_size game
    http_body_encoding tls_ca tls_cert tls_key json_path json_path_operator expected_value kafka_producer_topic
    kafka_producer_brokers kafka_producer_sasl_options kafka_producer_message kafka_producer_ssl
    kafka_producer_allow_auto_topic_creation oauth_client_id oauth_client_secret oauth_token_url oauth_scopes
    oauth_audience oauth_auth_method timeout gamedig_given_port_only gamedig_token remote_browser snmp_oid
    snmp_version snmp_v3_username cache_bust conditions rabbitmq_nodes rabbitmq_username rabbitmq_password
    smtp_security ws_ignore_sec_websocket_accept_header ws_subprotocol ping_count ping_numeric
    ping_per_request_timeout ip_family manual_status save_response save_error_response response_max_length
    system_service_name subtype location protocol expected_tls_alert retry_only_on_status_code_failure
    screenshot_delay ntp_stratum_threshold ntp_time_offset_threshold ntp_root_dispersion_threshold bearer_token
    ignore_tls retry_interval resend_interval
        """,
    )
)
"""Columns that only some types of monitors use."""


_MAX_DEPTH = 50
EMPTY_VALUES: tuple[Any, ...] = (None, "", [], {})


@dataclass(frozen=True)
class KumaRow:
    """`values`: all columns, also those with their defaults. `node`: those that were set."""

    table: str
    node: SourceNode
    values: Mapping[str, Any]
    keys: Mapping[str, str] = field(default_factory=dict)
    """Column -> its key in the node, where they differ."""
    unset: frozenset[str] = frozenset()
    """Columns of a backup that have their defaults, or that the program fills: they have no nodes."""

    @property
    def identifier(self) -> int:
        value = self.values.get("id")
        return value if isinstance(value, int) else 0

    def text(self, column: str, default: str = "") -> str:
        """Return the text of a column, `default` for null."""
        value = self.values.get(column)
        return default if value is None else str(value)

    def number(self, column: str, default: float = 0) -> float:
        """Return the number of a column; `default` for anything else."""
        value = self.values.get(column)
        try:
            number = float(value) if value is not None else default
        except (TypeError, ValueError):
            return default
        return number if abs(number) < 1e12 else default  # also of NaN and infinity

    def whole(self, column: str, default: int = 0) -> int:
        return int(self.number(column, default))

    def is_set(self, column: str) -> bool:
        """Whether a column of type boolean is true."""
        return self.values.get(column) in (1, True, "1", "true")

    def texts(self, column: str) -> list[str]:
        """Return the texts of a JSON list; none of anything else."""
        listed = parse_json_text(self.values.get(column))
        return [one for one in listed if isinstance(one, str)] if isinstance(listed, list) else []

    def nodes(self, *columns: str) -> list[SourceNode]:
        """Return the nodes of those columns that were set."""
        found = (self.node.child(self.keys.get(column, column)) for column in columns if column not in self.unset)
        return [node for node in found if node is not None]


@dataclass
class KumaRows:
    """The rows of all tables. `is_backup`: of a JSON backup, which has no results."""

    tables: dict[str, list[KumaRow]] = field(default_factory=dict)
    is_backup: bool = False

    def of(self, table: str) -> list[KumaRow]:
        return self.tables.get(table, [])

    def find(self, table: str, identifier: Any) -> KumaRow | None:
        """Return the row with an id."""
        return next((row for row in self.of(table) if row.identifier == identifier), None)

    def linked(self, table: str, column: str, identifier: int) -> list[KumaRow]:
        """Return the rows whose column refers to the id."""
        return [row for row in self.of(table) if row.values.get(column) == identifier]


def prune_row(table: str, row: Mapping[str, Any], file: str) -> dict[str, Any]:
    """Return the columns that were set, with JSON texts as values. A row without any has its id alone.

    Raises UnreadableSource: a JSON text is nested too deeply.
    """
    pruned: dict[str, Any] = {}
    for column, value in row.items():
        is_json = (table, column) in JSON_COLUMNS
        if is_json:
            value = parse_json_column(value, file, f"{table}.{row.get('id')}.{column}")
        if not is_unset(table, column, value):
            pruned[column] = omit_empty(value) if (table, column) in OPTION_COLUMNS else value
    return pruned or {"id": row.get("id")}


def is_unset(table: str, column: str, value: Any) -> bool:
    """Whether a column is empty, has its default, or is filled by the program. `value`: JSON texts as values."""
    if column in BOOKKEEPING_COLUMNS:
        return True
    if (table, column) in REPORTED_DEFAULTS:
        return False
    if value in EMPTY_VALUES or ((table, column) in JSON_COLUMNS and value == "null"):
        return True
    default = find_default(table, column)
    return default is not None and bool(value == default or value == parse_json_text(default))


def omit_empty(value: Any) -> Any:
    """Return a mapping without the keys that have no value; any other value unchanged."""
    if not isinstance(value, dict):
        return value
    return {key: one for key, one in value.items() if one not in EMPTY_VALUES}


def parse_json_column(value: Any, file: str, place: str) -> Any:
    """Return the document of a JSON text, or the text itself. Raises UnreadableSource: it is nested too deeply."""
    parsed = parse_json_text(value)
    if parsed is value and isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            is_too_deep = depth_exceeds(json.loads(value), _MAX_DEPTH - 1)
        except ValueError:
            is_too_deep = False
        except RecursionError:
            is_too_deep = True
        if is_too_deep:
            raise UnreadableSource(file, f"the JSON in {place} is nested more deeply than {_MAX_DEPTH} levels")
    return parsed


def parse_json_text(value: Any) -> Any:
    """Return the document of a JSON text; the text itself if it is not JSON, or is nested too deeply."""
    if not isinstance(value, str):
        return value
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return parsed if isinstance(parsed, (dict, list)) and not depth_exceeds(parsed, _MAX_DEPTH - 1) else value
