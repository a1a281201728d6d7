"""Tests of the compiler from Bicep to ARM JSON."""
