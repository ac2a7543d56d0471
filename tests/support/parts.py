"""Stations with several cameras or a software trigger, and what became of their parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edge.inspector.link import Answered, Discard, Inspect
from edge.records import Outcome, Reason
from edge.requests import AnyRequest, Refusal, Refused
from tests.support.station import Bench


def answers(bench: Bench) -> list[tuple[int, Outcome, Reason | None]]:
    return [(v.part, v.outcome, v.reason) for v in bench.publisher.verdicts]


def audits(bench: Bench) -> list[str]:
    return [a.event.value for a in bench.publisher.audits]


def joined(join: str = "tag", **settings: object) -> Bench:
    parts = {"join": join, "window_ms": 20, **settings}
    bench = Bench(cameras=({"name": "cam1"}, {"name": "cam2", "counter_offset": -100}), parts=parts)
    bench.get_ready()
    return bench


def fired(cameras: Sequence[str | Mapping[str, object]] = ("cam1",), **settings: Any) -> Bench:
    bench = Bench(cameras=cameras, trigger="software", **settings)
    bench.get_ready()
    return bench


def answered(bench: Bench, request: AnyRequest) -> Any:
    """Ask; return the one answer that is given at once."""
    [answer] = bench.ask(request)
    assert answer.version == 1
    return answer


def refused(bench: Bench, request: AnyRequest) -> tuple[Refusal, str]:
    answer = answered(bench, request)
    assert isinstance(answer, Refused)
    assert "\n" not in answer.text
    return answer.code, answer.text


def inspected(bench: Bench) -> list[tuple[int, str]]:
    return [(o.part, o.camera) for o in bench.supervisor.orders if isinstance(o, Inspect)]


def freed(bench: Bench) -> list[tuple[str, int]]:
    """Return the frames whose slots were given back, by camera and number."""
    frames = []
    for order in bench.supervisor.orders:
        if isinstance(order, Answered):
            frames += [(frame.camera, frame.frame_no) for frame in order.frames]
        elif isinstance(order, Discard):
            frames.append((order.frame.camera, order.frame.frame_no))
    return frames


def balanced(bench: Bench) -> bool:
    return all(
        row.triggers == row.passed + row.rejected + sum(row.unknown.values()) + row.open
        for row in bench.journal.ledger.rows(None)
    )
