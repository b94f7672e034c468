"""What a data set holds, looked at sample by sample before anything is trained on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np

from dlrun.data.feed import Feed
from dlrun.data.fitting import Moments
from dlrun.data.images import picture_size
from dlrun.data.source import Column, Reader, Split
from dlrun.data.wording import counted
from dlrun.errors import DlrunError
from dlrun.plan import Plan

_BLOCK, _VALUES = 256, 1 << 22
"""How many samples are looked at together, and values at most; they take some copies of 8 bytes each."""
LISTED = 1000
"""How many pairs of equal samples are named; all of them are counted."""
_NAMED = 20
"""How many classes or columns a sentence names."""
_FREQUENT = 5
"""How many categories of a column are named."""

Tell = Callable[[str, int, int], None]
"""Told of progress: which split, samples done, samples in all."""
Pairs = list[tuple[str, str]]


@dataclass
class SplitFacts:
    """What one split holds.

    Args:
        name: ``train`` or ``test``.
        samples: How many.
        classes: Samples per class by name, where there are classes.
        unlabelled: Labels that are no class.
        sizes: Samples per original picture size, e.g. ``640x480``, where samples are picture files.
        channels: Per channel or column of numbers: ``name``, ``low``, ``high``, ``mean``, ``std``, ``missing``.
        categories: Per column of categories: ``name``, ``categories`` (how many the training file has, or how many
            hashes there are), ``missing``, ``unknown`` (values that the training file has not), and the most
            ``frequent``, samples by category.
        left_out: What the source leaves out, each with the reason, where it names that.
        unreadable: How many samples could not be read.
        unreadable_named: What is wrong with each of them.
        duplicates: How many samples are equal to an earlier one of the split.
        duplicates_named: The first of them, each with the earlier one.
        conflicts: How many of them have another label than the earlier one.
        conflicts_named: The first of these, each with the earlier one.
    """

    name: str
    samples: int
    classes: dict[str, int] = field(default_factory=dict)
    unlabelled: int = 0
    sizes: dict[str, int] = field(default_factory=dict)
    channels: list[dict[str, Any]] = field(default_factory=list)
    categories: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    unreadable: int = 0
    unreadable_named: list[str] = field(default_factory=list)
    duplicates: int = 0
    duplicates_named: Pairs = field(default_factory=list)
    conflicts: int = 0
    conflicts_named: Pairs = field(default_factory=list)


@dataclass(frozen=True)
class Problem:
    """What a user should look at before training.

    Args:
        text: One sentence.
        count: Of how many samples, where they have names.
        named: Some of these, or all.
    """

    text: str
    count: int = 0
    named: Sequence[str] = ()


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
    overlap_named: Pairs = field(default_factory=list)
    notes: tuple[str, ...] = ()

    @property
    def problems(self) -> list[Problem]:
        """What a user should look at before training."""
        found = [problem for split in self.splits for problem in _problems(split)]
        if self.overlap:
            are = "are" if self.overlap > 1 else "is"
            said = f"{counted(self.overlap, 'sample')} of `test` {are} also in `train`: the test would not be one."
            found.append(Problem(said, self.overlap, _equal(self.overlap_named)))
        return found


def _problems(s: SplitFacts) -> list[Problem]:
    found = []
    if s.unreadable:
        said = f"{counted(s.unreadable, 'sample')} of `{s.name}` cannot be read."
        found.append(Problem(said, s.unreadable, s.unreadable_named))
    if s.unlabelled:
        is_none = "is no class" if s.unlabelled == 1 else "are no class"
        found.append(Problem(f"{counted(s.unlabelled, 'label')} of `{s.name}` {is_none}."))
    if s.duplicates:
        are = "are" if s.duplicates > 1 else "is"
        said = f"{counted(s.duplicates, 'sample')} of `{s.name}` {are} equal to another one of it."
        found.append(Problem(said, s.duplicates, _equal(s.duplicates_named)))
    if s.conflicts:
        have = "have" if s.conflicts > 1 else "has"
        said = f"{s.conflicts:,} of these {have} another label than the sample that it is equal to."
        found.append(Problem(said, s.conflicts, _equal(s.conflicts_named)))
    if empty := [name for name, count in s.classes.items() if not count]:
        said = f"`{s.name}` has no sample of {counted(len(empty), 'class', 'classes')}: {_quoted(empty)}."
        found.append(Problem(said))
    if missing := [c["name"] for c in (*s.channels, *s.categories) if c["missing"]]:
        found.append(Problem(f"values of `{s.name}` are missing in {_quoted(missing)}."))
    if s.name == "train":
        constant = [c["name"] for c in s.channels if c["low"] == c["high"] and not c["missing"]]
        constant += [c["name"] for c in s.categories if len(c["frequent"]) == 1 and not c["missing"]]
        if constant:
            have = "has" if len(constant) == 1 else "have"
            found.append(Problem(f"{_quoted(constant)} {have} the same value in all training samples."))
        for names in _alike(s.classes):
            found.append(Problem(f"the classes {_quoted(names)} differ only in case or blanks."))
    return found


def _alike(names: Iterable[str]) -> list[list[str]]:
    """Names that are the same but for case and blanks."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault("".join(name.split()).casefold(), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def _quoted(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(f"`{name}`" for name in names[:_NAMED]) + more


