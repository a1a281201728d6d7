"""Builds what people do with incidents, silences, windows and channels, and how they are read. Called by building."""

from __future__ import annotations

from datetime import timedelta
from typing import TypedDict

from scheduler.alerting.alerting import Alerting
from scheduler.alerting.backtest.backtester import Backtester, build_backtester
from scheduler.alerting.explanation.explaining import AlertExplainer, build_alert_explainer
from scheduler.app.foundation import Foundation
from scheduler.operations.alerting.channel_tests import ChannelTester
from scheduler.operations.alerting.incidents import IncidentManager
from scheduler.operations.alerting.silences import SilenceManager
from scheduler.operations.alerting.undelivered import UndeliveredManager
from scheduler.operations.alerting.windows import WindowManager
from scheduler.queries.alerting.alerts import AlertQueries
from scheduler.queries.alerting.channels import ChannelQueries
from scheduler.queries.alerting.downtime import DowntimeReader
from scheduler.queries.alerting.incident_reports import IncidentReportReader
from scheduler.queries.alerting.incidents import IncidentQueries
from scheduler.queries.alerting.recent_changes import RecentChanges
from scheduler.queries.alerting.suppression_coverage import SuppressionCoverage
from scheduler.queries.alerting.suppressions import SuppressionQueries
from scheduler.queries.objectives.building import build_objective_reader
from scheduler.queries.objectives.reader import ObjectiveReader


class AlertingOperations(TypedDict):
    """Fields of Operations."""

    incidents: IncidentManager
    silences: SilenceManager
    windows: WindowManager
    undelivered: UndeliveredManager
    channel_tests: ChannelTester


class AlertingQueries(TypedDict):
    """Fields of Services."""

    incidents: IncidentQueries
    incident_reports: IncidentReportReader
    alerts: AlertQueries
    alert_explainer: AlertExplainer
    backtester: Backtester
    suppressions: SuppressionQueries
    suppression_coverage: SuppressionCoverage
    channels: ChannelQueries
    downtimes: DowntimeReader
    objectives: ObjectiveReader


def build_alerting_operations(foundation: Foundation, alerting: Alerting) -> AlertingOperations:
    catalog, clock, audit, stored = foundation.catalog, foundation.clock, foundation.audit, foundation.repositories
    channels = ChannelQueries(catalog, stored.outbox_rows, stored.undelivered)
    return {
        "incidents": IncidentManager(catalog, stored.incident_log, alerting.changes, clock, audit),
        "silences": SilenceManager(catalog, stored.silences, clock, audit, alerting.runner.request_pass),
        "windows": WindowManager(catalog, stored.requested_windows, clock, audit, alerting.runner.request_pass),
        "undelivered": UndeliveredManager(channels, stored.undelivered, clock, audit, alerting.notified.add),
        "channel_tests": ChannelTester(catalog, stored.incident_log, alerting.channel_tester, audit),
    }


def build_alerting_queries(foundation: Foundation, alerting: Alerting) -> AlertingQueries:
    catalog, clock, stored = foundation.catalog, foundation.clock, foundation.repositories
    group_wait = timedelta(seconds=foundation.settings.alerting.group_wait)
    downtimes = DowntimeReader(
        catalog,
        stored.incident_log,
        stored.changes,
        stored.requested_windows,
        clock,
        foundation.settings.alerting.age,
    )
    ages = foundation.settings.rollups.age, foundation.settings.retention.age
    backtester = build_backtester(foundation.runs, stored, alerting.rotas, group_wait=group_wait)
    incidents = IncidentQueries(catalog, stored.incident_log, foundation.runs, clock)
    return {
        "incidents": incidents,
        "incident_reports": IncidentReportReader(
            catalog, incidents, foundation.runs, RecentChanges(stored.audit_log), stored.undelivered, clock
        ),
        "alerts": AlertQueries(catalog, stored.alert_rows),
        "alert_explainer": build_alert_explainer(
            catalog, foundation.runs, foundation.pauses, stored, clock, backtester
        ),
        "backtester": backtester,
        "suppressions": SuppressionQueries(catalog, stored.silences, stored.requested_windows, clock),
        "suppression_coverage": SuppressionCoverage(catalog),
        "channels": ChannelQueries(catalog, stored.outbox_rows, stored.undelivered),
        "downtimes": downtimes,
        "objectives": build_objective_reader(catalog, foundation.runs, stored, downtimes, clock, *ages),
    }
