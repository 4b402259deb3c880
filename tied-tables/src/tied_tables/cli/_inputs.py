"""A model and a table, or a table alone, to which a model is fitted first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tied_tables.cli._messages import UsageError
from tied_tables.cli._model import Model, load
from tied_tables.cli._options import DATA, option
from tied_tables.cli._rows import RowOptions, open_rows
from tied_tables.cli._table import ColumnOptions

if TYPE_CHECKING:
    from tied_tables.io import Source
    from tied_tables.rows import Scan


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """A model, the rows that it is used on, and how these are read."""

    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help=(
                "A file written by tied-tables fit; without it, a model is fitted to"
                " DATA first."
            ),
        ),
    ] = None
    data: Annotated[str, typer.Argument(metavar="DATA", help=DATA)] = ""
    kept_model: Path | None = option(
        "Use the model in this file; if there is none, fit one to DATA and save it"
        " there.",
        "--model",
        metavar="MODEL",
    )
    columns: ColumnOptions
    options: RowOptions

    def open(
        self, output: str = "", *, as_text: bool = False, effort: float = 1
    ) -> tuple[Model, Scan]:
        """Load the model, or fit one, and open the rows for it."""
        model, source = self._load(effort, as_text=as_text)
        return model, open_rows(
            model,
            self.data,
            self.options,
            self.columns.id,
            output,
            self.columns.label,
            as_text,
            source,
        )

    def _load(self, effort: float, *, as_text: bool) -> tuple[Model, Source | None]:
        """Load the model, or fit one to the table, which is open then."""
        if self.model and self.kept_model:
            raise UsageError(
                f"{self.model!r} and --model both name a model; drop one of them."
            )
        if self.model is None and not (self.kept_model and self.kept_model.exists()):
            from tied_tables.cli._fit import fit_first

            return fit_first(
                self.data,
                self.kept_model,
                self.columns,
                self.options,
                effort,
                as_text=as_text,
            )
        if chosen := self.columns.find_choices():
            raise UsageError(
                f"cannot use {', '.join(chosen)} with a fitted model; drop the option,"
                f" or refit with tied-tables fit {self.data} {chosen[0]} ..."
            )
        return load(self.model or self.kept_model or ""), None
