"""What is said of OpenSearch, and of how long events are kept: ``[opensearch]``, ``[[retention]]``.

Secrets are never in the configuration: it names a file or an environment variable that holds one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import AfterValidator, Field, StringConstraints

from pipeline.stages.retain import Rule
from pipeline.streaming import Section, SourceName, Tls
from schemas import indices
from schemas.vocabulary import RETENTION_STANDARD, AccessPath, Outcome

STANDARD_DAYS: Final = 400


class Storage(Section):
    """OpenSearch: where events and findings are indexed, and are read by `--store https://…`."""

    url: str = Field(
        "", description="Where it is, https://HOST:PORT, several separated by commas; empty: none."
    )
    username: str = Field("", description="As whom.")
    password_file: str = Field("", description="File that holds the password.")
    password_env: str = Field("", description="Or: environment variable that holds it.")
    shards: int = Field(1, ge=1, le=1024, description="Primary shards of each index of events.")
    replicas: int = Field(1, ge=0, le=10, description="Copies of each shard beside the first.")
    timeout_s: int = Field(60, ge=1, le=3600, description="How long an answer is waited for.")
    at_once: int = Field(
        8, ge=1, le=64, description="Bulk requests of a worker under way, at the most."
    )
    undated_days: int = Field(
        0, ge=0, le=36_500,
        description="From when an index of undated events was made until retention removes it with "
        "all that came into it since; 0: never.",
    )  # fmt: skip
    index_management: bool = Field(
        False,
        description="Have OpenSearch's Index Management delete months by itself, without records, "
        "and whatever holds say; else `auditstream retention apply` does.",
    )
    tls: Tls = Field(Tls(), description="Towards OpenSearch; an https address alone enables it.")


class Dashboards(Section):
    """OpenSearch Dashboards: where `auditstream dashboards apply` puts our saved objects."""

    url: str = Field(
        "", description="Where it is, https://HOST:PORT with its base path, if any; empty: none."
    )
    username: str = Field("", description="As whom.")
    password_file: str = Field("", description="File that holds the password.")
    password_env: str = Field("", description="Or: environment variable that holds it.")
    tenant: str = Field(
        "", description="The security plugin's tenant: a name, global, or empty: the login's own."
    )
    timeout_s: int = Field(60, ge=1, le=3600, description="How long an answer is waited for.")
    tls: Tls = Field(Tls(), description="Towards it; an https address alone enables it.")


def _not_ours(name: str) -> str:
    if name == indices.OWN:
        raise ValueError(f"{name!r} is the class of auditstream's own records; take another name")
    return name


class Retention(Section):
    """A retention class, and which events are of it: the first entry that matches. What matches
    none is of the class `standard`, which an entry of that name may say the days of."""

    name: Annotated[
        str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,40}$"), AfterValidator(_not_ours)
    ] = Field(RETENTION_STANDARD, description="Of the class: it is in the names of indices.")
    days: int = Field(STANDARD_DAYS, ge=1, le=36_500, description="How long events are kept.")
    classes: tuple[int, ...] = Field((), description="OCSF classes it is of; empty: any.")
    access_paths: tuple[AccessPath, ...] = Field(
        (), description="data, control, support; empty: any."
    )
    sources: tuple[SourceName, ...] = Field((), description="Sources; empty: any.")
    outcomes: tuple[Outcome, ...] = Field((), description="success, failure, unknown; empty: any.")

    def rule(self) -> Rule | None:
        """The rule that it is; None: it only says how long `standard` is kept."""
        rule = Rule(
            self.name,
            frozenset(self.classes),
            frozenset(self.access_paths),
            frozenset(self.sources),
            frozenset(self.outcomes),
        )
        return None if rule == Rule(RETENTION_STANDARD) else rule


def days_by_class(retention: Sequence[Retention]) -> dict[str, int]:
    """How long each class is kept: those that are configured, and `standard`."""
    return {RETENTION_STANDARD: STANDARD_DAYS} | {entry.name: entry.days for entry in retention}


def longest_days(retention: Sequence[Retention]) -> int:
    """How long anything is kept."""
    return max(days_by_class(retention).values())
