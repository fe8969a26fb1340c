"""How events flow: sources, stages, the engine, sinks, collectors, runtimes and the command."""
