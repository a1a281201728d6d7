"""The target `azure`. Registered in observability.generation.targets."""

from __future__ import annotations

from observability.generation.azure.api.tool import open_azure
from observability.generation.azure.documents import generate_documents
from observability.generation.core.tool import GenerationTarget

TARGET = GenerationTarget("azure", generate_documents, open_azure)
