"""The documentation: what it says to type and to write, held to what there is."""
