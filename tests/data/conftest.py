"""Plans over any data source, and a real HTTP server that misbehaves on request."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from dlrun.data.source import Source
from dlrun.data.transforms import transforms
from dlrun.graph import LayerList
from dlrun.layers.linear import Dense
from dlrun.layers.shape import Flatten
from dlrun.losses import Loss, losses
from dlrun.optimizers import optimizers
from dlrun.plan import Plan
from dlrun.recipe import Data, Recipe
from dlrun.resolve import resolve
from dlrun.schedules import schedules


@pytest.fixture
def plan_of() -> Callable[..., Plan]:
    """``plan_of(source, seed=…, precision=…, **data_fields)``: a linear model's plan."""

    def make(
        source: Source,
        *,
        seed: int = 0,
        precision: Any = "float32",
        units: int | None = None,
        loss: Loss | None = None,
        **data: Any,
    ) -> Plan:
        data.setdefault("preprocess", (transforms.get("normalize")(mean=0.25, std=0.5),))
        loss = loss or losses.get("mse" if units else "softmax_cross_entropy")()
        return resolve(
            Recipe(
                name="t",
                task="regression" if units else "classification",
                data=Data(source=source, **data),
                model=LayerList(layers=(Flatten(), Dense(units=units))),
                loss=loss,
                metrics=(),
                optimizer=optimizers.get("sgd")(learning_rate=0.1),
                schedule=schedules.get("constant")(),
                seed=seed,
                precision=precision,
            )
        )

    return make


class Mirror:
    """A loopback server; the first folder of a URL says how it behaves, the last part names the file."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.requests: list[tuple[str, str | None]] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self))
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def url(self, behaviour: str) -> str:
        """Base URL.

        ``good``, ``cut`` (half, then closes), ``no-range``, ``garbage``, ``page``, ``none``, ``strict`` (416 for what
        lies behind the end), ``no-length``.
        """
        return f"http://127.0.0.1:{self.server.server_port}/{behaviour}/"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, mirror: Mirror, *args: Any) -> None:
        self.mirror = mirror
        super().__init__(*args)

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.mirror.requests.append((self.path, asked))
        behaviour, name = self.path.split("/")[1], self.path.rsplit("/", 1)[1]
        data = self.mirror.files[name]
        if behaviour == "none":
            return self.send_error(404)
        if behaviour == "page":
            data, asked = b"<html>please log in</html>", None
        if behaviour == "garbage":
            data = bytes(len(data))
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and "no-range" not in behaviour else 0
        if behaviour == "strict" and start >= len(data):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(data)}")
            return self.end_headers()
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        if behaviour != "no-length":
            self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        rest = data[start:]
        if behaviour.startswith("cut"):
            rest = rest[: (len(rest) + 1) // 2] if len(rest) > 1000 else rest
        self.wfile.write(rest)
        return None


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[dict[str, bytes]], Mirror]]:
    """``mirror(files)`` starts a server of these files."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    running: list[Mirror] = []

    def start(files: dict[str, bytes]) -> Mirror:
        running.append(Mirror(files))
        return running[-1]

    yield start
    for server in running:
        server.close()
