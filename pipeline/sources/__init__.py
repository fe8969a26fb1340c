"""One module per source, each with a constant ``SOURCE``. Found by folder; see CONTRIBUTING.md."""
