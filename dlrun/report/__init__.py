"""Pages that need nothing beside them, and the error report of an evaluation."""
