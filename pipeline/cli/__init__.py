"""The command ``auditstream``: one module per group of commands."""

from pipeline.cli.main import main

__all__ = ["main"]
