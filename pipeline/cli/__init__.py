"""The command ``auditstream``: one module per group of commands."""
