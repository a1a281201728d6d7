"""Dashboards, monitors, alert rules and objectives for the tools of a team, generated from the job set."""
