"""Conditions of Gatus as entries of `expect`."""
