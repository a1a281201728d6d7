"""Schemathesis against the API: with SQLite, on Azurite, and in Microsoft's worker.

with fuzzed_program(ON_SQLITE, folder) as app:      # an ASGI app that can be called from any thread
    result = fuzz(app, examples=300)
    result.cases, result.failures                   # [] is good
"""
