"""State and history: a narrow table port, its backends, and one repository for each thing that is stored.

port              the port, its changes and its errors
rows              what all rows have in common
sqlite, azure     the backends; a backend is a folder here and a line in config.settings.fields
repositories      all repositories of one store
runs              claims, runs, their pages, retention and rollups
alerting          alerts, incidents, the outbox, silences and windows
stored_jobs       jobs that are defined over the API
others            one topic each
"""
