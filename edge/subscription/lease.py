"""A consumer's name at the station: asked for, kept by a lease that is renewed in time, and given back."""

from __future__ import annotations

import time
from typing import Literal

from edge.clock import Clock
from edge.control import new_id
from edge.requests import LEASE_S, Attach, Detach
from edge.subscription.inquiry import Inquiry

LEASE_US = round(LEASE_S * 1e6)
_RENEW_US = LEASE_US // 3
# A predecessor that died without detaching has the name until its lease ends; leases are looked at in whole seconds.
_PATIENCE_US = LEASE_US + 2_000_000
# At the end only: nothing else waits for the station then.
_GIVE_BACK_S = 1.0


class Lease:
    """
    Args:
        session: tells this process from others that ask for the same name.
        origin: where a name that is new begins.
        take_over: replace who has the name now.
    """

    def __init__(
        self, consumer: str, session: str, origin: Literal["now", "oldest"], take_over: bool, clock: Clock
    ) -> None:
        self._consumer, self._session = consumer, session
        self._origin, self._take_over = origin, take_over
        self._clock = clock
        self._had = False
        self._patient_until_us = clock.now_us() + _PATIENCE_US
        self._leased_us = clock.now_us()

    @property
    def is_over(self) -> bool:
        return self._clock.now_us() - self._leased_us > LEASE_US

    @property
    def is_patient(self) -> bool:
        """The name may still be a dead predecessor's: it is taken, but not for long."""
        return not self._had and self._clock.now_us() < self._patient_until_us

    def begin(self) -> None:
        """Begin to ask, or again after the lease has run out."""
        self._leased_us = self._clock.now_us()

    def ask(self, inquiry: Inquiry) -> None:
        """Ask for the name."""
        inquiry.ask(
            Attach(
                version=1,
                id=new_id(),
                consumer=self._consumer,
                session=self._session,
                # Later the name is new only if the journal was lost: nothing of the new one may be skipped.
                origin="oldest" if self._had else self._origin,
                take_over=self._take_over and not self._had,  # Once: else two would take it from each other.
            )
        )

    def renew(self, inquiry: Inquiry) -> None:
        """Ask again if that is due and not under way."""
        if self._clock.now_us() - self._leased_us > _RENEW_US and not inquiry.asks(Attach):
            self.ask(inquiry)

    def granted(self, sent_us: int) -> None:
        """Note that what was sent then was granted: the lease runs from there at the earliest."""
        self._had = True
        self._leased_us = sent_us

    def give_back(self, inquiry: Inquiry) -> None:
        """Free the name, if the station answers in time."""
        inquiry.ask(Detach(version=1, id=new_id(), consumer=self._consumer, session=self._session, forget=False))
        give_up = time.monotonic() + _GIVE_BACK_S
        while inquiry.asks(Detach) and (left_s := give_up - time.monotonic()) > 0:
            inquiry.socket.poll(round(left_s * 1000))
            inquiry.answered()
