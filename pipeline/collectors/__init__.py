"""What brings records in."""
