"""What an event is: the Avro schemas, their typed mirrors, and what is derived from them.

Imports nothing of ours. The ``.avsc`` files are the source of truth.
"""
