"""JSON backups of Uptime Kuma 1.23 for tests, with each key that its API writes for a monitor."""

from __future__ import annotations

import json
from typing import Any

_NO_VALUE = """description parent url hostname port keyword docker_host proxyId mqttTopic mqttSuccessMessage
databaseQuery grpcUrl grpcProtobuf grpcMethod grpcServiceName radiusCalledStationId radiusCallingStationId game
jsonPath expectedValue
kafkaProducerTopic kafkaProducerMessage screenshot headers body grpcBody grpcMetadata basic_auth_user basic_auth_pass
oauth_client_id oauth_client_secret oauth_token_url oauth_scopes pushToken databaseConnectionString radiusUsername
radiusPassword radiusSecret mqttUsername mqttPassword authWorkstation authDomain tlsCa tlsCert tlsKey dns_last_result"""

FORM: dict[str, Any] = {
    **dict.fromkeys(_NO_VALUE.split()),
    "childrenIDs": [], "method": "GET", "maxretries": 0, "weight": 2000, "active": True, "forceInactive": False,
    "timeout": 48, "interval": 60, "retryInterval": 60, "resendInterval": 0, "invertKeyword": False,
    "expiryNotification": False, "ignoreTls": False, "upsideDown": False, "packetSize": 56, "maxredirects": 10,
    "accepted_statuscodes": ["200-299"], "dns_resolve_type": "A", "dns_resolve_server": "1.1.1.1",
    "docker_container": "", "notificationIDList": {}, "tags": [], "maintenance": False, "authMethod": "",
    "grpcEnableTls": False, "gamedigGivenPortOnly": True, "httpBodyEncoding": "json", "kafkaProducerBrokers": [],
    "kafkaProducerSsl": False, "kafkaProducerAllowAutoTopicCreation": False, "oauth_auth_method": "client_secret_basic",
    "kafkaProducerSaslOptions": {"mechanism": "None"}, "includeSensitiveData": True,
}  # fmt: skip
"""A monitor as its API writes it: most keys have no meaning for its type."""

SECRETS = ("probe-passw0rd-1", "header-t0ken-22", "api-k3y-333", "pu5h-token-4444-abcdefgh-0123456", "p0stgres-pw-55",
           "hook-s3cret-66", "oauth-s3cret-77")  # fmt: skip

_MONITORS: tuple[dict[str, Any], ...] = (
    {"name": "Shop", "type": "group"},
    {"name": "Shop front page", "type": "keyword", "parent": 1, "url": "https://shop.example/", "keyword": "Welcome",
     "maxretries": 3, "expiryNotification": True, "resendInterval": 5, "notificationIDList": {"1": True},
     "tags": [{"id": 1, "monitor_id": 2, "tag_id": 1, "value": "gold", "name": "tier", "color": "#059669"}]},
    {"name": "Shop API", "type": "http", "parent": 1, "url": "https://api.shop.example/health", "maxretries": 2,
     "retryInterval": 20, "headers": json.dumps({"Authorization": f"Bearer {SECRETS[1]}", "Accept": "application/json"},
                                                indent=4), "notificationIDList": {"1": True, "2": True}},
    {"name": "Orders", "type": "json-query", "url": "https://api.shop.example/queue", "jsonPath": "waiting",
     "expectedValue": "0", "headers": json.dumps({"X-Api-Key": SECRETS[2]}), "interval": 300, "timeout": 30},
    {"name": "Intranet", "type": "http", "url": "https://intra.example/", "authMethod": "basic",
     "basic_auth_user": "probe", "basic_auth_pass": SECRETS[0], "accepted_statuscodes": ["200-299", "304"]},
    {"name": "Partner", "type": "http", "url": "https://partner.example/v2", "authMethod": "oauth2-cc",
     "oauth_client_id": "scheduler", "oauth_client_secret": SECRETS[6], "oauth_token_url": "https://id.example/token"},
    {"name": "Search", "type": "http", "method": "POST", "url": "https://search.example/_search",
     "body": json.dumps({"query": {"match_all": {}}}), "headers": json.dumps({"X-Team": "search"})},
    {"name": "Mail server", "type": "port", "hostname": "mail.example", "port": 25},
    {"name": "Name server", "type": "dns", "hostname": "shop.example", "dns_resolve_server": "9.9.9.9", "port": 53},
    {"name": "Database", "type": "postgres", "databaseQuery": "SELECT 1",
     "databaseConnectionString": f"postgres://probe:{SECRETS[4]}@db.example:5432/shop"},
    {"name": "Backup", "type": "push", "pushToken": SECRETS[3], "interval": 86400, "maxretries": 1,
     "notificationIDList": {"2": True}},
    {"name": "Router", "type": "ping", "hostname": "router.example"},
    {"name": "Switch", "type": "ping", "hostname": "switch.example", "interval": 20},
    {"name": "Game night", "type": "steam", "hostname": "game.example", "port": 27015, "active": False},
    {"name": "Old shop", "type": "http", "url": "https://old.example/", "active": False, "ignoreTls": True},
)  # fmt: skip


def backup(*monitors: dict[str, Any], **others: Any) -> str:
    """Return a backup with these monitors, each with all keys of its API."""
    listed = [{"id": number, **FORM, "pathName": one["name"], **one} for number, one in enumerate(monitors, 1)]
    return json.dumps({"version": "1.23.16", "notificationList": [], "monitorList": listed, "proxyList": [], **others})


def mixed_backup() -> str:
    """Return a backup with 15 monitors of ten types."""
    # fmt: off
    teams = {"name": "Team Teams", "type": "teams", "isDefault": True, "applyExisting": False,
             "webhookUrl": f"https://teams.example/workflows/{SECRETS[5]}"}
    mail = {"name": "Mail", "type": "smtp", "isDefault": False, "smtpHost": "mail.example", "smtpPort": 25,
            "smtpFrom": "kuma@example.org", "smtpTo": "ops@example.org", "smtpCC": "", "smtpUsername": None}
    # fmt: on
    listed = [
        {"id": number, "name": one["name"], "active": True, "isDefault": False, "userId": 1, "config": json.dumps(one)}
        for number, one in enumerate((teams, mail), 1)
    ]
    return backup(*_MONITORS, notificationList=listed)


def read_backup_text(text: str) -> Any:
    """The document that a report accounts for: without keys that have no value, and with JSON texts as values."""
    document = _with_values(json.loads(text))
    for entries in document.values():
        for at, entry in enumerate(entries if isinstance(entries, list) else ()):
            if isinstance(entry, dict):
                entries[at] = _read_entry(entry)
    return document


def _read_entry(entry: dict[str, Any]) -> Any:
    read = dict(entry)
    for key in ("headers", "conditions", "config", "accepted_statuscodes"):
        if isinstance(entry.get(key), str) and entry[key][:1] in ("{", "["):
            read[key] = json.loads(entry[key])
    for key in ("config", "kafkaProducerSaslOptions"):
        read[key] = _with_values(read.get(key))
    if isinstance(read.get("tags"), list):
        read["tags"] = [_with_values(tag) for tag in read["tags"]]
    return _with_values(read)


def _with_values(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: one for key, one in value.items() if one not in (None, "", [], {})}
