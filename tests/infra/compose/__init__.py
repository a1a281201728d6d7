"""Tests of infra/compose."""
