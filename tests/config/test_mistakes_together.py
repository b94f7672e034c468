"""One round tells all: mistakes in fields, in the wiring, in patterns and in outputs are reported together."""

from dlrun.errors import DlrunError

HEAD = "data: {source: digits, batch_size: 64, validation: 150}\nmodel:\n  layers:\n"


def told(found: list[DlrunError]) -> list[tuple[str, int]]:
    return [(error.code, error.where.line or 0) for error in found if error.where is not None]


def test_a_field_does_not_hide_the_wiring(recipe, mistakes):
    lines = (
        "    - flatten: {name: flat}\n"
        "    - dense: {units: 5, name: a, kernel_initializer: he_normall, activation: relux, share: nobody}\n"
        "    - densee: {units: 4}\n"
        "    - sequence: {name: seq, layers: [{dense: {unitss: 3, name: inner}}, dense: {inputs: [gone]}]}\n"
        "    - dense: {units: 4, name: a}\n"
        "    - dense: {units: 4, inputs: [seq.inner], share: dense_1, name: fine}\n"
        "    - conv2d: {filters: 2, kernel: 3, inputs: [flat]}\n"
        "    - dense\n"
    )
    expected = [
        ("unknown-share", 5),
        ("unknown-activation", 5),
        ("unknown-initializer", 5),
        ("unknown-layer", 6),
        ("unknown-key", 7),
        ("unknown-input", 7),
        ("duplicate-name", 8),
        ("wrong-rank", 10),
    ]
    assert sorted(told(mistakes(recipe(HEAD + lines)))) == sorted(expected)


def test_what_follows_from_a_field_is_not_told(recipe, mistakes):
    lines = (
        "    - dnse: {units: 4, inputs: [input]}\n"
        "    - self_attention: {heads: 0, name: att}\n"
        "    - dense: {units: x, activation: 5, name: b}\n"
        "    - {dense: {units: 3}, relu: {}}\n"
        "    - add: {inputs: [dense_1, att.query, b_relu, whoever]}\n"
        "    - dense: {units: 4, share: someone}\n"
    )
    assert {code for code, _ in told(mistakes(recipe(HEAD + lines)))} == {"unknown-layer", "out-of-range", "wrong-type"}


def test_an_unused_layer_does_not_hide_patterns_and_outputs(recipe, mistakes):
    lines = (
        "    - flatten: {name: flat}\n"
        "    - dense: {units: 7, inputs: [flat], name: left}\n"
        "    - dense: {units: 9, name: head, inputs: [flat]}\n"
        '  freeze: ["stem*"]\n'
        '  weights: {file: none.safetensors, skip: ["fc.*"], map: {hidden: fc9}}\n'
        'optimizer: {name: adamw, groups: [{match: "zz*", learning_rate_multiplier: 2}]}\n'
    )
    found = told(mistakes(recipe(HEAD + lines)))
    assert ("unused-layer", 5) in found and ("output-classes", 6) in found
    assert [line for code, line in found if code == "unmatched-pattern"][:2] == [7, 8]
    assert {line for code, line in found if code not in ("unused-layer", "output-classes")} == {7, 8, 9}
    assert len([line for _, line in found if line == 8]) == 2  # `skip` and `map`


def test_an_unknown_layer_may_want_an_extension(recipe, mistakes):
    (error,) = mistakes(recipe(HEAD + "    - flatten\n    - zzyzx: {share: q}\n    - dense\n"))[:1]
    assert error.code in ("unknown-layer", "unknown-share")
    hints = [e.hint for e in mistakes(recipe(HEAD + "    - flatten\n    - zzyzx\n    - dense\n"))]
    assert len(hints) == 1 and "`extensions: [file.py]`" in hints[0]


def test_a_mistake_in_the_data_does_not_hide_the_model(recipe, mistakes):
    lines = (
        "data: {source: digits, batchsize: 64, validation: much}\n"
        "model:\n"
        "  layers:\n"
        "    - flatten\n"
        '    - dense: {units: "${data.classes}", activation: rellu}\n'
        "    - conv2d: {filters: 2, kernel: 3, inputs: [nobody]}\n"
        "    - dense\n"
    )
    found = sorted(told(mistakes(recipe(lines))))
    assert found == [("unknown-activation", 5), ("unknown-input", 6), ("unknown-key", 1), ("wrong-type", 1)]


def test_data_that_may_be_elsewhere_are_not_looked_for(recipe, mistakes):
    lines = "data: {source: {name: npz, train: x.npz}, root: 5}\nmodel: {layers: [flatten, dense]}\n"
    assert told(mistakes(recipe(lines))) == [("wrong-type", 1)]


def test_data_that_files_would_bring_are_not_missing(recipe, mistakes):
    lines = (
        "data:\n"
        "  files:\n"
        "    - {url: https://a/train.npz, sha265: abc}\n"
        "  source: {name: npz, train: train.npz}\n"
        "model: {layers: [dense]}\n"
    )
    assert told(mistakes(recipe(lines))) == [("unknown-key", 3)]
