"""Files of a public model repository, over plain HTTPS, checked against their SHA-256. Nothing in them is executed."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from dlrun.data.download import TIMEOUT_S, fetch
from dlrun.data.published import PublishedFile, cache_folder
from dlrun.errors import DlrunError, RunError
from dlrun.graph.pretrained import Hub

ENDPOINT = "https://huggingface.co"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_REPO = re.compile(r"[\w.-]+(/[\w.-]+)?")


def cached(hub: Hub) -> Path | None:
    """The file, if it has been fetched before.

    Raises:
        DlrunError: ``invalid-hub``.
    """
    _check(hub)
    path = _folder(hub) / Path(hub.file).name
    return path if path.is_file() else None


def obtain(hub: Hub, *, download: bool = True) -> tuple[Path, str]:
    """The file, fetched if need be and allowed, and its SHA-256.

    ``HF_ENDPOINT`` names another server with the same paths.

    Raises:
        DlrunError: ``invalid-hub``, ``missing-weights``, ``wrong-checksum``.
        RunError: ``download-failed``, ``disk-full``.
    """
    path = cached(hub)
    if path is None:
        if not download:
            raise DlrunError(
                "missing-weights",
                f"`{hub.file}` of {hub.repo} has not been fetched yet, and downloading is off.",
                path=("model", "weights", "hub"),
                hint="Set `data.download=true`, or name a file you have: `weights: {file: …}`.",
            )
        path = _fetch(hub)
    digest = sha256_of(path)
    if hub.sha256 is not None and digest != hub.sha256.lower():
        raise DlrunError(
            "wrong-checksum",
            f"`{path}` has the SHA-256 `{digest}`, but the recipe says {hub.sha256}.",
            path=("model", "weights", "hub", "sha256"),
            hint="Delete it to have it fetched again, or correct the recipe.",
        )
    return path, digest


def sha256_of(path: Path) -> str:
    """SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check(hub: Hub) -> None:
    parts = hub.file.split("/")
    wrong = (
        ("repo", hub.repo)
        if not _REPO.fullmatch(hub.repo) or ".." in hub.repo
        else ("file", hub.file)
        if not all(re.fullmatch(r"[\w.+-]+", p) and p.strip(".") for p in parts)
        else ("revision", hub.revision)
        if not re.fullmatch(r"[\w.-]+(/[\w.-]+)*", hub.revision) or ".." in hub.revision
        else ("sha256", hub.sha256)
        if hub.sha256 is not None and not _SHA256.fullmatch(hub.sha256.lower())
        else None
    )
    if wrong is not None:
        raise DlrunError(
            "invalid-hub",
            f"`{wrong[1]}` cannot be the `{wrong[0]}` of a hub's file.",
            path=("model", "weights", "hub", wrong[0]),
            hint="Write `repo: owner/name`, `file: model.safetensors`, and a branch, tag or commit as `revision`.",
        )


def _folder(hub: Hub) -> Path:
    return cache_folder("hub") / hub.repo / hub.revision / Path(hub.file).parent


def _fetch(hub: Hub) -> Path:
    base = f"{os.environ.get('HF_ENDPOINT') or ENDPOINT}/{hub.repo}/resolve/{hub.revision}/"
    parent, _, name = hub.file.rpartition("/")
    base += f"{parent}/" if parent else ""
    size, published = _ask(base + name, hub)
    file = PublishedFile(
        dataset=f"hub/{hub.repo}",
        name=name,
        mirrors=(base,),
        size=size,
        md5="",
        unpacked_name=name,
        unpacked_md5="",
        sha256=hub.sha256.lower() if hub.sha256 else published,
    )
    return fetch(file, _folder(hub))


def _ask(url: str, hub: Hub) -> tuple[int, str]:
    """Size and SHA-256 as the hub publishes them; the latter empty where it does not."""
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    try:
        request = Request(url, method="HEAD", headers={"User-Agent": "dlrun", "Accept-Encoding": "identity"})
        with urlopen(request, timeout=TIMEOUT_S) as response:
            headers = response.headers
    except HTTPError as error:
        error.close()
        why, hint = f"HTTP {error.code} {error.reason}", "Check the repository, the file and the revision."
        if error.code in (401, 403):
            hint = "The repository may be private or ask for consent; fetch the file yourself: `weights: {file: …}`."
        raise _failed(hub, url, why, hint) from None
    except (HTTPException, OSError, ValueError) as error:
        why = str(getattr(error, "reason", error))
        raise _failed(hub, url, why, "Try again, or name a file you have: `weights: {file: …}`.") from None
    size = headers.get("X-Linked-Size") or headers.get("Content-Length")
    tag = (headers.get("X-Linked-Etag") or headers.get("ETag") or "").strip('W/"')
    if size is None or not size.isdigit():
        raise _failed(hub, url, "the server does not say the file's size", "Fetch the file yourself.")
    return int(size), tag if _SHA256.fullmatch(tag) else ""


def _failed(hub: Hub, url: str, why: str, hint: str) -> RunError:
    return RunError(
        "download-failed",
        f"`{hub.file}` of {hub.repo} could not be downloaded: {url}: {why}.",
        path=("model", "weights", "hub"),
        hint=hint,
    )
