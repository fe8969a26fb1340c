"""Replay: records read again by today's code, held against what a store has of them."""
