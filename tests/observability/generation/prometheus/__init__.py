"""Tests of observability.generation.prometheus."""
