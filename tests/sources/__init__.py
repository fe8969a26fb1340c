"""Sources against their golden examples, and against those who write into their logs."""