def _equal(pairs: Pairs) -> list[str]:
    return [f"`{name}` equals `{other}`" for name, other in pairs]


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
    facts = SplitFacts(split, len(reader), left_out=list(getattr(reader, "left_out", ())))
    moments, missing = Moments(), np.zeros(signature.input.shape[-1] if signature.input.shape else 1, np.int64)
    ids = {i: np.zeros(column.ids, np.int64) for i, column in enumerate(signature.columns) if column.ids}
    digests: dict[bytes, int] = {}
    shared: list[tuple[int, int]] = []
    encoded: Callable[[int], bytes] | None = getattr(reader, "encoded", None)
    for rows, x in _blocks(reader, facts, signature.input.size):
        values = x.reshape(-1, x.shape[-1]).astype(np.float64)
        moments.add(values)
        missing += np.isnan(values).sum(0)
        for i, counts in ids.items():
            counts += np.bincount(values[:, i].astype(np.int64), minlength=len(counts))
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
    unknown: Mapping[str, int] = getattr(reader, "unknown", {})
    for i, counts in ids.items():
        column = signature.columns[i]
        facts.categories.append(_categories(column, counts, unknown.get(column.name, 0)))
    names = [c.name for c in signature.columns] or [f"channel {i + 1}" for i in range(len(missing))]
    if moments.mean.shape:
        numbers = (moments.low, moments.high, moments.mean, moments.std)
        for i, name in enumerate(names):
            if i not in ids:
                low, high, mean, std = (float(v[i]) for v in numbers)
                facts.channels.append(
                    {"name": name, "low": low, "high": high, "mean": mean, "std": std, "missing": int(missing[i])}
                )
    return facts, digests, shared


def _categories(column: Column, counts: np.ndarray, unknown: int) -> dict[str, Any]:
    """What a column of categories holds; ``counts`` (ids,) of its ids, of which 0 is a missing or unknown one."""
    first = [i for i in np.argsort(-counts[1:], kind="stable")[:_FREQUENT].tolist() if counts[i + 1]]
    names = {i: f"#{i + 1}" if column.buckets else (column.categories or ())[i] for i in first}
    return {
        "name": column.name,
        "categories": len(counts) - 1,
        "missing": int(counts[0]) - unknown,
        "unknown": unknown,
        "frequent": {names[i]: int(counts[i + 1]) for i in first},
    }


def _blocks(reader: Reader, facts: SplitFacts, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Samples of so many values that can be read, with their numbers; the others are counted."""
    count = min(_BLOCK, max(1, _VALUES // size))
    for start in range(0, len(reader), count):
        rows = np.arange(start, min(start + count, len(reader)))
        try:
            yield rows, reader.take(rows)
        except DlrunError:
            for row in rows:
                one = np.array([row])
                try:
                    yield one, reader.take(one)
                except DlrunError as error:
                    facts.unreadable += 1
                    facts.unreadable_named.append(error.message)


def _note_duplicate(facts: SplitFacts, reader: Reader, row: int, first: int) -> None:
    pair = (name_of(reader, row), name_of(reader, first))
    facts.duplicates += 1
    if facts.duplicates <= LISTED:
        facts.duplicates_named.append(pair)
    if not np.array_equal(reader.y[row], reader.y[first]):
        facts.conflicts += 1
        if facts.conflicts <= LISTED:
            facts.conflicts_named.append(pair)


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
