"""What is wrong in a table: a file for each check, all of which give `Doubt`s."""

from tied_tables.checks._doubt import Doubt

__all__ = ["Doubt"]
