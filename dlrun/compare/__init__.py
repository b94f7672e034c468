"""Two trainings side by side: whether they are the same, where they part, how fast each is."""
