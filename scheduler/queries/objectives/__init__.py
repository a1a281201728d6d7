"""Objectives, read from rollups, recent runs and incidents: any instance reads the same."""
