"""The command line: one file a command; each parses, calls, prints. Nothing else prints or exits."""

from annoloop.cli.app import main

__all__ = ["main"]
