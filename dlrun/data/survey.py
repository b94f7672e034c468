"""What a data set holds, looked at sample by sample before anything is trained on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np

from dlrun.data.feed import Feed
from dlrun.data.fitting import Moments
from dlrun.data.images import picture_size
from dlrun.data.source import Reader, Split
from dlrun.errors import DlrunError
from dlrun.plan import Plan

_BLOCK = 256
LISTED = 20
"""How many of a kind are named; all of them are counted."""

Tell = Callable[[str, int, int], None]
"""Told of progress: which split, samples done, samples in all."""


@dataclass
class SplitFacts:
    """What one split holds.

    Args:
        name: ``train`` or ``test``.
        samples: How many.
        classes: Samples per class by name, where there are classes.
        unlabelled: Labels that are no class.
        sizes: Samples per original picture size, e.g. ``640x480``, where samples are picture files.
        channels: Per channel or column: ``name``, ``low``, ``high``, ``mean``, ``std``, ``missing``.
        unreadable: How many samples could not be read.
        unreadable_named: What is wrong with the first of them.
        duplicates: How many samples are equal to an earlier one of the split.
        duplicates_named: The first of them, each with the earlier one.
        conflicts: How many of them have another label than the earlier one.
    """

    name: str
    samples: int
    classes: dict[str, int] = field(default_factory=dict)
    unlabelled: int = 0
    sizes: dict[str, int] = field(default_factory=dict)
    channels: list[dict[str, Any]] = field(default_factory=list)
    unreadable: int = 0
    unreadable_named: list[str] = field(default_factory=list)
    duplicates: int = 0
    duplicates_named: list[tuple[str, str]] = field(default_factory=list)
    conflicts: int = 0


@dataclass
class Survey:
    """What a data set holds.

    Args:
        splits: One entry for each split.
        overlap: How many test samples are also training samples.
        overlap_named: The first of them, each with the training sample.
        notes: What reading the data left to say.
    """

    splits: list[SplitFacts]
    overlap: int = 0
    overlap_named: list[tuple[str, str]] = field(default_factory=list)
    notes: tuple[str, ...] = ()

    @property
    def problems(self) -> list[str]:
        """What a user should look at before training, one sentence each."""
        found = []
        for s in self.splits:
            if s.unreadable:
                found.append(f"{s.unreadable:,} samples of `{s.name}` cannot be read.")
            if s.unlabelled:
                found.append(f"{s.unlabelled:,} labels of `{s.name}` are no class.")
            if s.duplicates:
                found.append(f"{s.duplicates:,} samples of `{s.name}` are equal to another one of it.")
            if s.conflicts:
                found.append(f"{s.conflicts:,} of these have another label than the sample that they are equal to.")
            if empty := [name for name, count in s.classes.items() if not count]:
                named = ", ".join(f"`{n}`" for n in empty[:LISTED])
                found.append(f"`{s.name}` has no sample of {len(empty)} classes: {named}.")
            if missing := [c["name"] for c in s.channels if c["missing"]]:
                found.append(f"values of `{s.name}` are missing in {', '.join(f'`{n}`' for n in missing[:LISTED])}.")
            if constant := [c["name"] for c in s.channels if s.name == "train" and c["low"] == c["high"]]:
                found.append(f"`{'`, `'.join(constant[:LISTED])}` has the same value in all training samples.")
        if self.overlap:
            found.append(f"{self.overlap:,} samples of `test` are also in `train`: the test would not be one.")
        return found


def survey(plan: Plan, feed: Feed, tell: Tell = lambda split, done, of: None) -> Survey:
    """Look at every sample of a recipe's data.

    Args:
        plan: The resolved recipe.
        feed: Of the same plan.
        tell: Told of progress.
    """
    splits: list[SplitFacts] = []
    seen: dict[bytes, int] = {}
    overlap: list[tuple[int, int]] = []
    names: tuple[Split, ...] = ("train", "test")
    for split in names:
        if split not in plan.signature.sizes:
            continue
        facts, seen, overlap = _split(plan, feed.reader(split), split, seen, tell)
        splits.append(facts)
    named = [(name_of(feed.reader("test"), a), name_of(feed.reader("train"), b)) for a, b in overlap[:LISTED]]
    return Survey(splits, len(overlap), named, plan.signature.notes)


def name_of(reader: Reader, row: int) -> str:
    """What a sample is called: its file where it has one, else its number."""
    name = getattr(reader, "name", None)
    return str(row) if name is None else str(name(row))


def _split(
    plan: Plan, reader: Reader, split: Split, others: Mapping[bytes, int], tell: Tell
) -> tuple[SplitFacts, dict[bytes, int], list[tuple[int, int]]]:
    """What a split holds, the first row of each content, and every row that ``others`` have too, each with theirs."""
    signature = plan.signature
    facts = SplitFacts(split, len(reader))
    moments, missing = Moments(), np.zeros(signature.input.shape[-1] if signature.input.shape else 1, np.int64)
    digests: dict[bytes, int] = {}
    shared: list[tuple[int, int]] = []
    encoded: Callable[[int], bytes] | None = getattr(reader, "encoded", None)
    for rows, x in _blocks(reader, facts):
        values = x.reshape(-1, x.shape[-1]).astype(np.float64)
        moments.add(values)
        missing += np.isnan(values).sum(0)
        for row, sample in zip(rows.tolist(), x, strict=True):
            digest = blake2b(np.ascontiguousarray(sample).tobytes(), digest_size=16).digest()
            first = digests.setdefault(digest, row)
            if first != row:
                _note_duplicate(facts, reader, row, first)
            if digest in others:
                shared.append((row, others[digest]))
            if encoded is not None and (size := picture_size(encoded(row))) is not None:
                said = f"{size[0]}x{size[1]}"
                facts.sizes[said] = facts.sizes.get(said, 0) + 1
        tell(split, int(rows[-1]) + 1, len(reader))
    facts.sizes = dict(sorted(facts.sizes.items(), key=lambda item: -item[1]))
    _count_classes(plan, reader, facts)
    names = [c.name for c in signature.columns] or [f"channel {i + 1}" for i in range(len(missing))]
    if moments.mean.shape:
        numbers = (moments.low, moments.high, moments.mean, moments.std)
        for i, name in enumerate(names):
            low, high, mean, std = (float(v[i]) for v in numbers)
            facts.channels.append(
                {"name": name, "low": low, "high": high, "mean": mean, "std": std, "missing": int(missing[i])}
            )
    return facts, digests, shared


def _blocks(reader: Reader, facts: SplitFacts) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Samples that can be read, with their numbers; the others are counted."""
    for start in range(0, len(reader), _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, len(reader)))
        try:
            yield rows, reader.take(rows)
        except DlrunError:
            for row in rows:
                one = np.array([row])
                try:
                    yield one, reader.take(one)
                except DlrunError as error:
                    facts.unreadable += 1
                    if len(facts.unreadable_named) < LISTED:
                        facts.unreadable_named.append(error.message)


def _note_duplicate(facts: SplitFacts, reader: Reader, row: int, first: int) -> None:
    facts.duplicates += 1
    if not np.array_equal(reader.y[row], reader.y[first]):
        facts.conflicts += 1
    if len(facts.duplicates_named) < LISTED:
        facts.duplicates_named.append((name_of(reader, row), name_of(reader, first)))


def _count_classes(plan: Plan, reader: Reader, facts: SplitFacts) -> None:
    signature = plan.signature
    if signature.classes is None:
        return
    y = reader.y.reshape(-1)
    if signature.ignore_label is not None:
        y = y[y != signature.ignore_label]
    inside = (y >= 0) & (y < signature.classes)
    facts.unlabelled = int((~inside).sum())
    counts = np.bincount(y[inside], minlength=signature.classes)
    names = signature.class_names or tuple(str(i) for i in range(signature.classes))
    facts.classes = dict(zip(names, counts.tolist(), strict=True))
