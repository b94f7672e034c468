"""Tables from files: rows read and checked, columns as numbers and category ids."""
