"""The stages, one by one."""
