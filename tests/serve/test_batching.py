"""Batches of a function that is easy to follow: it doubles."""

import asyncio
import threading

import numpy as np
import pytest

from kerakit.errors import InputError
from kerakit.serve.batching import Batcher, Threads
from kerakit.serve.protocol import Refusal
from kerakit.serve.settings import Settings


class Doubling:
    """Notes what it is called with; computes when it is let to."""

    def __init__(self, **settings):
        self.calls, self.told = [], []
        self.may_compute = threading.Event()
        self.may_compute.set()
        most = settings.pop("most_rows", None)
        settings = Settings(**{"threads": 1, "batch_timeout": 0.05, **settings})
        self.batcher = Batcher(
            self.compute,
            settings=settings,
            threads=Threads(settings.threads),
            most_rows=most or settings.max_batch_size,
            on_batch=self.told.append,
        )

    def compute(self, inputs):
        assert self.may_compute.wait(10)
        self.calls.append(inputs["x"])
        if (inputs["x"] < 0).any():
            raise InputError("negative")
        if (inputs["x"] > 1000).any():
            raise RuntimeError("a fault")
        return {"y": 2 * inputs["x"], "row": np.arange(len(inputs["x"]))}

    async def ask(self, *rows, weights=None):
        """The answers to rows of numbers, or of lists of them."""
        weights = np.zeros(len(rows), int) if weights is None else np.array(weights)
        answers = await self.batcher.answer({"x": np.array(rows)}, weights)
        return [answer["y"].tolist() for answer in answers]

    async def held(self, *asked):
        """Starts to ask while nothing is computed, and lets it go when all wait."""
        self.may_compute.clear()
        first = asyncio.create_task(self.ask(0))
        await asyncio.sleep(0.02)
        tasks = [asyncio.create_task(one) for one in asked]
        await asyncio.sleep(0.02)
        self.may_compute.set()
        return await asyncio.gather(first, *tasks, return_exceptions=True)


def test_joined_padded_and_split_again():
    async def main():
        doubling = Doubling(max_batch_size=8)
        answers = await doubling.held(*(doubling.ask(n, 10 * n) for n in (1, 2, 3)))
        assert answers == [[0], [2, 20], [4, 40], [6, 60]]
        # Alone; then the three together, filled up from 6 to 8.
        assert [len(call) for call in doubling.calls] == [1, 8]
        assert doubling.calls[1][:6].tolist() == [1, 10, 2, 20, 3, 30]
        assert set(doubling.calls[1][6:].tolist()) <= {1, 10, 2, 20, 3, 30}
        assert doubling.told == [1, 6]
        assert doubling.batcher.waiting == 0

    asyncio.run(main())


def test_every_batch_has_an_allowed_size():
    async def main():
        doubling = Doubling(max_batch_size=12)
        for count in (1, 2, 3, 5, 8, 9, 12):
            assert await doubling.ask(*range(count)) == [2 * n for n in range(count)]
        assert [len(call) for call in doubling.calls] == [1, 2, 4, 8, 8, 12, 12]

    asyncio.run(main())


def test_a_large_request_is_cut():
    async def main():
        doubling = Doubling(max_batch_size=4)
        assert await doubling.ask(*range(11)) == [2 * n for n in range(11)]
        assert sorted(len(call) for call in doubling.calls) == [4, 4, 4]

    asyncio.run(main())


def test_rows_of_other_shapes_are_not_joined():
    async def main():
        doubling = Doubling()
        asked = ([1, 2], [3, 4, 5], [6, 7], [8, 9, 10])
        answers = await doubling.held(*(doubling.ask(row) for row in asked))
        assert answers[1:] == [[[2 * n for n in row]] for row in asked]
        assert sorted(call.shape for call in doubling.calls) == [(1,), (2, 2), (2, 3)]

    asyncio.run(main())


def test_who_asks_alone_does_not_wait_and_who_comes_with_others_does():
    async def main():
        doubling = Doubling(batch_timeout=0.3)
        loop, started = asyncio.get_running_loop(), asyncio.get_running_loop().time()
        for n in range(3):
            await doubling.ask(n)
        assert loop.time() - started < 0.25
        await doubling.held(doubling.ask(1), doubling.ask(2))
        # Now that requests came together, the next waits for more: one comes, and they leave.
        before, started = len(doubling.calls), loop.time()
        late = asyncio.create_task(doubling.ask(3))
        await asyncio.sleep(0.1)
        await asyncio.gather(late, doubling.ask(4))
        assert [call.tolist() for call in doubling.calls[before:]] == [[3, 4]]
        assert 0.25 < loop.time() - started < 1

    asyncio.run(main())


