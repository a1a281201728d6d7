"""What is generated for Azure Monitor: a workbook and alert rules, as ARM templates and as resources."""
