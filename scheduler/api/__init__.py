"""The HTTP API and the dashboard: one ASGI app, served by uvicorn when embedded and by the Functions host's HTTP functions."""
