"""Tells the outside what the scheduler does: logs, Application Insights, Datadog. Imports config and jobs only."""
