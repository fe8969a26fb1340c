"""Which offset of a partition may be committed: the first that is not yet acknowledged.

Faust keeps a list of acknowledged offsets and looks for the end of its first unbroken run, which
commits past a message still in flight (faust#606) and needs every gap written down. Here what is
in flight is kept instead: a batch covers positions from where the one before it ended, gaps
included, and the least start among those in flight is the answer.
"""


class Ledger:
    """The books of one partition for as long as one assignment lasts. Pure; offsets are ints."""

    def __init__(self) -> None:
        self.next: int | None = None
        """Where the next batch must begin; None until a first position is known."""
        self._in_flight: dict[int, int] = {}
        self._tickets = 0

    def begin(self, position: int) -> None:
        """Say where reading starts, if that is not known already."""
        if self.next is None:
            self.next = position

    def follows(self, start: int) -> bool:
        """Whether a batch from `start` goes on exactly where the last one ended."""
        return self.next is None or start == self.next

    def deliver(self, start: int, end: int) -> int:
        """Hand out positions `start` up to but without `end`; returns the ticket that returns them.

        Raises `ValueError` where it does not follow on what was handed out before, for then the
        positions between would be committed without having been delivered.
        """
        self.advance(start, end)
        self._tickets += 1
        self._in_flight[self._tickets] = start
        return self._tickets

    def advance(self, start: int, end: int) -> None:
        """Pass over positions that hold no record: markers of transactions, what compaction left.

        Raises `ValueError` as `deliver` does, and where `end` lies before `start`.
        """
        if not self.follows(start) or end < start:
            raise ValueError(f"positions {start} to {end} do not follow on {self.next}")
        self.next = end

    def acknowledge(self, ticket: int) -> bool:
        """Take back what `deliver` handed out; False if it was back already."""
        return self._in_flight.pop(ticket, None) is not None

    def seek(self, position: int) -> None:
        """Go on elsewhere. What is in flight stays so, and nothing behind it is committed."""
        self.next = position

    @property
    def in_flight(self) -> int:
        """How many batches are delivered and not acknowledged."""
        return len(self._in_flight)

    @property
    def committable(self) -> int | None:
        """The first offset not acknowledged; None where no position is known."""
        return min(self._in_flight.values(), default=self.next)
