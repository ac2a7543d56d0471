"""A consumer's cursor at the station: when to move it, and whether somebody else did."""

from __future__ import annotations

from edge.clock import Clock
from edge.control import new_id
from edge.errors import NameTaken
from edge.requests import Ack, Acknowledged, Attached
from edge.subscription.inquiry import Inquiry
from edge.subscription.sequence import Position, Sequence

# An acknowledgement that is no batch waits so long for others to join it.
_WAIT_US = 100_000


class Cursor:
    """Moves the cursor behind what is acknowledged and in the journal; one request at a time."""

    def __init__(self, consumer: str, session: str, ack_every: int, clock: Clock) -> None:
        self._consumer, self._session = consumer, session
        self._ack_every = ack_every
        self._clock = clock
        self._stored_seq = 0
        self._sent = Position(0, 0)
        self._settled: Position | None = None
        self._sent_number = 0
        self._sent_us = 0

    def begin(self, answer: Attached) -> None:
        """Take the cursor as it is at our first attach."""
        self._stored_seq = answer.seq

    def resume(self, answer: Attached) -> None:
        """
        Compare the cursor with ours at a later attach: it may stand where we put it, no further.

        Raises:
            NameTaken: somebody used the name while our lease had run out.
        """
        known_seq = max(self._stored_seq, self._sent.seq)
        if answer.new:  # The journal was lost and took the cursor along; its numbers may begin again.
            self._sent, self._settled = Position(0, 0), None
        elif answer.seq > known_seq:
            raise NameTaken(
                "name_taken",
                f"consumer '{self._consumer}' was moved to verdict {answer.seq} by somebody else, we stand at "
                f"{known_seq}; give each consumer a name of its own",
            )
        self._stored_seq = answer.seq

    def stored(self, answer: Acknowledged) -> None:
        """Note that the station has the cursor on disk."""
        self._stored_seq = answer.seq
        self._settled = self._sent

    def unknown(self) -> None:
        """Note that the station's journal does not know the epoch that was acknowledged: it was lost since."""
        self._settled = self._sent

    def settled(self, sequence: Sequence) -> bool:
        """Say whether all that can be acknowledged is, durably."""
        position = sequence.acknowledgeable()
        return position is None or position == self._settled

    def move(self, sequence: Sequence, inquiry: Inquiry, at_once: bool = False) -> None:
        """Send an acknowledgement when one is due and none is under way; *at_once*: however few it would be for."""
        if inquiry.asks(Ack) or self.settled(sequence):
            return
        many = sequence.acknowledged - self._sent_number >= self._ack_every
        now_us = self._clock.now_us()
        if not (at_once or many or now_us - self._sent_us >= _WAIT_US):
            return
        position = sequence.acknowledgeable()
        if position is not None:
            self._sent_us, self._sent_number = now_us, sequence.acknowledged
            self._sent = position
            inquiry.ask(
                Ack(
                    version=1,
                    id=new_id(),
                    consumer=self._consumer,
                    session=self._session,
                    epoch=position.epoch,
                    seq=position.seq,
                )
            )
