"""What estate detectors find, in the plainest words, where examples and properties do not say it
all: one module a detector, named after it.

A reference holds ``reference(picture, settings)``: what is found in one estate, by definition. It
may take quadratic time. Nothing of it comes from the code under test.
"""
