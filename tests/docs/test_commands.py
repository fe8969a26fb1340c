"""Every command line of the documentation: our own parser takes it, or what it names is there, or it
says that it needs Docker. What is run, and not only parsed, `test_runs.py` runs."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Callable
from itertools import dropwhile, pairwise
from pathlib import Path

import pytest

from pipeline.cli.main import parser
from pipeline.config import Config
from tests.deploy.stack import OURS, services
from tests.docs.pages import (
    DOCKER,
    bare,
    blocks,
    commands,
    everywhere,
    in_sentences,
    lines,
    ours,
    pages,
    served,
)
from tests.test_house import ROOT, none_of

SERVERS = (*sorted((ROOT / "tests" / "integration").glob("*.py")), ROOT / "tests" / "streams.py",
           ROOT / "tests" / "reconciled.py")  # fmt: skip
"""Tests on real servers, and what they type."""


def complaint(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What our parser has against these arguments, or empty."""
    try:
        parser().parse_args(words)
    except SystemExit as ended:
        said = capsys.readouterr()
        return "" if ended.code == 0 else said.err.strip().split("\n")[0]
    return ""


def test_our_parser_takes_every_command_line_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    found = [(said, words) for said in bare() for words in ours(said.text)]
    assert len(found) > 20
    none_of(
        [
            f"{said.page}:{said.line}: {shlex.join(words)}: {why}"
            for said, words in found
            if (why := complaint(words, capsys))
        ],
        "commands that `auditstream` does not take:",
    )


def shown(text: str) -> list[list[str]]:
    """What a command in a sentence stands for: each verb of `plan|apply`, without what is in
    brackets. What is left to the reader (`…`) may be a value or nothing."""
    text = re.sub(r"\[[^]]*\]", "", text)
    several = [""]
    for word in text.split()[1:]:
        choices = word.split("|")
        several = [f"{done} {choice}" for done in several for choice in choices]
    return [shlex.split(each) for each in several]


def test_our_parser_takes_every_command_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    found = [(said, words) for said in in_sentences() for words in shown(said.text)]
    assert len(found) > 30
    offenders = []
    for said, words in found:
        forms = (words, [word for word in words if word != "…"])
        why = [complaint(form, capsys) for form in forms]
        # A command may be named without what it needs.
        if all(why) and "arguments are required" not in why[-1]:
            offenders.append(f"{said.page}:{said.line}: {shlex.join(words)}: {why[0]}")
    none_of(offenders, "commands that `auditstream` does not take:")


def test_what_asks_a_server_is_typed_by_a_test_on_real_servers() -> None:
    typed = "".join(path.read_text("utf-8") for path in SERVERS)
    assert "auto=kafka:" in typed
    found = {served(words) for said in bare() for words in ours(said.text)} - {()}
    assert len(found) > 8
    none_of(
        [
            " ".join(words)
            for words in sorted(found)
            if not re.search(r",\s*".join(f'"{re.escape(word)}"' for word in words), typed)
        ],
        "commands of the documentation that no test in tests/integration runs:",
    )


# Commands of others.


def _make(words: list[str]) -> bool:
    goals = [word for word in words if "=" not in word]
    makefile = (ROOT / "Makefile").read_text("utf-8")
    return bool(goals) and all(re.search(rf"^{goal}:.*## ", makefile, re.M) for goal in goals)


def _rsyslogd(words: list[str]) -> bool:
    return words[:2] == ["-n", "-f"] and (ROOT / words[2]).is_file()


def _sqlite3(words: list[str]) -> bool:
    return len(words) == 2


def _curl(words: list[str]) -> bool:
    """Of a worker's own pages, which the tests of its health ask."""
    path = words[-1].partition("9464")[2]
    tried = (ROOT / "tests" / "runtimes" / "kafka" / "test_health.py").read_text("utf-8")
    return bool(path) and f'"{path}"' in tried


OTHERS: dict[str, Callable[[list[str]], bool]] = {
    "make": _make, "rsyslogd": _rsyslogd, "sqlite3": _sqlite3, "curl": _curl,
}  # fmt: skip
"""Programs that a block may name without Docker, and whether their arguments name what there is."""


def test_every_other_program_is_known_and_what_it_names_is_there() -> None:
    found = [
        (said, program, words)
        for said in bare()
        for program, *words in commands(said.text)
        if program.rpartition("/")[2] != "auditstream"
    ]
    assert {program for _, program, _ in found} == set(OTHERS)
    none_of(
        [
            f"{said.page}:{said.line}: {program} {shlex.join(words)}"
            for said, program, words in found
            if not OTHERS[program](words)
        ],
        "commands that name what is not there:",
    )


def test_modules_that_are_to_be_run_exist() -> None:
    found = [
        (page, name)
        for page in pages()
        for name in re.findall(r"python -m ([\w.]+)", (ROOT / page).read_text("utf-8"))
        if name.startswith("tests.")
    ]
    assert found
    none_of(
        [
            f"{p}: {name}"
            for p, name in found
            if not (ROOT / f"{name.replace('.', '/')}.py").exists()
        ],
        "modules that are not there:",
    )


