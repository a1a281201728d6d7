"""Renders templates, texts and charts of the pages."""
