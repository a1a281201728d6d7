"""Evaluates expressions of HCL, and of the templates of Azure Resource Manager."""
