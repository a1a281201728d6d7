"""The OpenAPI description of the API: /api/openapi.json, which scheduler.api.dashboard.reference_page renders.

FastAPI derives paths, parameters and schemas from the routes. This package adds what holds for many routes and is
therefore declared once: security, problems, headers, examples, links and tags.
"""
