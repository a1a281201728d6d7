"""Grafana dashboards for Prometheus and Application Insights, and rules for Prometheus."""
