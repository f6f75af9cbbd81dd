"""The command line: thin modules that parse, call one workflow, and print.

Results go to stdout, progress and messages to stderr. Nothing here imports torch before a command needs it.
"""

from ganlet.cli.app import main

__all__ = ["main"]
