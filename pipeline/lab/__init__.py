"""Real servers, started from parts that pip and Maven bring; and an estate that is played on them.

Nothing here needs Docker. The tests start their servers so, and so does `auditstream lab`.
"""
