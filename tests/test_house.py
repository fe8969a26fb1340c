"""The conventions of this repository, as tests over its tree: each lists all offenders at once."""

import ast
import gzip
import re
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50
MAX_SOURCE_LINES = 200
MAX_DETECTOR_LINES = 60

DRAWERS = re.compile(r"(utils?|helpers?|misc|commons?|managers?|handlers?)", re.IGNORECASE)
# Written in halves, or this file would be its own first offender.
REGISTRY_HOSTS = [
    re.escape(head + tail)
    for head, tail in (
        ("pypi", ".org"),
        ("python", "hosted"),
        ("repo1.", "maven"),
        ("repo.", "maven"),
        ("search.", "maven"),
        ("maven", ".org"),
        ("central.", "sonatype"),
        ("oss.", "sonatype"),
        ("packages.", "confluent"),
        ("repository.", "apache"),
        ("registry.", "npmjs"),
    )
]
MACHINE_PATHS = [r"(?<![\w.])/" + f"{folder}/" for folder in ("work", "root")]
NOT_OURS_TO_NAME = re.compile("|".join(REGISTRY_HOSTS + MACHINE_PATHS), re.IGNORECASE)

IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\w|\.\d)")
IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:]|\.\d)")
BROWSER_VERSION = re.compile(r"\b(Chrome|Chromium|CriOS|Edg|OPR)/[\d.]+")
RESERVED_NETWORKS = [
    ip_network(network)
    for network in (
        # RFC 5737 and RFC 3849
        "192.0.2.0/24",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "2001:db8::/32",
        # loopback and "any", which name nobody's host
        "127.0.0.1/32",
        "::1/128",
        "0.0.0.0/32",
        "::/128",
    )
]


@cache
def tree() -> list[Path]:
    """Every file that is or would be committed, as paths relative to the root."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    paths = (Path(name) for name in listing.split("\0") if name)
    return sorted(path for path in paths if (ROOT / path).is_file())


def python_files(*folders: str) -> list[Path]:
    """The Python files of the tree, or of these top-level folders alone."""
    return [
        path
        for path in tree()
        if path.suffix == ".py" and (not folders or path.parts[0] in folders)
    ]


def content(path: Path) -> str:
    """A file's bytes one character each, decompressed where they are gzip."""
    data = (ROOT / path).read_bytes()
    if data.startswith(b"\x1f\x8b"):
        data = gzip.decompress(data)
    return data.decode("latin-1")


def line_count(path: Path) -> int:
    return len((ROOT / path).read_bytes().splitlines())


@cache
def module(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_bytes(), filename=str(path))


def assigns(tree_of_module: ast.Module, name: str) -> bool:
    """Whether a module binds this name at its top level."""
    targets: list[ast.expr] = []
    for node in tree_of_module.body:
        if isinstance(node, ast.Assign):
            targets += node.targets
        elif isinstance(node, ast.AnnAssign):
            targets.append(node.target)
    return any(isinstance(target, ast.Name) and target.id == name for target in targets)


def none_of(offenders: list[str], rule: str) -> None:
    """Fail with the rule and every offender, one a line, if there is any."""
    if offenders:
        pytest.fail("\n  ".join([rule, *offenders]), pytrace=False)


def test_names_say_what_a_file_holds() -> None:
    offenders = [
        str(path)
        for path in tree()
        if any(DRAWERS.fullmatch(part.split(".")[0]) for part in path.parts)
    ]
    none_of(offenders, "a name for anything is a name for nothing:")


def test_python_files_are_short() -> None:
    offenders = [
        f"{path}: {lines}"
        for path in python_files()
        if (lines := line_count(path)) > MAX_FILE_LINES
    ]
    none_of(offenders, f"Python files have at most {MAX_FILE_LINES} lines:")


def test_sources_are_short() -> None:
    offenders = [
        f"{path}: {lines}"
        for path in python_files("pipeline")
        if path.parent == Path("pipeline/sources")
        and (lines := line_count(path)) > MAX_SOURCE_LINES
    ]
    none_of(offenders, f"a source has at most {MAX_SOURCE_LINES} lines:")


