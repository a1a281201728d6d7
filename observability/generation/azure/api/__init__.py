"""The resources in Azure: read, written and deleted by the API of Azure Resource Manager."""
