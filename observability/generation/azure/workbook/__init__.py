"""The workbook: parameters, tabs, charts and tables."""
