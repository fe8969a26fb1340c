"""Retention: which events may go, what holds keep, and the events that say what was done."""
