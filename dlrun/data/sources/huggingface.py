"""Images in data sets of the Hugging Face ``datasets`` library."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dlrun.data.images import decode_images
from dlrun.data.pictures import Pictures
from dlrun.data.source import Place, Reader, Signature, Split, sources
from dlrun.errors import DlrunError, did_you_mean
from dlrun.graph.tensor import TensorType

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict


@sources("huggingface")
class HuggingFace(Pictures):
    """Images and class labels of a Hugging Face data set; ``datasets`` must be installed (the extra ``huggingface``).

    ``dataset`` is a folder that ``save_to_disk`` wrote, a folder of Parquet files (``train*.parquet``, or in a folder
    ``data``), each relative to ``data.root`` or the working folder; else a name on the hub, which ``datasets``
    downloads and keeps where it always does. Code that a data set brings is never run. Samples stay on disk and
    are read when their turn comes; images become as those of ``image_folder`` do.

    Args:
        dataset: The folder, or the name on the hub: ``owner/name``.
        config: Which of several configurations that the data set has.
        revision: Commit, branch or tag on the hub.
        train: Name of the split to train on.
        test: Name of the split to test on, or none.
        image: Column of images.
        label: Column of labels: classes, ids from 0, or texts, which become ids in sorted order. Names of classes
            mean in every split what they mean in the training split, whatever their order.
    """

    known_as = ("hf", "datasets")

    dataset: str
    config: str | None = None
    revision: str | None = None
    train: str = "train"
    test: str | None = "test"
    image: str = "image"
    label: str = "label"

    def signature(self, place: Place) -> Signature:
        train = self._split("train", place)
        names = self._names(place)
        highest = int(self._ids("train", train, names).max())
        sizes = {"train": len(train)}
        if self.test is not None and len(test := self._split("test", place)):
            sizes["test"] = len(test)
            highest = max(highest, int(self._ids("test", test, names).max()))
        known = place.classes
        if known is not None and highest >= known:
            raise _wrong("label-out-of-range", f"there is the label `{highest}`; a run knows 0 to {known - 1}", "label")
        return Signature(
            input=TensorType(self.shape),
            target=TensorType((), "int"),
            classes=(known or highest + 1) if names is None else len(names),
            class_names=names,
            sizes=sizes,
            scale=1 / 255,
        )

    def open(self, split: Split, place: Place) -> Reader:
        rows = self._split(split, place)
        return _Images(self, rows, self._ids(split, rows, self._names(place)))

    def _split(self, split: Split, place: Place) -> Dataset:
        """A split, its columns checked; nothing is read."""
        name = self.train if split == "train" else self.test
        if name is None:
            raise _wrong("missing-split", "`data.source.test` names no split", "test")
        found = _opened(self.dataset, self.config, self.revision, place.root, place.download)
        if name not in found:
            hint = did_you_mean(name, found) + (" Write `test: null` if there is none." if split == "test" else "")
            raise _wrong("missing-split", f"`{self.dataset}` has no split `{name}`", split, hint)
        from datasets import Image

        rows = found[name]
        for field in ("image", "label"):
            column = getattr(self, field)
            if column not in rows.column_names:
                hint = did_you_mean(column, rows.column_names)
                raise _wrong("missing-column", f"`{self.dataset}` has no column `{column}`", field, hint)
        if not isinstance(rows.features[self.image], Image):
            said = f"the column `{self.image}` of `{self.dataset}` holds `{rows.features[self.image]}`, not images"
            images = [c for c, f in rows.features.items() if isinstance(f, Image)]
            raise _wrong("wrong-column", said, "image", did_you_mean(self.image, images))
        return rows

    def _names(self, place: Place) -> tuple[str, ...] | None:
        """Names of the classes, if labels have any."""
        if place.known is not None:
            return place.known.class_names
        train = self._split("train", place)
        from datasets import ClassLabel

        feature = train.features[self.label]
        if isinstance(feature, ClassLabel):
            return tuple(feature.names)
        values = _values(train, self.label)
        return tuple(sorted(set(values.tolist()))) if values.dtype.kind in "UT" else None

    def _ids(self, split: Split, rows: Dataset, names: tuple[str, ...] | None) -> np.ndarray:
        """Class id of every sample, int64 (N,). Where a split names its classes, names say which they are, not ids."""
        from datasets import ClassLabel

        values, feature = _values(rows, self.label), rows.features[self.label]
        if values.dtype.kind in "iub":
            own = feature.names if isinstance(feature, ClassLabel) else None
            _check_range(split, values, own or names)
            if names is None or own is None:
                return values.astype(np.int64)
            values = np.array(own)[values]
        if names is None or values.dtype.kind not in "UT":
            said = f"the column `{self.label}` of the {split} split holds `{feature}`"
            raise _wrong("wrong-label", f"{said}, some of them missing or no class ids", "label")
        ids = {name: i for i, name in enumerate(names)}
        if unknown := sorted(set(values.tolist()) - set(ids)):
            said = f"the label `{unknown[0]}` of the {split} split is none of the classes of the training split"
            raise _wrong("unknown-class", said, "label", did_you_mean(unknown[0], names))
        return np.array([ids[v] for v in values.tolist()], np.int64)


def _check_range(split: Split, values: np.ndarray, names: Sequence[str] | None) -> None:
    low, high = (int(values.min()), int(values.max())) if len(values) else (0, 0)
    if low < 0:
        said = f"the {split} split has the label `{low}`; class ids begin at 0"
        raise _wrong("label-out-of-range", said, "label", "-1 marks samples without a label: choose another split.")
    if names is not None and len(values) and high >= len(names):
        said = f"the {split} split has the label `{high}`; ids of {len(names)} classes go to {len(names) - 1}"
        raise _wrong("label-out-of-range", said, "label")


class _Images:
    """Images of a split, decoded when taken."""

    def __init__(self, source: HuggingFace, rows: Dataset, y: np.ndarray) -> None:
        from datasets import Image

        self._source = source
        self.y = y
        self._rows = rows.select_columns([source.image]).cast_column(source.image, Image(decode=False))

    def __len__(self) -> int:
        return len(self.y)

    def name(self, row: int) -> str:
        """The data set and a sample's number there, and its file's name where it has one."""
        path = self._rows[row][self._source.image]["path"]
        return f"{self._source.dataset}[{row}]" + (f" ({path})" if path else "")

    def encoded(self, row: int) -> bytes:
        """A sample's image file."""
        return _bytes(self._rows[row][self._source.image])

    def take(self, rows: np.ndarray) -> np.ndarray:
        taken: list[dict[str, Any] | None] = self._rows[rows.tolist()][self._source.image] if len(rows) else []

        def fetch(number: int) -> tuple[bytes, str]:
            return _bytes(taken[number]), f"{self._source.dataset}[{rows[number]}]"

        try:
            return decode_images(len(rows), fetch, self._source.shape, self._source.fit)
        except DlrunError as error:
            error.path, error.hint = ("data", "source"), "Filter it out with `datasets` and save the data set."
            raise


