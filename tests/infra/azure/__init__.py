"""Tests of the templates below infra/bicep and infra/arm."""
