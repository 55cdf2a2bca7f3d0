"""Configurations, one file each. The docstring of a file has its command and its content."""