def test_detectors_are_short() -> None:
    offenders = [
        f"{path}: {lines}"
        for path in python_files("detectors")
        if assigns(module(path), "DETECTOR") and (lines := line_count(path)) > MAX_DETECTOR_LINES
    ]
    none_of(offenders, f"a detector has at most {MAX_DETECTOR_LINES} lines:")


def test_functions_are_short() -> None:
    offenders = [
        f"{path}:{node.lineno} {node.name}: {lines}"
        for path in python_files()
        for node in ast.walk(module(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > MAX_FUNCTION_LINES
    ]
    none_of(offenders, f"functions have at most {MAX_FUNCTION_LINES} lines:")


def test_public_names_are_documented() -> None:
    offenders = [
        f"{path}:{node.lineno} {node.name}"
        for path in python_files("pipeline", "schemas", "detectors")
        for node in module(path).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    none_of(offenders, "public functions and classes have a docstring:")


def test_no_file_names_a_registry_host_or_a_machine_path() -> None:
    offenders = [
        f"{path}:{number} {found[0]}"
        for path in tree()
        for number, line in enumerate(content(path).split("\n"), start=1)
        if (found := NOT_OURS_TO_NAME.search(line))
    ]
    none_of(offenders, "which registry and which folder is the machine's business:")


def foreign_addresses(text: str) -> Iterator[str]:
    """The IP addresses in a text that could be somebody's."""
    text = BROWSER_VERSION.sub("", text)
    for pattern, parse in ((IPV4, IPv4Address), (IPV6, IPv6Address)):
        for found in pattern.findall(text):
            try:
                parse(found)
            except ValueError:
                continue
            if not any(ip_address(found) in network for network in RESERVED_NETWORKS):
                yield found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from /192.0.2.7:9092 to [2001:db8::1]:443, 127.0.0.1, ::1 and 0.0.0.0/0", []),
        ("arn:aws:iam::123456789012:root at 12:34:56, Chrome/120.0.0.0, 1.3.6.1.4.1", []),
        ("aa:bb:cc:dd:ee:ff, 999.1.1.1, std::string, arn:aws:s3:::bucket", []),
        ("host/10" + ".0.0.1:9092 and ::ffff:172" + ".16.0.1.", ["10.0.0.1", "172.16.0.1"]),
        ("client fe80" + "::1%eth0", ["fe80::1"]),
    ],
)
def test_foreign_addresses_are_told_from_times_and_versions(text: str, found: list[str]) -> None:
    assert list(foreign_addresses(text)) == found


def test_examples_use_reserved_addresses() -> None:
    offenders = [
        f"{path}: {address}"
        for path in tree()
        if path.is_relative_to("tests/examples")
        for address in sorted(set(foreign_addresses(content(path))))
    ]
    none_of(offenders, "examples use addresses of RFC 5737 and RFC 3849 only:")


def test_the_front_pages_exist() -> None:
    pages = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE")
    none_of([page for page in pages if Path(page) not in tree()], "missing at the root:")


def test_every_make_target_is_documented() -> None:
    lines = content(Path("Makefile")).split("\n")
    targets = [line for line in lines if re.match(r"[a-z][\w-]*:(?!=)", line)]
    assert targets
    none_of([line for line in targets if "## " not in line], "targets without a `## ` comment:")


def test_every_pipeline_module_has_a_place_in_the_layers() -> None:
    contracts = tomllib.loads(content(Path("pyproject.toml")))["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    placed = {name.strip("() ") for layer in layers for name in re.split("[:|]", layer)}
    parts = {".".join(path.with_suffix("").parts[:2]) for path in python_files("pipeline")}
    offenders = sorted(parts - placed - {"pipeline.__init__"})
    none_of(offenders, "modules that no layer in pyproject.toml names:")


_MEASURES = r"\b(process|thread)_time\b|\bperf_counter\b|^ *assert .*time.*\(\) - \w+ *<"


def test_no_test_asserts_how_long_something_took() -> None:
    offenders = [
        str(path)
        for path in python_files("tests")
        if path.parts[1] != "benchmarks"
        and path not in (Path("tests/growth.py"), Path("tests/runtimes/kafka/worker.py"))
        and re.search(_MEASURES, (ROOT / path).read_text(), re.MULTILINE)
    ]
    none_of(offenders, "only tests/growth.py and tests/benchmarks measure time:")