def _bytes(image: dict[str, Any] | None) -> bytes:
    """An image file; none where a row has none."""
    if image is None:
        return b""
    data: bytes | None = image["bytes"]
    return Path(image["path"]).read_bytes() if data is None else data


def _values(rows: Dataset, column: str) -> np.ndarray:
    values = np.asarray(rows.select_columns([column]).with_format("numpy")[:][column])
    if values.dtype.kind == "O" and all(isinstance(v, str) for v in values):
        return values.astype(str)
    return values


@lru_cache(maxsize=4)
def _opened(name: str, config: str | None, revision: str | None, root: str | None, download: bool) -> DatasetDict:
    """Every split of a data set by name, in files that stay on disk.

    Raises:
        DlrunError: ``missing-library``, ``missing-data`` or ``wrong-dataset``.
    """
    folder = _folder(name, root)
    if folder is None and not download:
        os.environ["HF_HUB_OFFLINE"] = "1"  # read when the library is imported
    try:
        import datasets
    except ImportError as error:
        raise DlrunError(
            "missing-library",
            "`source: huggingface` is read by `datasets`, which is not installed.",
            path=("data", "source"),
            hint="Install it: pip install 'dlrun[huggingface]'",
        ) from error
    try:
        if folder is None:
            return datasets.load_dataset(name, config, revision=revision)
        datasets.disable_progress_bars()
        try:
            return _from_folder(folder)
        finally:
            datasets.enable_progress_bars()
    except DlrunError:
        raise
    except Exception as error:  # the library raises almost anything, and says in words what it is
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        missing = isinstance(error, OSError) and folder is None
        raise DlrunError(
            "missing-data" if missing else "wrong-dataset",
            f"`{name}` cannot be opened: {reason}.",
            path=("data", "source", "dataset"),
            hint="A folder stands below `data.root`, or the working folder; a name on the hub is `owner/name`.",
        ) from error


def _folder(name: str, root: str | None) -> Path | None:
    bases = [root] if root else [os.curdir, os.environ.get("DLRUN_DATA")]
    folders = [Path(base).expanduser() / Path(name).expanduser() for base in bases if base]
    return next((f for f in folders if f.is_dir()), None)


def _from_folder(folder: Path) -> DatasetDict:
    from datasets import DatasetDict, load_dataset, load_from_disk

    if (folder / "dataset_dict.json").exists():
        return load_from_disk(str(folder))
    if (folder / "dataset_info.json").exists():
        return DatasetDict({"train": load_from_disk(str(folder))})
    for place in (folder, folder / "data"):
        files: dict[str, list[str]] = {}
        for path in sorted(place.glob("*.parquet")):
            files.setdefault(path.stem.split("-")[0], []).append(str(path))
        if files:
            return load_dataset("parquet", data_files=files)
    raise DlrunError(
        "wrong-dataset",
        f"`{folder}` is neither what `save_to_disk` wrote nor a folder of Parquet files.",
        path=("data", "source", "dataset"),
        hint="Parquet files are called by their split: `train.parquet`, `train-00000-of-00002.parquet`.",
    )


def _wrong(code: str, message: str, field: str, hint: str | None = None) -> DlrunError:
    return DlrunError(code, f"{message}.", path=("data", "source", field), hint=hint)
