"""Requests to Azure's APIs, their budget, and what their responses tell. Used by the Azure kinds."""
