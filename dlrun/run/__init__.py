"""The uniform runner: one loop for every backend; emits events, prints nothing."""
