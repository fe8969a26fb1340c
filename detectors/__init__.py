"""What is suspicious: one module per detector, each with a constant ``DETECTOR``.

Detectors are pure and import schemas only. Adding one adds a module and its examples.
"""
