"""Batches of preprocessed samples, the same for every backend."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cached_property
from typing import Literal

import numpy as np

from dlrun.data.checks import check_missing
from dlrun.data.crew import Crew, Job, available_cores
from dlrun.data.pipeline import Batch
from dlrun.data.portable import encode
from dlrun.data.prefetch import prefetched
from dlrun.data.remote import fetch_files
from dlrun.data.sampling import order_of, visits
from dlrun.data.source import Place, Reader, Samples, Source, Split
from dlrun.data.transforms import fit_chain, is_fitted
from dlrun.data.wording import counted
from dlrun.errors import DlrunError
from dlrun.plan import Plan
from dlrun.randomness import stream

Part = Literal["train", "validation", "test"]

_BLOCK = 1024
_FIT_VALUES = 1 << 22
"""Values that transforms are fitted to at a time; they take some copies of 8 bytes each."""


class Feed:
    """What a run reads: its training, validation and test samples.

    Args:
        plan: The resolved recipe.
        place: Where files are looked for; the recipe's own ``data.root`` when left out.
        survey: Whether samples are only looked at: read when taken, even where all of them would fit into memory, and
            not checked for what would stop a training.

    Held-out validation samples are drawn by (seed, "validation"). Nothing is read before it is needed.
    """

    def __init__(self, plan: Plan, place: Place | None = None, *, survey: bool = False) -> None:
        self.plan = plan
        data = plan.recipe.data
        if place is None:
            place = Place(fetch_files(data.files, data.root, data.download).root, data.download, plan.signature)
        self.place = place
        self._survey = survey
        self._readers: dict[Split, Reader] = {}
        self._named: dict[Split, Reader] = {}
        self._whole: dict[Part, Batch] = {}
        self._crew: Crew | None = None
        self._fingerprint: str | None = None

    @property
    def resident(self) -> bool:
        """Whether the preprocessed training samples are kept in memory whole (``data.memory_mb``): each epoch's are
        the same."""
        return not self.plan.recipe.data.augment and self.holds("train")

    def holds(self, part: Part) -> bool:
        """Whether a part's preprocessed samples may be kept in memory whole (``data.memory_mb``)."""
        return self._fits(self.size(part), self.plan.graph.input.size, self.plan.input_dtype)

    @property
    def x(self) -> np.ndarray:
        """Preprocessed training samples (N, *input.shape); resident data only."""
        return self._all("train")[0]

    @property
    def y(self) -> np.ndarray:
        """Training labels (N, *target.shape)."""
        return self._labels("train")

    def size(self, part: Part) -> int:
        """Samples in a part; 0 when there is none."""
        plan = self.plan
        sizes = {"train": plan.train_samples, "validation": plan.validation_samples}
        return sizes[part] if part in sizes else plan.signature.sizes.get("test", 0)

    def order(self, epoch: int) -> np.ndarray:
        """The training samples that an epoch visits, by number in their part, int64 (N,)."""
        recipe = self.plan.recipe
        # nothing is read for a natural order
        labels = np.empty(self.size("train"), np.int64) if recipe.data.sampling == "natural" else self.y
        return order_of(recipe.data, recipe.seed, epoch, labels, self.plan.signature.ignore_label)

    def visited(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """The samples of an epoch in its order, by number in the training split, and what their random changes are
        keyed by; each int64 (N,)."""
        order = self.order(epoch)
        rows = self._rows("train")[order]
        if self.plan.recipe.data.sampling == "natural":
            return rows, rows
        return rows, rows + len(self.reader("train")) * visits(order)

    def batches(self, epoch: int, first_batch: int = 0, count: int | None = None) -> Iterator[Batch]:
        """Training batches of one epoch, prepared ahead by a thread.

        Args:
            epoch: Number of the epoch, keys the order.
            first_batch: Where to begin.
            count: How many at most; to the epoch's end when left out.

        Batch i holds samples ``order(epoch)[i * batch_size : (i + 1) * batch_size]``.
        """
        data = self.plan.recipe.data
        rows, keys = self.visited(epoch)
        starts = range(first_batch * data.batch_size, len(rows), data.batch_size)[:count]
        crew = self._workers(self.reader("train"))
        parts = (slice(i, i + data.batch_size) for i in starts)
        jobs = (Job(rows[part], keys[part], epoch) for part in parts)
        return crew.batches(jobs) if crew is not None else prefetched(map(self._training, jobs), data.prefetch)

    def validation(self) -> Batch:
        """All held-out samples, preprocessed, and their labels."""
        return self._all("validation")

    def test(self) -> Batch:
        """The whole test split, preprocessed, and its labels.

        Raises:
            DlrunError: ``missing-split`` when the data has none.
        """
        return self._all("test")

    def eval_batches(self, part: Part, limit: int | None = None) -> Iterator[Batch]:
        """A part in stored order, in batches of ``data.eval_batch_size``.

        Args:
            part: ``validation``, ``test`` or ``train``.
            limit: Batches at most.

        Raises:
            DlrunError: ``missing-split`` when the data has no such samples.
        """
        data = self.plan.recipe.data
        size = self._present(part)
        starts = range(0, size, data.eval_batch_size)[:limit]
        whole_is_wanted = len(starts) * data.eval_batch_size >= size
        if part in self._whole or (whole_is_wanted and self.holds(part)):
            x, y = self._all(part)
            return ((x[i : i + data.eval_batch_size], y[i : i + data.eval_batch_size]) for i in starts)
        rows = np.arange(size)
        self.reader(_split(part))
        return prefetched((self._batch(part, rows[i : i + data.eval_batch_size]) for i in starts), data.prefetch)

    def stored(self, part: Part, count: int) -> np.ndarray:
        """The first samples of a part with values as stored, not preprocessed: (min(count, size), *input.shape)."""
        rows = self._rows(part)[: min(count, self._present(part))]
        return _shaped(self.plan, self.reader(_split(part)).take(rows))

    def numbers(self, part: Part) -> np.ndarray:
        """The numbers that a part's samples have in the source's split, int64 (N,)."""
        return self._rows(part)

    def samples_at(self, part: Part, positions: np.ndarray) -> np.ndarray:
        """Samples of a part with values as stored, by position in it: int64 (n,) -> (n, *input.shape)."""
        return _shaped(self.plan, self.reader(_split(part)).take(self._rows(part)[positions]))

    def name(self, part: Part, number: int) -> str | None:
        """The name that the source has for a sample, by its number in the split, such as a file's."""
        source, split = self.plan.recipe.data.source, _split(part)
        if split not in self._named:
            reader = self.reader(split)
            if isinstance(reader, Samples) and type(source).open is not Source.open:
                reader = source.open(split, self.place)  # samples in memory have no names, those of files do
            self._named[split] = reader
        name = getattr(self._named[split], "name", None)
        return None if name is None else str(name(number))

    def fit(self) -> Plan:
        """The plan with its transforms fitted to the training samples, which from now on is this feed's."""
        plan = self.plan
        data, signature = plan.recipe.data, plan.signature
        if is_fitted(data.preprocess):
            return plan
        rows, reader = self._rows("train"), self.reader("train")

        def blocks() -> Iterator[np.ndarray]:
            count = max(1, _FIT_VALUES // max(signature.input.size, plan.graph.input.size))
            for i in range(0, len(rows), count):
                yield _shaped(plan, reader.take(rows[i : i + count]))

        self.plan = plan.with_preprocess(fit_chain(data.preprocess, signature.scale, signature.numbers, blocks))
        return self.plan

    def stored_validation(self, count: int) -> np.ndarray:
        """Stored samples nothing was trained on where there are some: held out, test, else training ones."""
        part: Part = "validation" if self.size("validation") else "test" if self.size("test") else "train"
        return self.stored(part, count)

    def fingerprint(self) -> str:
        """A SHA-256 over all training labels and evenly spaced training samples, as stored."""
        if self._fingerprint is not None:
            return self._fingerprint
        reader = self.reader("train")
        digest = hashlib.sha256(repr(self.plan.signature.input.shape).encode())
        digest.update(np.ascontiguousarray(reader.y).tobytes())
        rows = np.unique(np.linspace(0, len(reader) - 1, 64).astype(np.int64))
        digest.update(np.ascontiguousarray(reader.take(rows)).tobytes())
        self._fingerprint = digest.hexdigest()
        return self._fingerprint

    def close(self) -> None:
        """End the processes that prepare samples, if there are any."""
        if self._crew is not None:
            self._crew.close()
            self._crew = None

    def _workers(self, reader: Reader) -> Crew | None:
        """The processes that prepare batches, started when first asked for; None where a thread does."""
        plan, asked = self.plan, self.plan.recipe.data.workers
        count = asked if asked is not None else 0 if isinstance(reader, Samples) else min(4, available_cores())
        if self._crew is None and count:
            what = encode(plan.recipe.data.source, self.place, plan.pipeline)
            if what is not None:
                largest = plan.recipe.data.batch_size * (
                    plan.graph.input.size * np.dtype(plan.input_dtype).itemsize + plan.train_target.size * 8
                )
                self._crew = Crew(count, what, largest, max(plan.recipe.data.prefetch, 2 * count))
        return self._crew

    def _fits(self, samples: int, values: int, dtype: str) -> bool:
        """Whether memory has room for samples of so many values."""
        needed = samples * values * np.dtype(dtype).itemsize
        return needed <= self.plan.recipe.data.memory_mb * 2**20

    def _present(self, part: Part) -> int:
        if size := self.size(part):
            return size
        hint = {
            "validation": "Set `data.validation`, e.g. to 0.1.",
            "test": "Use `split=validation`, or give the data source a test split.",
            "train": "",
        }
        raise DlrunError(
            "missing-split", f"there are no `{part}` samples.", path=("data", "source"), hint=hint[part] or None
        )

    def reader(self, split: Split) -> Reader:
        """A split, opened once."""
        if split not in self._readers:
            source, signature = self.plan.recipe.data.source, self.plan.signature
            # Streamed samples that fit as stored are read once; resident ones are read block by block.
            fits = self._fits(sum(signature.sizes.values()), signature.input.size, signature.stored_dtype)
            whole = fits and not self.resident and not self._survey
            reader = source.load(split, self.place) if whole else source.open(split, self.place)
            self._check(reader, split)
            self._readers[split] = reader
        return self._readers[split]

    def _check(self, reader: Reader, split: Split) -> None:
        signature = self.plan.signature
        if len(reader) != signature.sizes.get(split, 0):
            raise DlrunError(
                "data-changed",
                f"the {split} split has {counted(len(reader), 'sample')}, but had {signature.sizes.get(split, 0)} a "
                "moment ago.",
                path=("data", "source"),
                hint="Start again when nothing writes to the data.",
            )
        if self._survey:
            return
        if isinstance(reader, Samples):
            check_missing(self.plan.recipe.data, signature, reader.x, f"the {split} split")
        if signature.classes is not None and len(reader):
            y = reader.y if signature.ignore_label is None else reader.y[reader.y != signature.ignore_label]
            low, high = (int(y.min()), int(y.max())) if y.size else (0, 0)
            if low < 0 or high >= signature.classes:
                raise DlrunError(
                    "label-out-of-range",
                    f"the {split} split has the label `{low if low < 0 else high}`, but labels of "
                    f"{signature.classes} classes go from 0 to {signature.classes - 1}.",
                    path=("data", "source"),
                )

    @cached_property
    def _holdout(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the training split for (training, validation), each ascending."""
        held = self.plan.validation_samples
        total = self.plan.train_samples + held
        if held == 0:
            return np.arange(total), np.arange(0)
        shuffled = stream(self.plan.recipe.seed, "validation").permutation(total)
        return np.sort(shuffled[held:]), np.sort(shuffled[:held])

    def _rows(self, part: Part) -> np.ndarray:
        if part == "test":
            return np.arange(self.size("test"))
        return self._holdout[0 if part == "train" else 1]

    def _labels(self, part: Part) -> np.ndarray:
        return self.plan.pipeline.labels(self.reader(_split(part)).y[self._rows(part)])

    def _all(self, part: Part) -> Batch:
        if part not in self._whole:
            self._present(part)
            rows, reader = self._rows(part), self.reader(_split(part))
            x = np.empty((len(rows), *self.plan.graph.input.shape), self.plan.input_dtype)
            for i in range(0, len(rows), _BLOCK):
                block = slice(i, i + _BLOCK)
                self.plan.pipeline.evaluation(reader.take(rows[block]), x[block])
            self._whole[part] = x, self._labels(part)
        return self._whole[part]

    def _batch(self, part: Part, positions: np.ndarray) -> Batch:
        rows, reader = self._rows(part)[positions], self.reader(_split(part))
        return self.plan.pipeline.evaluation(reader.take(rows)), self.plan.pipeline.labels(reader.y[rows])

    def _training(self, job: Job) -> Batch:
        reader = self.reader("train")
        return self.plan.pipeline.training(reader.take(job.rows), reader.y[job.rows], job.keys, job.epoch)


def _shaped(plan: Plan, x: np.ndarray) -> np.ndarray:
    """Stored samples in the shape that the model reads; transforms need not be fitted for it."""
    for augmentation in plan.recipe.data.augment:
        x = augmentation.evaluate(x)
    return x


def _split(part: Part) -> Split:
    return "test" if part == "test" else "train"
