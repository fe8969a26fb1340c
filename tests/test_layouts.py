"""Layouts: where a line's time, level, message and logger stand, by hand and in linear time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.layouts import Head, logger_at_end, split, starts_process, without_level

STAMP = "2026-11-20 23:52:44,297"


@pytest.mark.parametrize(
    ("text", "head"),
    [
        (f"[{STAMP}] INFO hello (a.b.C)", Head("default", STAMP, "INFO", "a.b.C", "hello", True)),
        (
            f"[{STAMP}] WARN  hello (a.b.C:17)",
            Head("default", STAMP, "WARN", "a.b.C", "hello", True),
        ),
        (
            f"[{STAMP}] DEBUG a (b) [c] (x.Y$Z)",
            Head("default", STAMP, "DEBUG", "x.Y$Z", "a (b) [c]", True),
        ),
        (f"[{STAMP}] INFO hello", Head("default", STAMP, "INFO", "", "hello", False)),
        (
            f"[{STAMP}] INFO hello (two words)",
            Head("default", STAMP, "INFO", "", "hello (two words)", False),
        ),
        (f"[{STAMP}] INFO  (a.b.C)", Head("default", STAMP, "INFO", "a.b.C", "", True)),
        (
            "[2026-11-20T23:52:44.297+0100] TRACE x (a.B)",
            Head("default", "2026-11-20T23:52:44.297+0100", "TRACE", "a.B", "x", True),
        ),
        (
            f"{STAMP} INFO hello (a.b.C) [main]",
            Head("strimzi", STAMP, "INFO", "a.b.C", "hello", True),
        ),
        (f"{STAMP} INFO hello (a.b.C)", Head("strimzi", STAMP, "INFO", "a.b.C", "hello", True)),
        (f"{STAMP} INFO hello [main]", Head("strimzi", STAMP, "INFO", "", "hello [main]", False)),
        (
            "2026-11-20T23:52:44.297Z FATAL x (a.B) [t-1]",
            Head("strimzi", "2026-11-20T23:52:44.297Z", "FATAL", "a.B", "x", True),
        ),
        (
            f"[INFO] {STAMP} [qtp-1] a.b.C run - hello - you",
            Head("trailing", STAMP, "INFO", "a.b.C", "hello - you", True),
        ),
        (
            f"[{STAMP}] INFO hello (a.b.C) [main]",
            Head("default", STAMP, "INFO", "a.b.C", "hello", True),
        ),
        (
            f"[{STAMP}] INFO [data-plane-1] hello (a.b.C)",
            Head("default", STAMP, "INFO", "a.b.C", "hello", True),
        ),
        (
            f"[{STAMP}] INFO [main] [KafkaServer id=1] started (a.b.C)",
            Head("default", STAMP, "INFO", "a.b.C", "[KafkaServer id=1] started", True),
        ),
        (
            f"[{STAMP}] INFO [KafkaServer id=1] started (a.b.C)",
            Head("default", STAMP, "INFO", "a.b.C", "[KafkaServer id=1] started", True),
        ),
        (f"[{STAMP}] INFO [x-1] hello", Head("default", STAMP, "INFO", "", "hello", False)),
        (
            f"{STAMP} INFO  [a thread] a.b.C:17 - hello (x.Y)",
            Head("trailing", STAMP, "INFO", "a.b.C", "hello (x.Y)", True),
        ),
        (
            f"[{STAMP}] WARN C:17 - hello (x.Y)",
            Head("trailing", STAMP, "WARN", "C", "hello (x.Y)", True),
        ),
        (f"{STAMP} INFO a.b.C: hello", Head("trailing", STAMP, "INFO", "a.b.C", "hello", True)),
        (
            f"[{STAMP}] INFO hello - you (a.b.C)",
            Head("default", STAMP, "INFO", "a.b.C", "hello - you", True),
        ),
        (f"[INFO] {STAMP} [qtp-1] a.b.C run", None),
        (f"[INFO] {STAMP} [qtp-1] two words run hello", None),
        (f"[INFO] {STAMP} qtp-1 a.b.C run - hello", None),
        (f"[{STAMP}] NOTICE hello (a.b.C)", None),
        (f"[{STAMP}]INFO hello (a.b.C)", None),
        (f"[{STAMP} INFO hello (a.b.C)", None),
        (f"[{STAMP}]", None),
        ("[", None),
        ("", None),
        ("[main] 2026", None),
        ("[\u0662\u0660\u0662\u0666-11-20 23:52:44,297] INFO hello (a.b.C)", None),
        ("\u0662\u0660\u0662\u0666-11-20 23:52:44,297 INFO hello (a.b.C)", None),
        ("2026 is a year", None),
        (" " + f"[{STAMP}] INFO hello (a.b.C)", None),
    ],
)
def test_a_line_begins_as_a_layout_does_or_not(text: str, head: Head | None) -> None:
    assert split(text) == head


@pytest.mark.parametrize(
    ("text", "logger"),
    [
        ("x (a.b.C)", "a.b.C"),
        ("x (kafka)", "kafka"),
        ("x (a.b.C:9)", "a.b.C"),
        ("x(a.b.C)", ""),
        ("x (a.b.C) ", ""),
        ("x (a.b,C)", ""),
        ("x ()", ""),
        ("x (1a)", ""),
        ("x (a" + "b" * 200 + ")", ""),
        ("", ""),
        (")", ""),
    ],
)
def test_the_logger_stands_at_the_end(text: str, logger: str) -> None:
    assert logger_at_end(text, 0, len(text))[0] == logger


def test_a_level_before_a_message() -> None:
    assert without_level("INFO hello INFO") == "hello INFO"
    assert without_level("hello INFO") == "hello INFO"
    assert without_level("INFO") == ""


def test_first_lines_of_a_process() -> None:
    assert starts_process("Registered `kafka:type=kafka.Log4jController` MBean", "x")
    assert starts_process("starting", "kafka.server.KafkaRaftServer")
    assert not starts_process("starting", "org.example.Other")
    assert not starts_process("Registered signal handlers", "kafka.utils.x")
    said = "Principal = User:x is Allowed operation = CLUSTER_ACTION for request = {} with"
    assert starts_process(said.format("BrokerRegistration"), "kafka.authorizer.logger")
    assert not starts_process(said.format("Fetch"), "kafka.authorizer.logger")
    assert not starts_process(said.format("BrokerRegistration"), "another.logger")


MESSAGE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=200)
LOGGER = st.from_regex(r"\A[a-z]{1,9}(\.[A-Za-z$]{1,9}){0,4}\Z")


@given(MESSAGE, LOGGER, st.sampled_from(["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"]))
def test_any_message_is_given_back_whole(message: str, logger: str, level: str) -> None:
    expected = message.removeprefix(" ")
    assert split(f"[{STAMP}] {level} {message} ({logger})") == Head(
        "default", STAMP, level, logger, expected, True
    )
    assert split(f"{STAMP} {level} {message} ({logger}) [thread-1]") == Head(
        "strimzi", STAMP, level, logger, expected, True
    )
    assert split(f"[{level}] {STAMP} [t] {logger} m - {message}") == Head(
        "trailing", STAMP, level, logger, message, True
    )


@given(st.text(max_size=300))
def test_any_text_is_split_or_not(text: str) -> None:
    for line in (text, f"[{STAMP}] {text}", f"{STAMP} {text}", f"[INFO] {text}"):
        head = split(line)
        if head is not None:
            assert line.endswith(head.message) or head.ended
