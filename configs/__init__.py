"""Experiments: one file each, its docstring holding the command and what to expect."""
