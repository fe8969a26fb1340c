"""Real servers for the integration tests, from parts that pip installs: no Docker, no root."""
