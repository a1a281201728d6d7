"""Attacks on the running program, one module each, found by bench.attack. See harness for what a module defines."""
