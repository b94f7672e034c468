"""Transformer from one sequence to another."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Ge

from dlrun.errors import DlrunError
from dlrun.graph.architecture import models
from dlrun.models.tokens import Positive
from dlrun.models.transformer import Transformer


@models("seq2seq_transformer")
class Seq2SeqTransformer(Transformer):
    """Transformer encoder and decoder: logits of each target token from the source and the target tokens before it.

    The input is the source's ids followed by the target's, each filled up with padding. The encoder's ``depth`` blocks
    read the embedded source; the decoder's read the embedded target, causally, and the encoder's output; the table of
    the embedding gives the logits.

    Args:
        vocabulary: Number of ids; the data's when left out.
        padding: Id that fills up short texts, or none: then every step counts.
        units: Width.
        depth: Blocks of the encoder and of the decoder.
        heads: Attention heads.
        feedforward_units: Width inside the feed-forward layers.
        activation: Inside the feed-forward layers.
        norm: Before each branch (``first``) or after each sum (``last``).
        epsilon: That of the norms.
        positions: ``sinusoidal`` or ``learned``.
        dropout: Share zeroed after the positions, at the end of each branch, in training.
        attention_dropout: Share of the attention zeroed in training.
        source_length: Ids of the source; half of the input when left out.
        start: Id put before the target, whose last id falls off: for data that repeats the target as it is to be
            predicted. None where the data already starts the target with an id of its own.
        tied: Whether source, target and logits use one table; otherwise each has its own.
        copy: Whether ids can also be copied from the source (pointer-generator).

    Shapes: (N, S + T) ids -> (N, T, vocabulary).
    Weights: ``embedding.table``, ``encoder.block<i>.*``, ``decoder.block<i>.*``; not tied ``target_embedding.table``
        and ``logits.table``; with copying ``copy.*``. Beside the tables 44,138,496, with the norms first 44,140,544,
        as torch.nn.Transformer has; 63,082,496 with the paper's 37,000 ids, which it rounds to 65 million.
    Errors: vocabulary-missing, wrong-input, source-too-long, heads-not-dividing, unknown-activation.
    Differs: torch.nn.Transformer also normalises after each stack when the blocks' norms come last.
    Source: Vaswani et al. 2017; See, Liu & Manning 2017 (``copy``).
    """

    source_length: Positive | None = None
    start: Annotated[int, Ge(0)] | None = None
    tied: bool = True
    copy: bool = False

    def expand(self, sub: Any, x: str, classes: int | None) -> str:
        found, vocabulary = self.ids(sub, x)
        length = self.source_length or found.shape[0] // 2
        if not 0 < length < found.shape[0]:
            raise DlrunError(
                "source-too-long",
                f"`source_length: {length}` leaves no target in the {found.shape[0]} ids of the input.",
                path=("source_length",),
                hint="The input is the source followed by the target.",
            )
        source = sub.add("slice", x, name="source", stop=length)
        target = sub.add("slice", x, name="target", start=length)
        if self.start is not None:
            target = sub.add("shift_right", target, name="shifted", start=self.start)
        mask = self.mask(sub, source)
        read = self.embed(sub, source, vocabulary)
        told = self.embed(sub, target, vocabulary, "target_embedding", "embedding" if self.tied else None)
        with sub.scope("encoder"):
            read = self.place(sub, read)
        memory = sub.add("transformer_encoder", read, *mask, name="encoder", **self.stack_fields())
        with sub.scope("decoder"):
            told = self.place(sub, told)
        x = sub.add("transformer_decoder", told, memory, *mask, name="decoder", **self.stack_fields())
        fields = {"vocabulary": vocabulary, "share": "embedding" if self.tied else None}
        if self.copy:
            copied: str = sub.add("copy_head", x, memory, source, *mask, name="copy", **fields)
            return copied
        logits: str = sub.add("embedding_logits", x, name="logits", initializer=self.embedding_start, **fields)
        return logits
