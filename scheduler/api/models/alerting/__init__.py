"""Models of incidents, alerts, silences, maintenance windows and channels."""
