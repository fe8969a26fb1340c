"""One module per verb, each a pure function on batches. The order is in :mod:`pipeline.engine`."""
