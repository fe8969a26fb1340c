"""The engine as Faust workers: the only place that imports Faust.

`ledger` keeps the offsets, `fetching` and `transport` deliver batches, `application` sets Faust up
and runs a batch's work, `producing` sends what came of it.
"""
