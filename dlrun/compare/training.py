"""A recipe's first updates without the rest of a run: the same engine, data and learning rates."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from dlrun.backends import load_backend
from dlrun.backends.base import Batch, EngineState
from dlrun.data.feed import Feed
from dlrun.plan import Plan
from dlrun.weights.pretrained import start


class Training:
    """A compiled model with its data, at its start: initial weights, or those of ``model.weights``.

    Args:
        plan: The resolved recipe.

    ``weights`` holds those it starts from, by canonical name.

    Raises:
        DlrunError: When ``model.weights`` cannot be loaded.
    """

    def __init__(self, plan: Plan) -> None:
        self.feed = Feed(plan)
        self.plan = plan = self.feed.fit()
        self.engine = load_backend(plan.recipe.backend.name).compile(plan)
        loaded = start(plan)
        self.weights = plan.initial_weights() | ({} if loaded is None else loaded[0])
        if loaded is not None:
            self.engine.restore(EngineState(self.weights))
        self._epoch, self._order = -1, np.arange(0)
        if self.feed.resident:
            self.engine.attach(self.feed.x, self.feed.y)

    def batch(self, step: int) -> Batch:
        """The batch of update ``step + 1``, on the host."""
        epoch, position = divmod(step, self.plan.steps_per_epoch)
        return next(iter(self.feed.batches(epoch, position, 1)))

    def run(self, first: int, steps: int, at_once: int | None = None) -> Iterator[np.ndarray]:
        """Losses of consecutive updates, up to ``at_once`` of one epoch by one call of the engine.

        Args:
            first: Updates completed before.
            steps: How many to make.
            at_once: As many as an epoch has left when not given.
        """
        last, per_epoch = first + steps, self.plan.steps_per_epoch
        while first < last:
            epoch, position = divmod(first, per_epoch)
            ends = min(last, first - position + per_epoch)
            stream = iter(()) if self.feed.resident else self.feed.batches(epoch, position, ends - first)
            while first < ends:
                n = min(at_once or ends, ends - first)
                yield self._train(first, n, list(itertools.islice(stream, n)))
                first += n

    def _train(self, first: int, steps: int, batches: list[Batch]) -> np.ndarray:
        rates = self._rates(first, steps)
        if not self.feed.resident:
            return self.engine.train_streamed(batches, first, rates)
        epoch, position = divmod(first, self.plan.steps_per_epoch)
        return self.engine.train_resident(self._order_of(epoch), position, first, rates)

    def _rates(self, first: int, steps: int) -> np.ndarray:
        plan, recipe = self.plan, self.plan.recipe
        return recipe.schedule.rates(
            recipe.optimizer.learning_rate, first, steps, plan.total_steps, plan.steps_per_epoch
        )

    def _order_of(self, epoch: int) -> np.ndarray:
        """An epoch's order, the same array each time: engines keep it on the device."""
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self.feed.order(epoch)
        return self._order
