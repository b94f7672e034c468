"""``keras.Model.fit`` on arrays in memory, 100 steps per execution, with its progress bar and checkpoints.

``jit_compile=False``: Keras would choose XLA by itself, which is slower here on a CPU.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras  # noqa: E402
from workload import BATCH, EVAL_BATCH, RATE, Stopwatch, arguments, load  # noqa: E402

args = arguments()
data = load(args.model, args.batches)
dense, conv = keras.layers.Dense, keras.layers.Conv2D
head = [keras.layers.Flatten(), dense(128, activation="relu")]
if args.model == "mlp":
    layers = [*head, dense(10)]
else:
    body = [conv(32, 3, activation="relu"), conv(64, 3, activation="relu"), keras.layers.MaxPooling2D(2)]
    layers = [*body, *head, keras.layers.Dropout(0.5), dense(10)]
model = keras.Sequential([keras.Input((28, 28, 1)), *layers])
model.compile(
    optimizer=keras.optimizers.Adam(RATE),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
    steps_per_execution=100,
    jit_compile=False,
)
watch = Stopwatch(len(data.x))


class Timer(keras.callbacks.Callback):
    """Notes the end of each epoch, which comes after its validation."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        watch.epoch((logs or {})["val_accuracy"])


with tempfile.TemporaryDirectory() as folder:
    model.fit(
        data.x,
        data.y,
        batch_size=BATCH,
        epochs=args.epochs,
        validation_data=(data.x_val, data.y_val),
        validation_batch_size=EVAL_BATCH,
        callbacks=[keras.callbacks.ModelCheckpoint(Path(folder) / "{epoch}.keras"), Timer()],
    )
print()
watch.report("keras fit")
