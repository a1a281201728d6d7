"""Bearer tokens of Microsoft Entra ID."""
