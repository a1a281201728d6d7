"""The OpenAPI description of the API, served at /api/openapi.json and rendered by scheduler.api.reference.

FastAPI derives paths, parameters and schemas from the routes. This package adds what holds for many routes and is
therefore declared once: security, problems, headers, examples, links and tags.
"""
