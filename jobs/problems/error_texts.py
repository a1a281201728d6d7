"""Texts for pydantic's error types. Used by error_detail.py."""

from __future__ import annotations

LIMIT_MESSAGES = {
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "is too small: at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "is too large: at most {le}",
    "string_too_short": "is too short: at least {min_length} characters",
    "string_too_long": "is too long: at most {max_length} characters",
    "too_short": "has too few entries: at least {min_length}",
    "too_long": "has too many entries: at most {max_length}",
}


WRONG_FORM_ERRORS = frozenset(
    {"dict_type", "mapping_type", "model_type", "model_attributes_type", "list_type", "tuple_type"}
    | {"union_tag_not_found", "union_tag_invalid"}
)
"""Errors about a value that must be a mapping or a list."""


TYPE_NAMES = {
    "string_type": "a text",
    "string_unicode": "a readable text",
    "string_sub_type": "a text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number of at most 4300 digits",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": "a mapping of keys to values",
    "mapping_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "byte_size": "a size: write it like 512KiB or 1MiB",
    "byte_size_unit": "a size: write it like 512KiB or 1MiB",
    "path_type": "a path",
    "none_required": "empty",
}
