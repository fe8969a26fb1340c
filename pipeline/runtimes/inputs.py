"""What there is to read: files, folders, globs, standard input and topics, as lanes."""

from __future__ import annotations

import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.batch import Reading, Stream
from pipeline.clocks import clock
from pipeline.collectors.files import discover, open_stream, shown
from pipeline.collectors.identity import Identity, Tells, identify
from pipeline.collectors.pipes import Pipe
from pipeline.config import Config, Input
from pipeline.engine import Plan
from pipeline.errors import InputError
from pipeline.runtimes.lanes import BEFORE_ALL, Lane, Stride
from pipeline.runtimes.merge import Feed
from pipeline.sinks.sqlite import StreamRow
from pipeline.stages.detect import Active
from pipeline.stages.enrich import address
from pipeline.stages.identify import digest
from pipeline.stages.recognise import Look, recogniser


@dataclass(slots=True)
class Found:
    """What was found of the inputs.

    Attributes:
        unrecognised: files in which nothing is of a kind that is read; they are not counted.
        unusable: files and folders that could not be read, and why.
        complaints: what a person should know.
        stopped: it was interrupted.
    """

    unrecognised: list[str] = field(default_factory=list)
    unusable: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    stopped: bool = False


class Inputs(ABC):
    """A run over inputs, whatever is done with what is read.

    Attributes:
        stop: set to end the run after the chunk at hand; what was read is kept.
    """

    lane_of: type[Lane] = Lane
    found: Found

    def __init__(self, config: Config, inputs: Sequence[Input], plan: Plan) -> None:
        self.config, self.inputs, self.plan = config, inputs, plan
        self.active: Active = config.active()
        self.stop = False

    @abstractmethod
    def kept(self, key: bytes) -> StreamRow | None:
        """How far the stream of this key was read before, if it was."""

    @abstractmethod
    def drain(self, feeds: Iterable[Feed], stride: Stride) -> None:
        """Take chunks in order of their earliest event, across all lanes, to their end."""

    @abstractmethod
    def pause(self) -> None:
        """Do what is due between two polls of growing inputs."""

    @abstractmethod
    def finish(self, lanes: Iterable[Lane]) -> Any:
        """Do what is left; the summary, with what the lanes have to say."""

    def lanes(self) -> list[Lane]:
        """One lane for each stream of bounded inputs."""
        lanes: dict[bytes, Lane] = {}
        sizes: dict[Path, tuple[bool, int]] = {}
        for given in self.inputs:
            if given.path == "-":
                lane = self._standard_input(given)
                if lane is not None:
                    lanes[lane.row.key] = lane
                continue
            if given.topic:
                continue
            for path in discover(given.path, self.refuse):
                try:
                    what = self._identified(given, path, sizes)
                except InputError as error:
                    self.found.unusable.append(str(error))
                    continue
                if self.is_read(given, shown(path), what):
                    lane = self.lane(given, shown(path), what)
                    lanes.setdefault(lane.row.key, lane).files.append(path)
        for lane in lanes.values():
            lane.files.sort(key=lambda p: sizes[p])
        topics = [given for given in self.inputs if given.topic]
        if topics:
            self.add_topics(topics, lanes)
        return list(lanes.values())

    @abstractmethod
    def add_topics(self, topics: Sequence[Input], lanes: dict[bytes, Lane]) -> None:
        """Add the streams of recorded topics to lanes by key.

        Raises:
            ArgumentError: this run reads none.
        """

    def refuse(self, error: OSError) -> None:
        """Note a folder that cannot be listed."""
        said = f"the folder {error.filename} cannot be read: {error.strerror}"
        self.found.unusable.append(said)

    def _identified(
        self, given: Input, path: Path, sizes: dict[Path, tuple[bool, int]]
    ) -> Identity:
        with open_stream(path) as file:
            size = os.fstat(file.fileno()).st_size
            sizes[path] = path.suffix == ".gz", -size
            return identify(file, *self.tells(given, shown(path)), self.plan.max_record_bytes)

    def is_read(self, given: Input, carrier: str, what: Identity) -> bool:
        """Whether anything is to be read in a file; one with something else in it is named."""
        if what.recognised or (given.source != "auto" and not what.empty):
            return True
        if not what.empty:
            self.found.unrecognised.append(carrier)
            if what.broken:
                self.found.complaints.append(f"{carrier}: {what.broken}")
        return False

    def look(self, stream: Stream) -> Callable[[bytes], Look]:
        """What tells a line of this stream."""
        reading = Reading(clock(stream.zone), address, stream)
        return recogniser(self.plan.sources, stream.source, reading, self.plan.max_record_bytes)

    def tells(self, given: Input, carrier: str) -> tuple[Tells, Tells]:
        """Whether a line of this input holds a time, and whether it is of a kind that is read."""
        look = self.look(_stream(given, carrier))
        return lambda v: look(v).dated, lambda v: look(v).ours

    def lane(self, given: Input, carrier: str, what: Identity) -> Lane:
        """A lane from what is kept of it, or a fresh one."""
        stream = _stream(given, carrier, what.origin)
        start = self.look(stream)(what.first).time if what.first else None
        mark = (what.at, what.first) if what.first else (0, what.head)
        return self.lane_for(stream, start, mark)

    def lane_for(
        self, stream: Stream, start: int | None, mark: tuple[int, bytes] = (0, b"")
    ) -> Lane:
        """A lane for a stream whose first time is ``start``."""
        source, cluster, host = stream.source, stream.cluster, stream.host
        parts = [source.encode(), cluster.encode(), host.encode(), stream.origin]
        key = digest(16, [b"stream", *parts])
        row = self.kept(key) or StreamRow(
            key, source, cluster, host, stream.carrier, 0, b"", "", b"{}", b"", b""
        )
        return self.lane_of(self.plan, stream, BEFORE_ALL if start is None else start, row, mark)

    def _standard_input(self, given: Input) -> Lane | None:
        if sys.stdin is None:
            raise InputError("standard input is closed")
        pipe = Pipe(sys.stdin.fileno(), lambda: self.stop)
        what = identify(pipe, *self.tells(given, "-"), self.plan.max_record_bytes)
        if not pipe.rewind() and not self.is_read(given, "-", what):
            return None
        lane = self.lane(given, "-", what)
        lane.pipe = pipe
        return lane

    def stride(self, lanes: int) -> Stride:
        """How much is read at once of ``lanes`` lanes."""
        if lanes < 2:
            return Stride()
        return Stride(min((s.horizon_s * 250 for _, s in self.active), default=None))


def _stream(given: Input, carrier: str, origin: bytes = b"") -> Stream:
    host = given.host_of(carrier)
    return Stream(given.source, given.cluster, host, origin, carrier, given.zone)
