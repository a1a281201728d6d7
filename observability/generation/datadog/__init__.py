"""Datadog: a dashboard, monitors and SLOs."""
