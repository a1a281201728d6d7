"""Deploys, verifies and rolls back the scheduler on Azure, with Python's standard library and the Azure CLI alone.

The scripts of infra/pipeline are the entry points. `main` parses their arguments; deploy, verify, rollback, status,
plan and sign_in are one module each. `platforms` knows the commands of Azure, `app` the API of the scheduler.
"""
