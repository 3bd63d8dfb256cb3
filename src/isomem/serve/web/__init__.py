"""The inspector: a page that shows a memory, served by the same process as the calls.

`assets` serves the files of the page, and `routes` what it needs beyond the calls of every client.
"""
