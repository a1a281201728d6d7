"""Tests of infra/pipeline: deploy, verify, roll back."""
