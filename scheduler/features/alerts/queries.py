"""Lists the alerts that are pending or firing now, as the caller may see them."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.alerting.alert import Alert, AlertStatus
from scheduler.catalog.catalog import Catalog, Query
from scheduler.features.alerts.models import AlertListModel, AlertModel
from scheduler.features.incidents.visibility import SubjectVisibility
from scheduler.stores.alerting.engine import AlertRows
from scheduler.stores.rows import InvalidContinuation

_SEPARATOR = "~"
"""Between subject and rule of a position. No name contains it."""


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """`subject`: a job or a group."""

    subject: str | None = None
    status: AlertStatus | None = None


class AlertQueries(Query):
    def __init__(self, catalog: Catalog, rows: AlertRows) -> None:
        self._catalog = catalog
        self._rows = rows

    async def list_alerts(self, criteria: AlertFilter, *, limit: int, after: str = "") -> AlertListModel:
        """Return a page, by subject, then rule.

        Raises InvalidContinuation, StoreError; UnknownJob: the subject does not exist.
        """
        if after and _SEPARATOR not in after:
            raise InvalidContinuation(after)
        visibility = SubjectVisibility(self._catalog)
        subject = criteria.subject
        visibility.require_visible(subject)
        stored = await (self._rows.list_all() if subject is None else self._rows.list_of(subject))
        alerts = {
            _position(each.alert): each.alert
            for each in stored
            if each.alert.is_active
            and criteria.status in (None, each.alert.status)
            and visibility.is_visible(each.alert.subject)
        }
        if not alerts:
            visibility.require_known(subject)
        positions = sorted(position for position in alerts if position > after)
        page = positions[:limit]
        return AlertListModel(
            alerts=[_view_alert(alerts[position], visibility) for position in page],
            continuation=page[-1] if len(positions) > limit else None,
        )


def _view_alert(alert: Alert, visibility: SubjectVisibility) -> AlertModel:
    return AlertModel.from_object(alert, since=alert.changed_at, evidence=visibility.hide(alert.evidence))


def _position(alert: Alert) -> str:
    return f"{alert.subject}{_SEPARATOR}{alert.rule}"
