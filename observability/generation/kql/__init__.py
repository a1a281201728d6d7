"""Queries of Application Insights in KQL, for its workbook, its alert rules and the Grafana dashboard. Pure."""
