"""Where events, findings, dead letters and state are kept. Writing is idempotent by id."""
