"""Which of a broker's own lines is about which request: the nearest to all that tells of it."""

from dataclasses import replace

import pytest

from detectors.weakenings import SET_LOG_LEVEL, of_loggers
from schemas.changes import Change, LegId, Lifecycle
from tests.detectors.test_estate_examples import change, life, name

LOGGER = "kafka.authorizer.logger"


def lowered(number: int, *legs: float) -> Change:
    """A request to silence the authorizer's logger, of which several legs tell, the last at its
    end; in seconds."""
    made = change(
        number, legs[-1], kind="config", action="set", target=f"BrokerLogger:{number}",
        item=LOGGER, after="OFF", actor="User:admin",
    )  # fmt: skip
    start = made.time - round(legs[-1] * 1000)
    ids = tuple(LegId(name(start + round(at * 1000), number), "request") for at in legs)
    return replace(made, legs=ids)


def said(number: int, at: float, host: str = "broker-1") -> Lifecycle:
    stated = {"logger": LOGGER, "level": "OFF"}
    return life(100 + number, at, host=host, kind=SET_LOG_LEVEL, settings=stated)


def keys(changes: list[Change], lines: list[Lifecycle]) -> list[tuple[str, int]]:
    """What each finding is about, and how many pieces of evidence it has."""
    found = of_loggers(changes, sorted(lines, key=lambda line: line.time))
    return sorted((judged.key, len(judged.evidence)) for judged in found)


@pytest.mark.parametrize(
    ("at", "count"), [(-2.001, 2), (-2, 1), (0.2, 1), (3, 1), (5, 1), (7, 1), (7.001, 2)]
)
def test_a_request_that_took_long_is_one_with_a_line_at_any_time_of_it(
    at: float, count: int
) -> None:
    assert len(keys([lowered(1, 0, 5)], [said(1, at)])) == count


@pytest.mark.parametrize(("at", "count"), [(-2.001, 2), (-2, 1), (0.2, 1), (7, 1), (7.001, 2)])
def test_so_it_is_where_the_request_alone_tells_when_it_began(at: float, count: int) -> None:
    asked = lowered(1, 5)
    asked.began = asked.time - 5000
    assert len(keys([asked], [said(1, at)])) == count


def test_a_line_within_comes_before_a_nearer_one_outside() -> None:
    found = keys([lowered(1, 0, 5)], [said(1, 0.2), said(2, 5.1, "broker-2")])
    assert found == [(f"config=BrokerLogger:1 {LOGGER}", 3), (f"logger=broker-2 {LOGGER}", 1)]


def test_each_line_is_given_once_and_no_request_takes_what_is_nearer_to_another() -> None:
    first, second = lowered(1, 0), lowered(2, 1)
    one = said(1, 1)
    assert keys([first, second], [one]) == [
        (f"config=BrokerLogger:1 {LOGGER}", 1), (f"config=BrokerLogger:2 {LOGGER}", 2),
    ]  # fmt: skip
    both = [said(1, 0), said(2, 1)]
    assert keys([first, second], both) == keys([second, first], both)
    assert {count for _, count in keys([first, second], both)} == {2}
