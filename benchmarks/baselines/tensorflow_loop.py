"""The best plain TensorFlow loop we know: an epoch is one graph over resident data, with the raw fused Adam kernel."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from workload import BATCH, EVAL_BATCH, RATE, Stopwatch, arguments, load

args = arguments()
data = load(args.model, args.batches)
random = np.random.default_rng(0)


def weight(*shape: int) -> tf.Variable:
    """Glorot uniform, or zeros for a bias."""
    fan = np.prod(shape[:-2]) * (shape[-2] + shape[-1]) if len(shape) > 1 else 1
    limit = np.sqrt(6 / fan) if len(shape) > 1 else 0
    return tf.Variable(random.uniform(-limit, limit, shape).astype(np.float32))


if args.model == "mlp":
    weights = [weight(784, 128), weight(128), weight(128, 10), weight(10)]

    def forward(x: tf.Tensor, training: bool) -> tf.Tensor:
        w1, b1, w2, b2 = weights
        return tf.nn.bias_add(tf.matmul(tf.nn.relu(tf.nn.bias_add(tf.matmul(x, w1), b1)), w2), b2)
else:
    shapes = [(3, 3, 1, 32), (32,), (3, 3, 32, 64), (64,), (64 * 12 * 12, 128), (128,), (128, 10), (10,)]
    weights = [weight(*s) for s in shapes]

    def forward(x: tf.Tensor, training: bool) -> tf.Tensor:
        k1, b1, k2, b2, w3, b3, w4, b4 = weights
        h = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, k1, 1, "VALID"), b1))
        h = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(h, k2, 1, "VALID"), b2))
        h = tf.reshape(tf.nn.max_pool2d(h, 2, 2, "VALID"), (-1, 64 * 12 * 12))
        h = tf.nn.relu(tf.nn.bias_add(tf.matmul(h, w3), b3))
        h = tf.nn.dropout(h, 0.5) if training else h
        return tf.nn.bias_add(tf.matmul(h, w4), b4)


shape = (-1, 784) if args.model == "mlp" else (-1, 28, 28, 1)
x, y = tf.constant(data.x.reshape(shape)), tf.constant(data.y)
x_val, y_val = tf.constant(data.x_val.reshape(shape)), tf.constant(data.y_val)
moments = [(tf.Variable(tf.zeros_like(w)), tf.Variable(tf.zeros_like(w))) for w in weights]
updates = tf.Variable(0.0)
samples, steps = len(data.x), -(-len(data.x) // BATCH)


@tf.function(autograph=False)
def epoch() -> tf.Tensor:
    """All updates of an epoch; returns the mean loss."""
    order = tf.random.shuffle(tf.range(samples))

    def step(i: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        rows = order[i * BATCH : (i + 1) * BATCH]
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
                tf.gather(y, rows), forward(tf.gather(x, rows), True)
            )
            loss = tf.reduce_mean(losses)
        t = updates.assign_add(1.0)
        for w, (m, v), g in zip(weights, moments, tape.gradient(loss, weights), strict=True):
            tf.raw_ops.ResourceApplyAdam(
                var=w.handle,
                m=m.handle,
                v=v.handle,
                grad=g,
                lr=RATE,
                epsilon=1e-8,
                beta1=0.9,
                beta2=0.999,
                beta1_power=0.9**t,
                beta2_power=0.999**t,
            )
        return i + 1, total + tf.reduce_sum(losses)

    start = (tf.constant(0), tf.constant(0.0))
    _, total = tf.while_loop(lambda i, _: i < steps, step, start, parallel_iterations=1)
    return total / samples


@tf.function(autograph=False)
def accuracy() -> tf.Tensor:
    """Share of validation samples that are right."""
    hits = tf.constant(0, tf.int64)
    for i in range(0, len(data.x_val), EVAL_BATCH):
        found = tf.argmax(forward(x_val[i : i + EVAL_BATCH], False), axis=1)
        hits += tf.reduce_sum(tf.cast(found == y_val[i : i + EVAL_BATCH], tf.int64))
    return hits / len(data.x_val)


watch = Stopwatch(samples)
for _ in range(args.epochs):
    epoch().numpy()
    watch.epoch(float(accuracy()))
watch.report("tensorflow loop")
