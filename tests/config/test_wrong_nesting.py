"""Hints for what stands in the wrong place or in the wrong form."""

from __future__ import annotations

import pytest

MODEL = "model: {layers: [flatten, dense]}\n"
FOLDER = "data: {source: {name: image_folder, size: 8}, "


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (FOLDER + "train: there}\n" + MODEL, "Did you mean `data.source.train`? Valid: `source`"),
        (FOLDER + "fit: crop}\n" + MODEL, "Did you mean `data.source.fit`?"),
        ("data: {source: digits}\nmodel: [flatten, dense]\n", "Write a list of layers below `model.layers`."),
        ('data: {source: {name: image_folder, size: "24"}}\n' + MODEL, "Write `24` without quotes."),
        ('data: {source: digits}\noptimizer: {name: sgd, learning_rate: "1e-2"}\n' + MODEL, "`1e-2` without quotes"),
        (
            "data: {source: digits, sampling: {größe: 0.5, b: 2}}\n" + MODEL,
            "Write a list of shares, one for each class in their order: `[0.5, 2]`.",
        ),
        ("data: {source: digits, augment: [{mixup: {}, cutmix: {}}]}\n" + MODEL, "an augmentation is one key"),
        (
            'data: {source: digits}\nmodel: {layers: [flatten, dense: {units: "${data.clases}"}]}\n',
            "Did you mean `data.classes` or `data.files`?",
        ),
        (
            'data: {source: digits}\nmodel: {layers: [flatten, dense: {units: "${data.colums}"}]}\n',
            "Did you mean `data.columns` or `data.classes`?",
        ),
    ],
)
def test_the_hint_says_what_to_write(recipe, mistakes, text, words):
    assert any(words in str(error) for error in mistakes(recipe(text))), [str(e) for e in mistakes(recipe(text))]
