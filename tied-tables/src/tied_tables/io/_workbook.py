"""Workbooks: a sheet is read whole, and a copy has the cells that were filled in."""

import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from functools import partial
from itertools import pairwise
from typing import IO, Any

from tied_tables._table_errors import TableError
from tied_tables._text import quote
from tied_tables.columns import make_distinct
from tied_tables.io._errors import report_read_errors
from tied_tables.io._file import ReadOptions, TableFile, check_names
from tied_tables.io._patch import Cells
from tied_tables.io._rows import open_rows

SHEET = re.compile(r"xl/worksheets/[^/]+\.xml")
LARGEST_SHEET = 2**30  # about the bytes of its cells in memory
CELL_BYTES = 32  # in memory, also of an empty cell before another one
FAR_CELL = re.compile(rb"""r\s*=\s*["'](?:[A-Z]{2}|[A-Z]\d{7})""")
CELL = re.compile(rb"""\sr\s*=\s*["']([A-Z]+)(\d+)[^>]*[^/]>""")  # with a value


def open_workbook(name: str, options: ReadOptions) -> TableFile:
    """Open a sheet of a workbook in memory, by name or else the first."""
    try:
        from python_calamine import CalamineWorkbook
    except ImportError as error:
        fault = f'{name!r} needs python-calamine; run pip install "tied-tables[excel]".'
        raise TableError(fault) from error
    sheet = options.sheet
    if zipfile.is_zipfile(name):
        with report_read_errors(name):
            _forbid_far_cells(name)
    with (
        report_read_errors(name),
        CalamineWorkbook.from_path(str(name)) as book,
    ):
        sheets = book.sheet_names
        if sheet is not None and sheet not in sheets:
            raise TableError(
                f"{name!r} has no sheet {sheet!r}; choose one of {quote(sheets)}."
            )
        first, *other_sheets = [sheet] if sheet else sheets
        table = book.get_sheet_by_name(first)
        top, left = table.start or (0, 0)
        cells = table.to_python()
    lines = {}  # by the numbers of their rows in the sheet
    for number, values in enumerate(cells, top + 1):
        line = [_simplify(cell) for cell in values]
        if number > options.skip and any(cell is not None for cell in line):
            lines[number] = line
    if not lines:
        raise TableError(
            f"{name!r} has an empty sheet {first!r}; choose one of {quote(sheets)}."
        )
    check_names(name, list(lines.values()), options)
    header = min(lines)
    header_cells = lines[header]
    names = [f"x{index}" for index in range(len(header_cells))]
    if options.header:
        del lines[header]
        texts = ["" if cell is None else str(cell) for cell in header_cells]
        names = make_distinct(texts)
    columns = zip(*lines.values(), strict=True)
    cells = zip(*map(_make_alike, columns), strict=True)
    rows = [dict(zip(names, line, strict=True)) for line in cells]
    file = open_rows(name, partial(iter, rows), options)
    if name.endswith(".xlsx"):
        places = {column: left + place for place, column in enumerate(names, 1)}
        patch = partial(_patch_sheet, name, first, list(lines), places)
        file = replace(file, patch=patch)
    notes = _describe_other_tables(header_cells, lines) if options.header else []
    if other_sheets:
        others = quote(other_sheets)
        choice = f"reads the sheet {first!r}; choose another with `sheet=...`: {others}"
        notes = [choice, *notes]
    return replace(file, notes=notes)


def _describe_other_tables(
    header: Sequence[Any], lines: Mapping[int, Sequence[Any]]
) -> list[str]:
    """Tell which columns and rows of a sheet look like those of another table."""
    notes = []
    columns = zip(header, *lines.values(), strict=True)
    is_empty = [all(cell is None for cell in column) for column in columns]
    if any(is_empty):
        place = is_empty.index(True)
        names = [str(name) for name in header[place:] if name is not None]
        if place > 0 and names:
            notes.append(
                f"an empty column separates {quote(names)} from the other columns; if"
                " these are another table, leave them out"
            )
    for (previous, above), (number, line) in pairwise(lines.items()):
        if number == previous + 1:
            continue
        pairs = [pair for pair in zip(line, above, strict=True) if pair[0] is not None]
        is_text = all(isinstance(cell, str) for cell, _ in pairs)
        is_below_number = any(isinstance(cell, int | float) for _, cell in pairs)
        if len(pairs) > 1 and is_text and is_below_number:
            notes.append(
                f"row {number} of the sheet, after an empty one, looks like the names"
                " of another table; move that table to another sheet"
            )
    return notes


def _forbid_far_cells(name: str) -> None:
    """Refuse a workbook with a stray cell: the library keeps all empty ones before it.

    It would end the process.
    """
    with zipfile.ZipFile(name) as archive:
        for part in filter(SHEET.fullmatch, archive.namelist()):
            sheet = archive.read(part)
            if FAR_CELL.search(sheet) and _measure_cells(sheet) > LARGEST_SHEET:
                raise TableError(
                    f"{name!r} has a sheet with cells so far apart that it takes more"
                    " than 1 GiB of memory; delete the isolated ones, or save it as"
                    " CSV."
                )


def _measure_cells(sheet: bytes) -> int:
    """Return about how much memory the cells up to the last one take."""
    from openpyxl.utils import column_index_from_string

    last_row, columns = 0, {"A"}
    for cell in CELL.finditer(sheet):
        last_row = max(last_row, int(cell[2]))
        columns.add(cell[1].decode())
    last_column: int = max(map(column_index_from_string, columns))
    return CELL_BYTES * last_row * last_column


def _patch_sheet(
    name: str,
    sheet: str,
    numbers: Sequence[int],
    columns: Mapping[str, int],
    file: IO[bytes],
    rows: Iterator[Cells],
) -> None:
    """Write a copy of a workbook with new cells in some rows of a sheet."""
    from openpyxl import load_workbook

    with report_read_errors(name):
        book = load_workbook(name, rich_text=True)
    for number, cells in zip(numbers, rows, strict=False):
        for column, value in cells.items():
            cell = book[sheet].cell(number, columns[column])
            if cell.data_type == "f":
                raise TableError(
                    f"cell {cell.coordinate} of {name!r} holds a formula without a"
                    " result; open the file in a spreadsheet program, and save it."
                )
            try:
                cell.value = value
            except AttributeError as error:
                raise TableError(
                    f"cell {cell.coordinate} of {name!r} is merged with others, and"
                    " cannot be filled; split them in a spreadsheet program."
                ) from error
    book.save(file)


def _make_alike(cells: Sequence[Any]) -> list[Any]:
    """Return the cells of a column: a time may be a date or a duration there.

    The one is at midnight, the other below a day.
    """
    kinds = set(map(type, cells))
    alike = []
    for cell in cells:
        if type(cell) is date and datetime in kinds:
            cell = datetime.combine(cell, time())
        elif type(cell) is time and timedelta in kinds:
            cell = datetime.combine(date.min, cell) - datetime.min
        alike.append(cell)
    return alike


def _simplify(cell: Any) -> Any:
    """Return the value of a cell: a whole number is one, and empty text is none."""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53:
        return int(cell)
    return None if cell == "" else cell
