"""Tests of jobs.objectives."""
