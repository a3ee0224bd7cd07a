"""Rows of several requests, computed together."""

import asyncio
import concurrent.futures
import contextlib
import dataclasses

import numpy as np

from kerakit.errors import InputError
from kerakit.serve.protocol import Refusal


class Threads:
    """A few threads that compute batches.

    Args:
        count: How many.
    """

    def __init__(self, count):
        self.pool = concurrent.futures.ThreadPoolExecutor(count, "kerakit-serve-compute")
        # A place in it is taken before a batch is made up, so that rows can join as long as no
        # thread is free. Who waits longest comes first, whatever the model.
        self.free = asyncio.Semaphore(count)


class _Queue:
    """Pieces whose rows are of one shape, in the order in which they came."""

    def __init__(self):
        self.pieces = {}  # by its keys alone: pieces leave from the middle, too
        self.grown = asyncio.Event()


@dataclasses.dataclass(eq=False)
class _Piece:
    """Rows of one request, at most as many as a batch takes."""

    inputs: dict
    weights: np.ndarray
    queue: _Queue
    arrived: float
    answer: asyncio.Future

    @property
    def rows(self):
        return len(self.weights)


class Batcher:
    """Gathers rows of requests to a function, computes them in batches and hands out the answers.

    All of it but the function runs in one event loop, so that nothing is locked.

    Args:
        compute: Function from a dict of arrays to a dict of arrays, the rows on the first axis of
            each; it raises `InputError` where the inputs are wrong.
        settings: `Settings`.
        threads: `Threads` to compute in.
        most_rows: Most rows of a batch.
        on_batch: Function of the number of rows of each batch that was computed.

    Attributes:
        waiting: How many rows wait.
    """

    def __init__(self, compute, *, settings, threads, most_rows, on_batch):
        self._compute, self._settings, self._threads = compute, settings, threads
        self._most_rows, self._on_batch = most_rows, on_batch
        self._queues, self._tasks = {}, set()
        self._come_together = False
        self.waiting = 0

    async def answer(self, inputs, weights):
        """The function's answer to each row of a request.

        Args:
            inputs: Dict of arrays.
            weights: (rows,) pixels that each row has decoded.

        Returns:
            List of dicts of arrays.

        Raises:
            Refusal: If too many rows wait already.
            InputError: If the function refuses the inputs.
        """
        most = self._settings.queue
        if len(weights) > most:
            raise Refusal(400, f"A request may have at most {most} rows, got {len(weights)}.")
        if self.waiting + len(weights) > most:
            raise Refusal(429, "Too many requests wait already; try again.", {"Retry-After": "1"})
        pieces = [self._enqueued(inputs, weights, part) for part in self._parts(weights)]
        try:
            answers = await asyncio.gather(*(piece.answer for piece in pieces))
        finally:
            for piece in pieces:  # those that are left of a request given up, or refused in part
                piece.answer.cancel()
                self._leave(piece)
        return [row for answer in answers for row in answer]

    def _parts(self, weights):
        """Slices of a request that each fit into a batch."""
        start, weight = 0, 0
        for row, own in enumerate(weights):
            heavy = weight + own > self._settings.image_pixels
            if row > start and (heavy or row - start == self._most_rows):
                yield slice(start, row)
                start, weight = row, 0
            weight += own
        yield slice(start, len(weights))

    def _enqueued(self, inputs, weights, part):
        inputs = {name: array[part] for name, array in inputs.items()}
        # Clips of another length, for one, are no batch with these.
        shapes = tuple((name, array.shape[1:]) for name, array in inputs.items())
        if shapes not in self._queues:
            self._queues[shapes] = _Queue()
            self._start(self._serve(shapes))
        queue, loop = self._queues[shapes], asyncio.get_running_loop()
        piece = _Piece(inputs, weights[part], queue, loop.time(), loop.create_future())
        queue.pieces[piece] = None
        queue.grown.set()
        self.waiting += piece.rows
        return piece

    def _leave(self, piece):
        if piece in piece.queue.pieces:
            del piece.queue.pieces[piece]
            self.waiting -= piece.rows

    def _start(self, work):
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)  # or it may be collected while it runs
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, shapes):
        """Makes batches of a queue until it is empty."""
        # The piece for which it was made joins it before this task begins.
        queue = self._queues[shapes]
        while queue.pieces:
            await self._gather(queue)
            await self._threads.free.acquire()
            batch = self._taken(queue)
            if batch:
                self._start(self._answered(batch))
            else:
                self._threads.free.release()
        del self._queues[shapes]

    async def _gather(self, queue):
        """Waits for more rows; who asks alone is not kept waiting."""
        if not self._come_together:
            return
        first = next(iter(queue.pieces))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(first.arrived + self._settings.batch_timeout):
                while sum(piece.rows for piece in queue.pieces) < self._most_rows:
                    queue.grown.clear()
                    await queue.grown.wait()

    def _taken(self, queue):
        """The next pieces that fit into a batch, which leave the queue."""
        batch, rows, weight = [], 0, 0
        for piece in queue.pieces:
            rows, weight = rows + piece.rows, weight + piece.weights.sum()
            if batch and (rows > self._most_rows or weight > self._settings.image_pixels):
                break
            batch.append(piece)
        for piece in batch:
            self._leave(piece)
        self._come_together = len(batch) > 1
        return batch

    async def _answered(self, batch):
        try:
            loop = asyncio.get_running_loop()
            answers = await loop.run_in_executor(self._threads.pool, self._answers, batch)
        except Exception as error:  # a fault, which all of them are told of
            answers = [error] * len(batch)
        finally:
            self._threads.free.release()
        self._on_batch(sum(piece.rows for piece in batch))
        for piece, answer in zip(batch, answers, strict=True):
            if piece.answer.done():  # given up meanwhile
                continue
            if isinstance(answer, Exception):
                piece.answer.set_exception(answer)
            else:
                piece.answer.set_result(answer)

    def _answers(self, batch):
        """For each piece its rows' answers, or the `InputError` that is its own."""
        try:
            rows = iter(self._computed(batch))
        except InputError as error:
            if len(batch) == 1:
                return [error]
            # One of 32 is found by 10 smaller batches.
            half = len(batch) // 2
            return self._answers(batch[:half]) + self._answers(batch[half:])
        return [[next(rows) for _ in range(piece.rows)] for piece in batch]

    def _computed(self, batch):
        weights = np.concatenate([piece.weights for piece in batch])
        size = next(size for size in self._settings.batch_sizes if size >= len(weights))
        # Filled up with the row that is decoded soonest.
        spare = np.full(size - len(weights), weights.argmin())
        order = np.concatenate([np.arange(len(weights)), spare])
        inputs = {
            name: np.concatenate([piece.inputs[name] for piece in batch])[order]
            for name in batch[0].inputs
        }
        outputs = self._compute(inputs)
        return [{name: value[i] for name, value in outputs.items()} for i in range(len(weights))]
