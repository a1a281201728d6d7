"""The source `app-insights`: web tests of Application Insights as XML, in ARM templates, and as JSON of Azure."""