def test_a_full_batch_does_not_wait():
    async def main():
        doubling = Doubling(batch_timeout=5, max_batch_size=2)
        await doubling.held(doubling.ask(1), doubling.ask(2))
        await asyncio.wait_for(asyncio.gather(doubling.ask(3), doubling.ask(4)), 2)

    asyncio.run(main())


def test_beyond_the_queue_requests_are_refused_and_then_taken_again():
    async def main():
        doubling = Doubling(queue=5)
        answers = await doubling.held(*(doubling.ask(n, n) for n in range(1, 5)))
        assert answers[:3] == [[0], [2, 2], [4, 4]]
        for refusal in answers[3:]:
            assert isinstance(refusal, Refusal)
            assert (refusal.status, refusal.headers) == (429, {"Retry-After": "1"})
        assert await doubling.ask(7) == [14]
        with pytest.raises(Refusal, match="at most 5 rows, got 6") as caught:
            await doubling.ask(*range(6))
        assert caught.value.status == 400

    asyncio.run(main())


def test_who_is_wrong_is_wrong_alone():
    async def main():
        doubling = Doubling()
        answers = await doubling.held(
            doubling.ask(1), doubling.ask(2, -2), doubling.ask(3), doubling.ask(4, 5)
        )
        assert answers[:2] + answers[3:] == [[0], [2], [6], [8, 10]]
        assert isinstance(answers[2], InputError)
        assert doubling.batcher.waiting == 0

    asyncio.run(main())


def test_one_wrong_among_31_costs_few_batches_more():
    async def main():
        doubling = Doubling()
        asked = [doubling.ask(-1 if n == 17 else n) for n in range(32)]
        answers = (await doubling.held(*asked))[1:]
        assert [n for n, answer in enumerate(answers) if answer != [2 * n]] == [17]
        assert [len(call) for call in doubling.calls[:4]] == [1, 32, 16, 16]
        assert len(doubling.calls) == 12

    asyncio.run(main())


def test_a_fault_leaves_the_thread_free():
    async def main():
        doubling = Doubling()
        answers = await doubling.held(doubling.ask(2000), doubling.ask(2))
        assert answers[0] == [0]
        assert [type(answer) for answer in answers[1:]] == [RuntimeError, RuntimeError]
        assert await doubling.ask(5) == [10]

    asyncio.run(main())


def test_heavy_rows_are_not_computed_together():
    async def main():
        doubling = Doubling(image_pixels=100)
        rows = await doubling.ask(1, 2, 3, 4, weights=[60, 40, 30, 90])
        assert rows == [2, 4, 6, 8]
        assert sorted(call.tolist() for call in doubling.calls) == [[1, 2], [3], [4]]
        doubling.calls.clear()
        await doubling.held(doubling.ask(1, weights=[99]), doubling.ask(2, weights=[2]))
        assert [call.tolist() for call in doubling.calls] == [[0], [1], [2]]
        # Filled up with the lightest.
        doubling.calls.clear()
        await doubling.ask(1, 2, 3, weights=[30, 9, 30])
        assert doubling.calls[0].tolist() == [1, 2, 3, 2]

    asyncio.run(main())


def test_masks_are_computed_one_by_one():
    async def main():
        doubling = Doubling(most_rows=1)
        assert await doubling.ask(1, 2, 3) == [2, 4, 6]
        assert [call.tolist() for call in doubling.calls] == [[1], [2], [3]]

    asyncio.run(main())


def test_a_request_given_up_leaves_its_place():
    async def main():
        doubling = Doubling(queue=3)
        doubling.may_compute.clear()
        first = asyncio.create_task(doubling.ask(0))
        await asyncio.sleep(0.02)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(doubling.ask(1, 2, 3), 0.05)
        assert doubling.batcher.waiting == 0
        after = asyncio.create_task(doubling.ask(4, 5, 6))
        await asyncio.sleep(0.02)
        doubling.may_compute.set()
        assert [await first, await after] == [[0], [8, 10, 12]]
        computed = np.concatenate(doubling.calls).tolist()
        assert not {1, 2, 3} & set(computed)

    asyncio.run(main())


def test_models_take_turns_in_the_threads():
    async def main():
        settings, threads, order = Settings(threads=1, max_batch_size=1), Threads(1), []

        def batcher(name):
            def compute(inputs):
                order.append(name)
                return inputs

            options = {"settings": settings, "threads": threads, "on_batch": order.count}
            return Batcher(compute, most_rows=1, **options)

        busy, other = batcher("busy"), batcher("other")
        row = {"x": np.zeros(1)}, np.zeros(1, int)
        await asyncio.gather(*(busy.answer(*row) for _ in range(20)), other.answer(*row))
        assert order.index("other") < 5

    asyncio.run(main())
