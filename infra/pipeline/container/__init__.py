"""Builds, describes, pushes and signs images, with Python's standard library and the tools that an agent has.

infra/pipeline/image is the entry point, `main` parses its arguments. The steps of one build hand over image.json.
"""
