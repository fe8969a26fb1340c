"""What KRaft controllers log: one message to what it states, in linear time. Pure.

::

    Replayed TopicRecord for topic NAME with topic ID ID.
    Replayed ConfigRecord for ConfigResource(type=TOPIC, name='NAME') which set configuration K to V
    CreateTopics result(s): CreatableTopic(name='NAME', …): SUCCESS, CreatableTopic(…): ERROR (text)

Names of existing topics and features are short and plain. Principals, users, quota entities and
configuration values are an administrator's text, names in results a client's: fixed words first,
the end before the middle; what can be read in two ways is ambiguous. Formats: ``replay`` in
``org.apache.kafka.controller.*ControlManager``, 3.3 to 4.1; what 3.3 calls otherwise stands beside.
"""
