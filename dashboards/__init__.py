"""Saved objects and pages for people. Every field they name exists in the schema."""
