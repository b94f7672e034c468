"""Runs `dlrun` with a trap that kills the process (SIGKILL) at a chosen point; used by the resume tests.

    python dying_train.py TRAP N ARGS…

TRAP names the point, N which time it is reached; ``moment`` kills some
milliseconds after update N of the process, wherever it is by then.
"""

import os
import signal
import sys
import threading

TRAP, COUNT, ARGS = sys.argv[1], int(sys.argv[2]), sys.argv[3:]


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def trap(owner: object, name: str, *, before: bool) -> None:
    """Die before (or after) the COUNT-th call of ``owner.name``."""
    original, calls = getattr(owner, name), [0]

    def wrapped(*args: object, **kwargs: object) -> object:
        calls[0] += 1
        if before and calls[0] == COUNT:
            die()
        result = original(*args, **kwargs)
        if not before and calls[0] == COUNT:
            die()
        return result

    setattr(owner, name, wrapped)


def torn_write(path: object, data: bytes) -> None:
    """Write half a file, then die."""
    with open(path, "wb") as file:
        file.write(data[: len(data) // 2])
        file.flush()
        os.fsync(file.fileno())
    die()


def main() -> None:
    from dlrun.run import checkpoint, trainer

    if TRAP == "before":
        trap(checkpoint, "save", before=True)
    elif TRAP == "between":
        trap(checkpoint, "write_synced", before=False)
    elif TRAP == "torn":
        original, calls = checkpoint.write_synced, [0]

        def wrapped(path: object, data: bytes) -> None:
            calls[0] += 1
            (torn_write if calls[0] == COUNT else original)(path, data)

        checkpoint.write_synced = wrapped
    elif TRAP == "renamed":
        trap(checkpoint, "write_folder", before=False)
    elif TRAP == "pruning":
        trap(checkpoint, "prune", before=True)
    elif TRAP == "moment":
        original_count, seen = trainer.Trainer._count, [0]

        def count(self: object, rates: object, losses: list[float]) -> None:
            before = seen[0]
            seen[0] += len(losses)
            if before < COUNT <= seen[0]:
                threading.Timer(COUNT * 7 % 11 / 1000, die).start()
            original_count(self, rates, losses)

        trainer.Trainer._count = count
    elif TRAP != "none":
        raise SystemExit(f"no trap {TRAP}")
    sys.argv = ["dlrun", *ARGS]
    from dlrun.cli.app import main as cli

    cli()


if __name__ == "__main__":
    main()
