"""The OpenAPI description of the API, /api/openapi.json; scheduler.api.description.reference_page renders it.

FastAPI derives paths, parameters and schemas from the routes. This package adds what holds for many routes and is
therefore declared once: security, problems, headers, examples, links and tags.
"""
