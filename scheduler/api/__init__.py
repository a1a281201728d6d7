"""The HTTP API and the dashboard: one ASGI app, served by uvicorn when embedded, else by the Functions host."""
