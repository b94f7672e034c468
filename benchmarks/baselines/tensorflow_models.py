"""ResNet-18, a two-layer LSTM and a small transformer written by hand in TensorFlow, with the best plain training step.

Operations and variables, no Keras: batch normalisation is the fused kernel, an LSTM projects all its inputs in one
product before its loop, and a call runs its steps in one graph with the fused Adam kernel.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

Forward = Callable[[tf.Tensor], tf.Tensor]


class Weights:
    """Makes variables and remembers those that are trained."""

    def __init__(self) -> None:
        self.trained: list[tf.Variable] = []
        self._random = np.random.default_rng(0)

    def normal(self, *shape: int) -> tf.Variable:
        """A kernel."""
        fan_in = np.prod(shape[:-1])
        self.trained.append(tf.Variable((self._random.standard_normal(shape) / np.sqrt(fan_in)).astype(np.float32)))
        return self.trained[-1]

    def full(self, value: float, *shape: int, trained: bool = True) -> tf.Variable:
        """A bias, a scale or a running statistic."""
        variable = tf.Variable(np.full(shape, value, np.float32), trainable=trained)
        if trained:
            self.trained.append(variable)
        return variable


def resnet18(weights: Weights, classes: int) -> Forward:
    """The ImageNet form at 32 x 32: a 7 x 7 stem, pooling, four stages of two blocks."""

    def conv(k: int, before: int, filters: int, stride: int) -> Forward:
        kernel, p = weights.normal(k, k, before, filters), k // 2
        if stride == 1 or not p:
            return lambda x: tf.nn.conv2d(x, kernel, stride, "SAME" if p else "VALID")
        # added apart: with explicit padding as its argument the convolution is ten times slower on a CPU
        return lambda x: tf.nn.conv2d(tf.pad(x, [[0, 0], [p, p], [p, p], [0, 0]]), kernel, stride, "VALID")

    def norm(channels: int) -> Forward:
        scale, shift = weights.full(1, channels), weights.full(0, channels)
        mean, variance = weights.full(0, channels, trained=False), weights.full(1, channels, trained=False)

        def apply(x: tf.Tensor) -> tf.Tensor:
            y, m, v, *_ = tf.raw_ops.FusedBatchNormV3(
                x=x, scale=scale, offset=shift, mean=mean, variance=variance, epsilon=1e-5, exponential_avg_factor=0.1
            )
            mean.assign(m)
            variance.assign(v)
            return y

        return apply

    def block(before: int, filters: int, stride: int) -> Forward:
        first, n1 = conv(3, before, filters, stride), norm(filters)
        second, n2 = conv(3, filters, filters, 1), norm(filters)
        if stride == 1 and before == filters:
            return lambda x: tf.nn.relu(n2(second(tf.nn.relu(n1(first(x))))) + x)
        across, n3 = conv(1, before, filters, stride), norm(filters)
        return lambda x: tf.nn.relu(n2(second(tf.nn.relu(n1(first(x))))) + n3(across(x)))

    stem, n = conv(7, 3, 64, 2), norm(64)
    blocks, before = [], 64
    for filters, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        blocks += [block(before, filters, stride), block(filters, filters, 1)]
        before = filters
    kernel, bias = weights.normal(512, classes), weights.full(0, classes)

    def forward(x: tf.Tensor) -> tf.Tensor:
        x = tf.nn.max_pool2d(tf.nn.relu(n(stem(x))), 3, 2, [[0, 0], [1, 1], [1, 1], [0, 0]])
        for part in blocks:
            x = part(x)
        return tf.nn.bias_add(tf.matmul(tf.reduce_mean(x, (1, 2)), kernel), bias)

    return forward


def lstm(weights: Weights, vocabulary: int, length: int, units: int, classes: int) -> Forward:
    """Embedding, two LSTM layers, the last state, a linear layer."""

    def layer() -> Forward:
        kernel, recurrent, bias = (
            weights.normal(units, 4 * units),
            weights.normal(units, 4 * units),
            weights.full(0, 4 * units),
        )

        def apply(x: tf.Tensor) -> tf.Tensor:
            projected = tf.nn.bias_add(tf.matmul(tf.reshape(x, (-1, units)), kernel), bias)
            steps = tf.transpose(tf.reshape(projected, (-1, length, 4 * units)), (1, 0, 2))
            inputs = tf.TensorArray(tf.float32, length).unstack(steps)
            zeros = tf.zeros((tf.shape(x)[0], units))

            def step(t: tf.Tensor, h: tf.Tensor, c: tf.Tensor, out: tf.TensorArray) -> tuple[object, ...]:
                i, f, g, o = tf.split(inputs.read(t) + tf.matmul(h, recurrent), 4, axis=1)
                c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
                h = tf.sigmoid(o) * tf.tanh(c)
                return t + 1, h, c, out.write(t, h)

            start = (tf.constant(0), zeros, zeros, tf.TensorArray(tf.float32, length))
            *_, out = tf.while_loop(lambda t, *_: t < length, step, start)
            return tf.transpose(out.stack(), (1, 0, 2))

        return apply

    table = weights.normal(vocabulary, units)
    first, second = layer(), layer()
    kernel, bias = weights.normal(units, classes), weights.full(0, classes)
    return lambda x: tf.nn.bias_add(tf.matmul(second(first(tf.gather(table, x)))[:, -1], kernel), bias)


def transformer(weights: Weights, vocabulary: int, length: int, units: int, heads: int, classes: int) -> Forward:
    """Embedding, learned positions, two pre-norm encoder layers, mean over the sequence, a linear layer."""

    def dense(before: int, after: int) -> Forward:
        kernel, bias = weights.normal(before, after), weights.full(0, after)
        return lambda x: tf.nn.bias_add(tf.matmul(tf.reshape(x, (-1, before)), kernel), bias)

    def norm() -> Forward:
        scale, shift = weights.full(1, units), weights.full(0, units)

        def apply(x: tf.Tensor) -> tf.Tensor:
            mean, variance = tf.nn.moments(x, -1, keepdims=True)
            return (x - mean) * tf.math.rsqrt(variance + 1e-5) * scale + shift

        return apply

    def layer() -> Forward:
        n1, n2 = norm(), norm()
        q, k, v, o = (dense(units, units) for _ in range(4))
        up, down = dense(units, 4 * units), dense(4 * units, units)
        each = units // heads

        def split(x: tf.Tensor) -> tf.Tensor:
            return tf.transpose(tf.reshape(x, (-1, length, heads, each)), (0, 2, 1, 3))

        def apply(x: tf.Tensor) -> tf.Tensor:
            h = n1(x)
            scores = tf.matmul(split(q(h)) * each**-0.5, split(k(h)), transpose_b=True)
            read = tf.transpose(tf.matmul(tf.nn.softmax(scores), split(v(h))), (0, 2, 1, 3))
            x = x + tf.reshape(o(read), tf.shape(x))
            return x + tf.reshape(down(tf.nn.gelu(up(n2(x)), approximate=False)), tf.shape(x))

        return apply

    table, position = weights.normal(vocabulary, units), weights.full(0, length, units)
    first, second = layer(), layer()
    out = dense(units, classes)
    return lambda x: out(tf.reduce_mean(second(first(tf.gather(table, x) + position)), 1))


def stepper(forward: Forward, weights: Weights, x: np.ndarray, y: np.ndarray, batch: int) -> Callable[[int], None]:
    """A function that trains for so many steps on resident samples, all in one graph."""
    tf.random.set_seed(0)  # shuffling wants one where reproducible kernels are on, as dlrun sets them for the process
    samples, labels = tf.constant(x), tf.constant(y)
    moments = [(tf.Variable(tf.zeros_like(w)), tf.Variable(tf.zeros_like(w))) for w in weights.trained]
    updates = tf.Variable(0.0)

    @tf.function(autograph=False, input_signature=[tf.TensorSpec((), tf.int32)])
    def run(steps: tf.Tensor) -> tf.Tensor:
        order = tf.random.shuffle(tf.range(len(x)))

        def step(i: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            rows = order[i * batch : (i + 1) * batch]
            with tf.GradientTape() as tape:
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
                    tf.gather(labels, rows), forward(tf.gather(samples, rows))
                )
                loss = tf.reduce_mean(losses)
            t = updates.assign_add(1.0)
            gradients = tape.gradient(loss, weights.trained)
            for w, (m, v), g in zip(weights.trained, moments, gradients, strict=True):
                tf.raw_ops.ResourceApplyAdam(
                    var=w.handle,
                    m=m.handle,
                    v=v.handle,
                    grad=tf.convert_to_tensor(g),
                    lr=1e-3,
                    epsilon=1e-8,
                    beta1=0.9,
                    beta2=0.999,
                    beta1_power=0.9**t,
                    beta2_power=0.999**t,
                )
            return i + 1, total + loss

        _, total = tf.while_loop(
            lambda i, _: i < steps, step, (tf.constant(0), tf.constant(0.0)), parallel_iterations=1
        )
        return total

    return lambda steps: float(run(tf.constant(steps)))
