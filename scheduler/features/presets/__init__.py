"""Presets: checks that jobs are made of, see config.presets."""
