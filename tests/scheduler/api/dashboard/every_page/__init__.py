"""Tests that open every page of the dashboard: accessibility, hostile texts, no script, no store, no permission.

`page_list` derives the pages from the routers: a new page is tested without a change here. A page whose parameter
has no example in `world` fails test_page_list, which says so.
"""
