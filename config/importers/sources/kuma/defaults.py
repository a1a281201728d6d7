"""The columns of Uptime Kuma's tables: their defaults, what is JSON, and what the program fills. Used by rows.

Defaults are those of its schema and of its form for new monitors: both are written to each row.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

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