# Docker.


def test_what_needs_docker_says_so() -> None:
    none_of(
        [
            f"{said.page}:{said.line}"
            for said in everywhere()
            if ("docker" in said.text or "deploy/pin" in said.text)
            is not said.text.startswith(DOCKER)
        ],
        f"blocks with docker in them begin with {DOCKER!r}, and no others do:",
    )


def named_services(words: list[str]) -> list[str]:
    """Which services a line of `docker compose` names."""
    if words[:2] != ["docker", "compose"]:
        return []
    verb, *rest = words[2:]
    valued = ("--entrypoint", "--scale", "--profile")
    plain = [
        word
        for before, word in zip(["", *rest], rest, strict=False)
        if not word.startswith("-") and before not in valued
    ]
    scaled = [w.split("=")[0] for b, w in pairwise(rest) if b == "--scale"]
    return [*(plain[:1] if verb in ("run", "exec") else plain), *scaled]


def test_services_that_are_named_exist() -> None:
    found = [
        (said, name)
        for block in everywhere()
        for said in lines(block)
        if "docker compose" in said.text
        for name in named_services(shlex.split(said.text, comments=True))
    ]
    assert len({name for _, name in found}) > 5
    none_of(
        [f"{said.page}:{said.line}: {name}" for said, name in found if name not in services()],
        "services that docker-compose.yml does not have:",
    )


def handed(words: list[str]) -> list[str]:
    """What a line of `docker compose run` has `auditstream` do, or nothing."""
    if words[:3] != ["docker", "compose", "run"] or "--entrypoint" in words:
        return []
    name, *rest = dropwhile(lambda word: word.startswith("-"), words[3:])
    service = services()[name]
    if not rest or service["image"] != OURS:
        return []
    if name == "ask":
        return [rest[0], "--config", "c.toml", "--store", "https://opensearch:9200", *rest[1:]]
    assert "entrypoint" not in service
    return rest


def test_our_parser_takes_what_docker_is_to_hand_on(capsys: pytest.CaptureFixture[str]) -> None:
    found = [
        (said, asked)
        for block in everywhere()
        for said in lines(block)
        for words in commands(said.text)
        if (asked := handed(words))
    ]
    assert len(found) > 3
    none_of(
        [f"{s.page}:{s.line}: {why}" for s, asked in found if (why := complaint(asked, capsys))],
        "commands that `auditstream` does not take:",
    )


# What else a page names.


def leads(page: Path, target: str) -> bool:
    """Whether there is such a file, and such a heading in it."""
    name, _, heading = target.partition("#")
    found = ROOT / page.parent / name if name else ROOT / page
    if not heading or not found.is_file():
        return found.exists()
    titles = re.findall(r"^#+ (.*)", found.read_text("utf-8"), re.M)
    # As GitHub makes an address of a heading.
    return heading in {re.sub(r"[^\w -]", "", t).lower().replace(" ", "-") for t in titles}


def test_links_lead_somewhere() -> None:
    found = [
        (page, target)
        for page in pages()
        for target in re.findall(r"\]\(([^)\s]+)", (ROOT / page).read_text("utf-8"))
        if "://" not in target
    ]
    assert len(found) > 20
    none_of(
        [f"{page}: {target}" for page, target in found if not leads(page, target)],
        "links to what is not there:",
    )


def test_our_configuration_takes_every_piece_of_one() -> None:
    found = [block for page in pages() for block in blocks(page, "toml")]
    assert len(found) > 5
    for block in found:
        Config.model_validate(tomllib.loads(block.text)).active()


# That none of it is overlooked.


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("auditstream run --follow  # go on", [["run", "--follow"]]),
        (".venv/bin/auditstream findings", [["findings"]]),
        ("pip install auditstream && auditstream lab", [["lab"]]),
        ("A=1 auditstream run | head", [["run"]]),
        ("docker compose run auditstream", []),
        ("SPOOL=/var/spool/auditstream rsyslogd -n", []),
    ],
)
def test_a_command_is_found_in_a_line(text: str, found: list[list[str]]) -> None:
    assert list(ours(text)) == found


def test_a_page_is_looked_at_whole() -> None:
    front = {"README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "CHANGELOG.md"}
    assert {str(page) for page in pages()} >= front | {"docs/adr/0001-one-pure-engine.md"}
    assert {said.page for said in everywhere()} >= {
        "README.md", "CONTRIBUTING.md", "docs/stream.md", "docs/deployment.md", "docs/metrics.md",
    }  # fmt: skip
    assert "README.md" in {said.page for said in in_sentences()}
    # A fence that is indented, or of another kind, would hide its commands.
    for page in pages():
        text = (ROOT / page).read_text("utf-8")
        assert not re.search(r"^```(bash|shell|zsh)|^ +```sh|^~~~", text, re.M), page
