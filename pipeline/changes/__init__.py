"""Changes: what several records say of one deed, as one. Pure."""
