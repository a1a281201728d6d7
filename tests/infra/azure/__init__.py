"""Tests of the templates below infra/bicep."""
