"""The command line: what people type goes in, files and lines of text come out.

The topmost room: it may use all others, and none uses it. Imports of other rooms stand in the verbs, so that
`extensive --help` answers at once and a verb needs no library but its own.
"""

from extensive.cli.app import main

__all__ = ["main"]
