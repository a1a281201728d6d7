"""Dashboards, alert rules and objectives that are generated for other tools."""
