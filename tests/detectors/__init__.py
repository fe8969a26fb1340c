"""Detectors against their references, their examples, and the limits of what they remember."""
