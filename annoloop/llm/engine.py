"""Many questions at once: bounded read-ahead, answers as they arrive, nothing lost when it ends early."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from annoloop.errors import AnnoloopError
from annoloop.llm.answers import Answer, Prompt

T = TypeVar("T")

READ_AHEAD = 16
"""Questions under way or waiting, a worker: enough that one slow document holds nobody up."""
GRACE = 5.0
"""Seconds that questions under way get to be answered, and kept, when the run ends early."""


class _Made(Generic[T]):
    """What came of a question, and whether it is settled: kept, or found to be an error."""

    __slots__ = ("answer", "item", "settled")

    def __init__(self, item: T, answer: Answer | BaseException | None) -> None:
        self.item, self.answer, self.settled = item, answer, False


class _Pool(Generic[T]):
    """Daemon threads that ask and keep: one that hangs does not keep the program from ending.

    A thread asks its next question when its last answer is on the disk: no more than `workers` answers are
    paid and lost where the process is killed. Whoever keeps takes all that are ready, so that many are kept
    for the price of one where keeping is slow.
    """

    def __init__(
        self,
        ask: Callable[[T, Prompt], Answer],
        keep: Callable[[Sequence[tuple[T, Answer]]], None],
        workers: int,
        stop: threading.Event,
    ) -> None:
        self.ask = ask
        self.keep = keep
        self.stop = stop
        self.questions: queue.SimpleQueue[tuple[T, Prompt] | None] = queue.SimpleQueue()
        self.made: deque[_Made[T]] = deque()
        self.answers: queue.SimpleQueue[tuple[T, Answer | BaseException | None]] = queue.SimpleQueue()
        self.keeping = threading.Lock()
        self.threads = [
            threading.Thread(target=self._work, name=f"annoloop-llm-{n}", daemon=True) for n in range(workers)
        ]
        for thread in self.threads:
            thread.start()

    def _work(self) -> None:
        while (question := self.questions.get()) is not None:
            item, prompt = question
            answer: Answer | BaseException | None = None
            if not self.stop.is_set():
                try:
                    answer = self.ask(item, prompt)
                except BaseException as error:
                    self.stop.set()
                    answer = error
            made = _Made(item, answer)
            self.made.append(made)
            with self.keeping:
                # Whoever kept before may have taken this one along.
                if not made.settled:
                    self._keep()

    def _keep(self) -> None:
        """Keep all that are ready; the caller holds `keeping`."""
        ready = [self.made.popleft() for _ in range(len(self.made))]
        try:
            self.keep([(one.item, one.answer) for one in ready if isinstance(one.answer, Answer)])
        except BaseException as error:
            self.stop.set()
            for one in ready:
                one.answer = error
        for one in ready:
            one.settled = True
            self.answers.put((one.item, one.answer))

    def end(self, seconds: float) -> bool:
        """Begin nothing new, wait for what is under way; False where something still is."""
        self.stop.set()
        for _ in self.threads:
            self.questions.put(None)
        deadline = time.monotonic() + seconds
        for thread in self.threads:
            thread.join(max(deadline - time.monotonic(), 0.0))
        # What has come is kept, however long that takes.
        with self.keeping:
            self._keep()
        return not any(thread.is_alive() for thread in self.threads)


def ask_all(
    questions: Iterable[tuple[T, Prompt | Answer]],
    ask: Callable[[T, Prompt], Answer],
    *,
    keep: Callable[[Sequence[tuple[T, Answer]]], None],
    workers: int,
    stop: threading.Event,
    on_abandon: Callable[[], None] | None = None,
) -> Iterator[tuple[T, Answer]]:
    """Ask from several threads and yield each answer when it is there, in any order.

    No answer is yielded before `keep` has taken it. A question that is an answer already is yielded as it
    is. Where `ask` or `keep` raises, no new question is begun, the answers that still arrive are yielded,
    then the error is raised. Where the caller stops taking answers (Ctrl-C, `close`), `stop` is set,
    questions under way get `GRACE` seconds, then `on_abandon` is called, which should break their
    connections.
    """
    waiting = iter(questions)
    pool: _Pool[T] = _Pool(ask, keep, workers, stop)
    failure: BaseException | None = None
    under_way = 0
    try:
        more = True
        while True:
            while more and failure is None and under_way < workers * READ_AHEAD:
                question = next(waiting, None)
                if question is None:
                    more = False
                elif isinstance(question[1], Answer):
                    yield question[0], question[1]
                else:
                    pool.questions.put((question[0], question[1]))
                    under_way += 1
            if not under_way:
                break
            item, answer = pool.answers.get()
            under_way -= 1
            if isinstance(answer, Answer):
                yield item, answer
            elif answer is not None:
                failure = _graver(failure, answer)
        if failure is not None:
            raise failure
    finally:
        if not pool.end(GRACE) and on_abandon is not None:
            on_abandon()


def _graver(first: BaseException | None, second: Any) -> BaseException:
    """The error to report of two: the one that a user can act on, else the first."""
    if first is None or (isinstance(second, AnnoloopError) and not isinstance(first, AnnoloopError)):
        return second  # type: ignore[no-any-return]
    return first
