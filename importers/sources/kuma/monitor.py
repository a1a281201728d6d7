"""One monitor with what its mapping needs, and what all types have in common. Used by all modules of this package."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from importers.import_context import ImportContext
from importers.ledger import JobDraft
from importers.reading import write_duration
from importers.source_tree import SourceNode
from importers.sources.kuma.rows import KumaRow, KumaRows
from jobs.alerting.facts import MAX_WINDOW
from jobs.policies.execution import MAX_ATTEMPTS, MAX_RUN_TIMEOUT

_RETRIED = ["connection", "timeout", "expectation", "1xx", "2xx", "3xx", "4xx", "5xx"]
"""Uptime Kuma retries whatever fails."""


@dataclass(frozen=True)
class KumaMonitor:
    """`channels`: names in `alerting.channels`. `expiry_days`: before the expiry of a certificate, when it notifies."""

    context: ImportContext
    rows: KumaRows
    row: KumaRow
    channels: Sequence[str]
    expiry_days: Sequence[int]

    @property
    def name(self) -> str:
        return self.row.text("name") or f"monitor {self.row.identifier}"

    @property
    def interval(self) -> float:
        return max(self.row.number("interval", 60), 1.0)

    @property
    def timeout(self) -> float:
        """Seconds; without one, Uptime Kuma uses four fifths of the interval."""
        return self.row.number("timeout") or self.interval * 0.8

    def new_draft(self, kind: str, ending: str = "") -> JobDraft:
        """Add a job of a kind of check."""
        nodes = self.row.nodes("name")
        draft = self.context.new_job(f"{self.name} {ending}".strip(), self.row.node, *nodes)
        draft.put("check.kind", kind)
        draft.use(*self.row.nodes("type"))
        return draft

    def drop(self, why: str, nearest: str) -> None:
        """Carry nothing of the monitor over."""
        self.context.ledger.record_rest(self.row.node, why, nearest)


MonitorMapper = Callable[[KumaMonitor], Sequence[JobDraft]]
"""Adds the jobs of a monitor, without what all types have in common. Raises NotCarriedOver."""


def put_common_parts(monitor: KumaMonitor, draft: JobDraft, *, uses_timeout: bool) -> None:
    """Set schedule, timeouts, retries, alerts, description, and whether it is enabled."""
    row = monitor.row
    draft.put("schedule", {"every": write_duration(monitor.interval)}, *row.nodes("interval"))
    draft.describe(row.text("description"), *row.nodes("description"))
    if not row.is_set("active"):
        draft.put("enabled", False, *row.nodes("active"))
    attempt = min(monitor.timeout, MAX_RUN_TIMEOUT)
    if uses_timeout:
        how = "" if attempt == monitor.timeout else f"at most {write_duration(MAX_RUN_TIMEOUT)}"
        draft.put("timeout.attempt", write_duration(attempt), *row.nodes("timeout"), how=how)
        draft.put("timeout.run", write_duration(attempt))
    put_retries(monitor, draft, attempt if uses_timeout else 5.0)


def put_retries(monitor: KumaMonitor, draft: JobDraft, attempt: float) -> None:
    """Set retries and the alert. Uptime Kuma repeats a failed check as a separate check after `retry_interval`.

    If that is the interval, the next runs do the same. Otherwise the run itself is repeated, as far as a run can last.
    """
    row = monitor.row
    retries = max(row.whole("maxretries"), 0)
    wait = row.number("retry_interval") or monitor.interval
    nodes = row.nodes("maxretries", "retry_interval")
    only_status = row.is_set("retry_only_on_status_code_failure")
    lasts = (retries + 1) * attempt + retries * wait
    if retries and (wait != monitor.interval or only_status) and retries < MAX_ATTEMPTS and lasts <= MAX_RUN_TIMEOUT:
        retry: dict[str, Any] = {"attempts": retries + 1, "backoff": "constant", "initial": write_duration(wait)}
        retry |= {"jitter": "none", "on": [one for one in _RETRIED if not (only_status and one == "expectation")]}
        if draft.get("check.method") in ("POST", "PATCH"):
            retry["non_idempotent"] = True
        draft.put(
            "retry",
            retry,
            *nodes,
            *row.nodes("retry_only_on_status_code_failure"),
            how="retries are attempts of one run",
        )
        draft.put("timeout.attempt", write_duration(attempt))
        draft.put("timeout.run", write_duration(lasts))
        put_alerts(monitor, draft, 1, ())
        return
    draft.put("retry", {"attempts": 1})
    opening = min(retries + 1, MAX_WINDOW)
    how = "so many runs in a row must fail before the alert opens" if retries else ""
    if wait != monitor.interval and retries:
        how += f", each {write_duration(monitor.interval)}, as the retries would last longer than a run can"
    draft.use(*nodes, how=how)
    for node in row.nodes("retry_only_on_status_code_failure"):
        draft.drop(node, "all failures count alike", "set retry.on")
    put_alerts(monitor, draft, opening, ())


def put_alerts(monitor: KumaMonitor, draft: JobDraft, opening: int, nodes: Sequence[SourceNode]) -> None:
    """Set the rules: for failures, and for the certificate of an encrypted target."""
    rule: dict[str, Any] = {"open_after": opening}
    if monitor.channels:
        rule["notify"] = list(monitor.channels)
    resend = monitor.row.whole("resend_interval")
    if resend > 0:
        seconds = max(resend * monitor.interval, 60.0)
        rule["remind_every"] = write_duration(seconds)
        how = f"reminders by the clock, every {write_duration(seconds)}"
        draft.use(*monitor.row.nodes("resend_interval"), how=how)
    rules = [rule]
    expiry = monitor.row.nodes("expiry_notification")
    if is_encrypted(draft) and monitor.row.is_set("expiry_notification"):
        rules += [_expiry_rule(monitor, days) for days in monitor.expiry_days]
    draft.put("alerts", rules, *nodes, *expiry)


def _expiry_rule(monitor: KumaMonitor, days: int) -> dict[str, Any]:
    rule: dict[str, Any] = {"name": f"certificate-{days}-days", "when": {"certificate_days_below": days}}
    return {**rule, "notify": list(monitor.channels)} if monitor.channels else rule


def is_encrypted(draft: JobDraft) -> bool:
    """Whether the check obtains a certificate."""
    check: Mapping[str, Any] = draft.get("check") or {}
    if check.get("kind") == "tls" or ("tls" in check and check.get("kind") == "tcp"):
        return True
    return str(check.get("url", "")).lower().startswith("https://") and (check.get("tls") or {}).get("verify", True)
