"""The names of targets for people."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.definition import JobDefinition
from jobs.targets import TARGETS_BY_KIND, describe_target

CANARY = "c4nary-5ecret"
GUID = "00000000-0000-4000-8000-000000000001"
STEPS = {
    "kind": "steps",
    "steps": [
        {"name": "log in", "url": f"https://shop.internal/login?key={CANARY}", "method": "POST"},
        {"name": "pay", "url": "/orders/${order}#x", "method": "PUT"},
        {"name": "look", "url": f"${{base}}://user:{CANARY}@other.internal/a?b={CANARY}"},
        {"name": "again", "url": "/again"},
    ],
}
CHECKS: dict[str, tuple[dict[str, Any], str]] = {
    "http": (
        {"url": f"https://shop.internal/a@b?q={CANARY}#{CANARY}", "headers": {"X-Key": CANARY}, "method": "PUT"},
        "PUT https://shop.internal/a@b",
    ),
    "steps": (STEPS, "POST https://shop.internal/login and 3 more steps"),
    "tcp": ({"kind": "tcp", "host": "::1", "port": 5432, "dialogue": [{"send": CANARY}]}, "TCP [::1]:5432"),
    "tls": ({"kind": "tls", "host": "shop.internal"}, "TLS shop.internal:443"),
    "dns": ({"kind": "dns", "name": "shop.internal", "server": "10.0.0.4"}, "DNS A shop.internal at 10.0.0.4:53"),
    "azure_resource": (
        {
            "kind": "azure_resource",
            "resource": "https://graph.microsoft.com/v1.0/applications",
            "query": {"$filter": CANARY},
        },
        "Azure v1.0/applications",
    ),
    "azure_query": (
        {"kind": "azure_query", "workspace": GUID, "query": CANARY},
        f"KQL of workspace {GUID}",
    ),
    "azure_metric": (
        {
            "kind": "azure_metric",
            "resource": f"/subscriptions/{GUID}/resourceGroups/a/providers/Microsoft.Web/sites/shop",
            "metric": "Requests",
            "filter": CANARY,
        },
        "metric Requests of Microsoft.Web/sites/shop",
    ),
    "azure_queue": (
        {"kind": "azure_queue", "account": "shopqueues", "queue": "orders"},
        "queue orders of storage account shopqueues",
    ),
    "heartbeat": (
        {"kind": "heartbeat", "token": {"secret": "ping"}, "period": "24h"},
        "ping every 1d, at most 1h late",
    ),
    **{
        kind: ({"kind": kind, "host": "db.internal", "port": 1, "user": CANARY}, f"{name} db.internal:1")
        for kind, name in (
            ("postgres", "PostgreSQL"),
            ("mysql", "MySQL"),
            ("sqlserver", "SQL Server"),
            ("redis", "Redis"),
        )
    },
}


def check_of(definition: dict[str, Any]) -> Any:
    known = {"save": {"base": {"header": "x"}, "order": {"header": "x"}}}
    if definition.get("kind") == "steps":
        first, *others = definition["steps"]
        definition = definition | {"steps": [first | known, *others]}
    return JobDefinition.model_validate({"name": "shop", "check": definition}).check


@pytest.mark.parametrize("kind", TARGETS_BY_KIND)
def test_a_label_names_the_target_without_its_secrets(kind: str) -> None:
    definition, label = CHECKS[kind]
    assert CANARY in str(definition) or kind in ("tls", "dns", "heartbeat", "azure_queue")
    assert check_of(definition).label == label


@pytest.mark.parametrize(
    ("step", "label"),
    [
        ("log in", "log in: POST https://shop.internal/login"),
        ("pay", "pay: PUT https://shop.internal/orders/${order}"),
        ("look", "look: GET ${base}://other.internal/a"),
        ("again", "again: GET ${base}://other.internal/again"),
        ("removed since", "POST https://shop.internal/login and 3 more steps"),
        ("", "POST https://shop.internal/login and 3 more steps"),
    ],
)
def test_a_step_is_named_by_its_request(step: str, label: str) -> None:
    assert describe_target(check_of(STEPS), step) == label


def test_heartbeats_by_a_schedule_name_it() -> None:
    check = {"kind": "heartbeat", "token": {"secret": "ping"}, "schedule": "0 0 3 * * *", "grace": "30m"}
    assert check_of(check).label == "ping by 0 0 3 * * *, at most 30m late"


@given(st.text("abc/@:?#&=$", max_size=30))
def test_no_label_of_a_step_has_a_query_or_a_user(path: str) -> None:
    steps = [
        {"name": "one", "url": "https://shop.internal/", "save": {"base": {"header": "x"}}},
        {"name": "two", "url": f"${{base}}://{path}?q={CANARY}"},
        {"name": "three", "url": f"${{base}}://u:{CANARY}@{path}"},
    ]
    check = check_of({"kind": "steps", "steps": steps})
    labels = describe_target(check, "two") + describe_target(check, "three")
    assert CANARY not in labels
    assert "?" not in labels
