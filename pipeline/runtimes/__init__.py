"""Where the engine runs. The only places that read a clock."""
