"""Maps the type `dns`, with conditions as one expression. Called by types."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Sequence
from typing import Any, get_args

from importers.errors import NotCarriedOver
from importers.job_draft import JobDraft
from importers.sources.kuma.monitors.monitor import KumaMonitor, put_common_parts
from importers.sources.kuma.rows import parse_json_text
from jobs.targets.dns import RecordType

_MAX_CONDITIONS = 200
_ERRORS = ("NXDOMAIN", "SERVFAIL", "REFUSED")
_NO_ADDRESS = "a name server is an IP address: the first one of the machine is used"
_TESTS = {
    "equals": "a == {0}",
    "not_equals": "a != {0}",
    "contains": "a.contains({0})",
    "not_contains": "!a.contains({0})",
    "starts_with": "a.startsWith({0})",
    "not_starts_with": "!a.startsWith({0})",
    "ends_with": "a.endsWith({0})",
    "not_ends_with": "!a.endsWith({0})",
}


def map_dns(monitor: KumaMonitor) -> Sequence[JobDraft]:
    """Add a query of a name, whose answer must have a record."""
    row = monitor.row
    draft = monitor.new_draft("dns")
    draft.put("check.name", row.text("hostname").strip(), *row.nodes("hostname"))
    record_type = row.text("dns_resolve_type", "A").upper()
    if record_type not in get_args(RecordType):
        raise NotCarriedOver(f"records of the type {record_type} cannot be queried")
    draft.put("check.type", record_type, *row.nodes("dns_resolve_type"))
    _put_server(monitor, draft)
    port = row.whole("port", 53)
    if port in (0, 53):
        draft.use(*row.nodes("port"))
    else:
        draft.put("check.port", port, *row.nodes("port"))
    if row.is_set("upside_down"):
        how = "expects an answer with an error; no answer is a failure"
        draft.expect({"rcode": list(_ERRORS)}, *row.nodes("upside_down", "conditions"), how=how)
    else:
        draft.expect({"rcode": "NOERROR"})
        draft.expect({"answers": {"length": {"at_least": 1}}})
        _put_conditions(monitor, draft)
    put_common_parts(monitor, draft, uses_timeout=False)
    return [draft]


def _put_server(monitor: KumaMonitor, draft: JobDraft) -> None:
    nodes = monitor.row.nodes("dns_resolve_server")
    servers = [one for one in monitor.row.text("dns_resolve_server", "1.1.1.1").replace(" ", "").split(",") if one]
    addresses = [server for server in servers if _is_address(server)]
    if not addresses:
        draft.use(*nodes, how=_NO_ADDRESS)
        return
    how = f"only {addresses[0]} of {len(servers)} name servers is queried" if len(servers) > 1 else ""
    draft.put("check.server", addresses[0], *nodes, how=how)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _put_conditions(monitor: KumaMonitor, draft: JobDraft) -> None:
    """Conditions hold if one record fulfils all of them."""
    nodes = monitor.row.nodes("conditions")
    if not nodes:
        return
    listed = parse_json_text(monitor.row.values.get("conditions"))
    if not isinstance(listed, list):
        raise NotCarriedOver("its conditions cannot be read")
    expression = _join(listed, [0])
    how = "records are compared as a name server writes them, such as `10 mail.example.` for MX"
    draft.expect({"cel": f"facts.answers.exists(a, {expression})"}, *nodes, how=how)


def _join(conditions: list[Any], count: list[int]) -> str:
    """Return an expression, from left to right, as Uptime Kuma evaluates them."""
    expression = ""
    for condition in conditions:
        count[0] += 1
        if not isinstance(condition, dict) or count[0] > _MAX_CONDITIONS:
            raise NotCarriedOver("its conditions cannot be read")
        test = _write_test(condition, count)
        operator = "||" if condition.get("andOr") == "or" else "&&"
        expression = f"({expression} {operator} {test})" if expression else test
    return expression or "true"


def _write_test(condition: dict[str, Any], count: list[int]) -> str:
    if condition.get("type") == "group":
        children = condition.get("children")
        return _join(children if isinstance(children, list) else [], count)
    test = _TESTS.get(str(condition.get("operator")))
    if test is None or condition.get("variable") != "record":
        raise NotCarriedOver("its conditions use an unknown operator or variable", "write an expression (cel)")
    return test.format(json.dumps(str(condition.get("value", "")), ensure_ascii=False))
