"""Lines that are open where a batch ends are the same in the next."""

from tests.feed import feed, feed_lines, records


def test_an_undated_line_whose_end_names_its_logger_is_the_same_in_any_split() -> None:
    said = "Principal = User:a is Denied operation = ALTER from host = 192.0.2.7 on resource = "
    rest = " for request = Fetch with resourceRefCount = 1 based on rule DefaultDeny"
    rest += " (kafka.authorizer.logger)"
    lines = [
        "hello (a.b)",
        f"{said}Group:LITERAL:a (kafka.authorizer.logger)",
        f"{said}Topic:LITERAL:t{rest}",
    ]
    at_once = feed_lines(lines)
    assert [event.resource for event in at_once.events] == ["a", "t"]
    assert feed([[one] for one in records(lines)]).events == at_once.events
