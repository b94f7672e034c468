"""What a file that is not what it should be begins with."""

from __future__ import annotations

import re

HEAD = 4096
"""How many bytes are enough to tell."""


def first_words(head: bytes) -> str:
    """The beginning of a file, its first ``HEAD`` bytes at most, for people: words without tags, or bytes."""
    try:
        text = head.decode("utf-8", "ignore" if len(head) == HEAD else "strict")
    except UnicodeDecodeError:
        return head[:8].hex(" ")
    if re.search(r"[\x00-\x08\x0e-\x1f]", text):
        return head[:8].hex(" ")
    if text.lstrip("\ufeff \r\n\t").startswith("<"):
        text = re.sub(r"(?s)<(script|style).*?</\1>|<[^>]*>", " ", text)
    words = " ".join(text.split())
    return words[:80] + ("…" if len(words) > 80 else "")
