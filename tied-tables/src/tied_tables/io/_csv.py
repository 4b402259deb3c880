"""CSV files, each a single piece, which is read once: its rows are spilled to Arrow."""

import codecs
import csv
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from io import BufferedReader, StringIO, TextIOWrapper

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow
from pyarrow import types

from tied_tables._table_errors import TableError
from tied_tables._text import format_quantity, format_value, quote
from tied_tables.columns import MISSING, find_decimal, make_distinct
from tied_tables.io._copy import Copies
from tied_tables.io._errors import report_read_errors
from tied_tables.io._file import (
    LARGEST_CELL,
    TEXTS,
    Batches,
    ReadOptions,
    Request,
    TableFile,
    check_names,
    check_width,
    find_format,
)
from tied_tables.io._patch import Cells, patch_text
from tied_tables.io._spill import Spill
from tied_tables.io._text_types import TextTypes

DELIMITERS = {"\t": "a tab", ";": "a semicolon", "|": "a vertical bar", ",": "a comma"}
DECIMALS = {",": ".", ";": ","}  # beside each of these, where no number tells
DELIMITER_PREFIX = "sep="  # how Excel names the delimiter, in a line before the names
# Numbers that may have a point between thousands, and none before decimals.
MAYBE_THOUSANDS = r"^\s*-?(?:0|[1-9]\d{0,2}(?:\.\d{3})*)\s*$"
# The share of lines with as many cells as the first, if a delimiter is right.
MOST_LINES = 0.9
CHARACTERS_TO_LOOK_AT = 2**16
# Delimiters in lines of one value, from which on these may be rows.
MOST_DELIMITERS = 12
ASCII = bytes(range(128))
MOST_UTF8 = 0.25  # bytes in UTF-8 for each that is not, in a file of another encoding
# Of the letters of words with an accent, in the languages of Western Europe.
MOST_ACCENTS = 0.6
BLOCK_BYTES, LARGEST_BLOCK, LINES_IN_BLOCK = 2**20, LARGEST_CELL, 64
MARK = "\ufeff"  # what text may begin with
MARKED = ("utf-16", "utf-8-sig")  # encodings that it belongs to
NOT_WESTERN = rb"[\0\x81\x83\x86-\x88\x8d\x8f\x90\x98\x9d]"  # bytes of no text


class _LengthError(TableError):
    """A line does not fit into a block."""


def open_csv(name: str, options: ReadOptions, copies: Copies) -> TableFile:
    """Open a CSV file; with a decimal comma, decimals are read as text.

    Its rows are spilled to temporary files of Arrow, which are closed with the copies.
    """
    if options.delimiter is not None and len(options.delimiter) != 1:
        raise TableError(f"the delimiter is {options.delimiter!r}; give one character.")
    try:
        codec = codecs.lookup(options.encoding or "utf-8").name
    except LookupError as error:
        raise TableError(f"{error}; use one such as utf-8 or cp1252.") from error
    # All threads share this limit.
    csv.field_size_limit(max(LARGEST_BLOCK, csv.field_size_limit()))
    encoding, notes = _find_encoding(name)
    if options.encoding and codec not in MARKED:
        encoding, notes = options.encoding, []
    return _CsvFile(name, options, encoding, notes).learn(copies)


def _find_encoding(name: str) -> tuple[str, list[str]]:
    """Return the encoding that the bytes at the beginning show, and notes on it."""
    with report_read_errors(name), pa.input_stream(name) as file:
        head = file.read(BLOCK_BYTES)
    for encoding, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[::2])):
        has_mark = head.startswith(MARK.encode(encoding))
        if has_mark or zeros.count(0) > len(zeros) / 2:
            return encoding, []
    # Where more than a few letters are UTF-8, or the end is cut off, the file is
    # damaged UTF-8.
    utf8 = head.decode("utf-8", "ignore").encode()
    n_utf8, n_bytes = (len(text.translate(None, ASCII)) for text in (utf8, head))
    is_utf8 = head[-1:] >= b"\x80" or n_utf8 > MOST_UTF8 * (n_bytes - n_utf8)
    if head.isascii() or is_utf8 or re.search(NOT_WESTERN, head):
        return "utf-8", []
    words = re.split(rb"[^A-Za-z\xc0-\xff]+", head)
    western = b"".join(word for word in words if not word.isascii())
    accents = re.sub(b"[A-Za-z]", b"", western)
    if len(accents) > MOST_ACCENTS * len(western):
        return "utf-8", []
    return "cp1252", ["it is not UTF-8 text, and is read as cp1252"]


@dataclass(eq=False)
class _CsvFile:
    """A CSV file in an encoding, and what is learned of it."""

    name: str
    options: ReadOptions
    encoding: str
    notes: list[str]
    ragged_row: arrow.InvalidRow | None = None

    def __post_init__(self) -> None:
        self._spill = Spill()

    def learn(self, copies: Copies) -> TableFile:
        """Find the delimiter, the columns, and the number of rows."""
        self._delimiter = self.options.delimiter or self._find_delimiter()
        cells, longest = self._read_header()
        # Of a single column, an empty line is a missing value.
        self._has_several = len(cells) > 1
        self._block = min(max(BLOCK_BYTES, LINES_IN_BLOCK * longest), LARGEST_BLOCK)
        self._names = [f"x{index}" for index in range(len(cells))]
        if self.options.header:
            cells = [cell.strip() for cell in cells]
            self._names = make_distinct(cells)
            pairs = zip(self._names, cells, strict=True)
            if new := [name for name, cell in pairs if name != cell]:
                note = f"renamed empty or duplicate column names to {quote(new)}"
                self.notes.append(note)
        try:
            self._schema, n_rows, decimal = self._scan(copies)
        except _LengthError:
            self._block = LARGEST_BLOCK
            self._schema, n_rows, decimal = self._scan(copies)
        return TableFile(
            self.name,
            self._schema,
            [n_rows],
            self.read,
            self.notes,
            decimal,
            partial(patch_text, self.encoding, self._split, self._replace),
        )

    def read(self, request: Request) -> Batches:
        """Read the rows that were spilled, or the file; see `TableFile`."""
        schema = pa.schema(map(self._schema.field, request.names))
        if self._spill.is_there:
            yield from self._spill.read(schema)
        else:  # in a process elsewhere, or where the disk is full
            yield from self._parse(schema)

    def _parse(self, schema: pa.Schema) -> Batches:
        """Read some columns of the file, which have these types."""
        with self._report_errors():
            yield from self._read_columns(schema)

    def _split(self) -> Iterator[tuple[str, list[str] | None]]:
        """Yield the parts of the text, and the cells of each that is a row."""
        lines: list[str] = []
        reader = csv.reader(self._read_lines(lines), delimiter=self._delimiter)
        is_header = self.options.header
        ignores_empty = self._has_several or self.options.comment
        for cells in reader:
            is_row = reader.line_num > self._skip and (cells or not ignores_empty)
            yield "".join(lines), cells if is_row and not is_header else None
            lines.clear()
            is_header = is_header and not is_row

    def _replace(self, row: str, new: Cells) -> str:
        """Return a row with new cells, each between the spaces of the old one.

        A row is cells, maybe in quotes, each with what ends it.
        """
        end = re.escape(self._delimiter)
        text = rf'(?:"[^"]*(?:""[^"]*)*")?[^{end}\r\n]*'
        parts = list(map(list, re.findall(rf"({text})({end}|[\r\n]*\Z)", row)))
        for name, cell in new.items():
            part = parts[self._schema.get_field_index(name)]
            old = part[0].strip()
            if re.search(f'[{end}"\r\n]', cell) or old.startswith('"'):
                doubled = cell.replace('"', '""')
                cell = f'"{doubled}"'
            part[0] = part[0].replace(old, cell) if old else part[0] + cell
        return "".join(cell + end for cell, end in parts)

    def _find_delimiter(self) -> str:
        """Find the delimiter of which nearly all lines hold as many."""
        head = ""
        with self._report_errors():
            for line in self._read_lines():
                if len(head) + len(line) > CHARACTERS_TO_LOOK_AT:
                    break
                head += line
        head = head.lstrip("\r\n")
        usual = TEXTS[find_format(self.name, self.options.format) or "csv"]
        if head.startswith(DELIMITER_PREFIX) and len(head) > len(DELIMITER_PREFIX):
            return head[len(DELIMITER_PREFIX)]
        doubt = ""
        for delimiter, description in DELIMITERS.items() if head.strip() else ():
            try:
                rows = list(csv.reader(StringIO(head), delimiter=delimiter))
            except csv.Error:
                continue
            lengths = [len(row) for row in rows if row]
            # A broken line is refused later, with its number.
            n_like_first = lengths.count(lengths[0])
            if lengths[0] > 1 and n_like_first >= MOST_LINES * len(lengths):
                if delimiter != usual:
                    self.notes.append(f"its delimiter is {description}")
                return delimiter
            if lengths[-1] > 1 and lengths.count(lengths[-1]) >= len(lengths) / 2:
                doubt = (
                    f"most lines hold {description}, but the first ones fewer:"
                    " `skip=...` skips lines before the names"
                )
        if doubt:
            self.notes.append(doubt)
        return usual

    def _read_header(self) -> tuple[list[str], int]:
        """Return the cells of the first line, and the bytes of the longer of two."""
        self._skip = 0
        rows: list[list[str]] = []
        with self._report_errors():
            reader = csv.reader(self._read_lines(), delimiter=self._delimiter)
            for cells in reader:
                if cells and (rows or not cells[0].startswith(DELIMITER_PREFIX)):
                    rows.append(cells)
                if len(rows) == 2:
                    break
                if not rows:
                    self._skip = reader.line_num
        if not rows:
            if skip := self.options.skip:
                raise TableError(
                    f"{self.name!r} has no row after {skip:,} lines, which"
                    f" `skip={skip}` skips; skip fewer."
                )
            raise TableError(
                f"{self.name!r} is empty; give a file with names and rows."
            )
        cells = rows[0]
        check_width(self.name, len(cells), self.options)
        check_names(self.name, rows, self.options)
        if len(rows) < 2 and self.options.header:
            raise self._find_open_quote() or TableError(
                f"{self.name!r} has column names but no rows; add rows."
            )
        return cells, max(len(" ".join(row).encode()) for row in rows)

    def _scan(self, copies: Copies) -> tuple[pa.Schema, int, str | None]:
        """Return the types of the columns, the number of rows and the decimal mark.

        The rows are spilled in their types, so that the file is not read again.
        """
        text = self.options.text
        known = self._names if text is None else set(self._names).intersection(text)
        text_types = TextTypes(
            self._names, known, self.options.decimal, self._find_decimal
        )
        self._spill.write(self._convert(text_types), copies)
        if text_types.is_lossy:
            self._spill.write(self._parse(text_types.schema), copies)
        return text_types.schema, text_types.n_rows, text_types.decimal

    def _convert(self, text_types: TextTypes) -> Batches:
        """Yield the rows in the types that are found up to there."""
        as_text = pa.schema([(name, pa.string()) for name in self._names])
        holds_rows = False
        last_row: pa.RecordBatch | None = None
        with self._report_errors():
            for batch in self._read_columns(as_text):
                converted = text_types.convert(batch)
                for field in converted.schema:
                    if types.is_string(field.type) and not holds_rows:
                        holds_rows = self._look_for_rows(field.name, batch[field.name])
                yield converted
                last_row = batch.slice(max(0, batch.num_rows - 1))
            if last_row is not None:
                self._require_closed_quote(last_row)

    def _require_closed_quote(self, last_row: pa.RecordBatch) -> None:
        """Raise if a quotation mark that is not closed has taken all that follows."""
        for cells in last_row.columns:
            has_lines = pc.any(pc.match_substring(cells, "\n")).as_py()
            if has_lines and (fault := self._find_open_quote()):
                raise fault

    def _look_for_rows(self, name: str, cells: pa.Array) -> bool:
        """Whether a value holds rows, which is noted."""
        most = min(len(self._names) - 1, MOST_DELIMITERS)
        if not most or not pc.any(pc.match_substring(cells, "\n")).as_py():
            return False
        n_lines = max(2, MOST_DELIMITERS // most)
        end = re.escape(self._delimiter)
        line = rf"\n(?:[^{end}\n]*{end}){{{most}}}[^\n]*"
        has_rows = pc.match_substring_regex(cells, f"(?:{line}){{{n_lines}}}\n")
        found = cells.filter(has_rows)
        if not len(found):
            return False
        if fault := self._find_open_quote():
            raise fault
        self.notes.append(
            f"a value of {name!r} spans many lines that look like rows"
            f" ({format_value(found[0].as_py(), 40)!r}); is its quotation mark closed?"
        )
        return True

    def _find_decimal(
        self, batch: pa.RecordBatch, dtypes: Mapping[str, pa.DataType]
    ) -> str | None:
        """Return the decimal mark that columns of these types show, or None."""
        texts = [batch[name] for name in dtypes if types.is_string(dtypes[name])]
        numbers = [batch[name] for name in dtypes if types.is_floating(dtypes[name])]
        if decimal := find_decimal(texts):
            return decimal
        if not numbers:
            return DECIMALS.get(self._delimiter)
        if self._delimiter != ";":
            return "."
        cells = pa.concat_arrays(numbers)
        if not pc.all(pc.match_substring_regex(cells, MAYBE_THOUSANDS)).as_py():
            return "."
        example = cells.filter(pc.match_substring(cells, "."))[0]
        self.notes.append(
            f"the point in numbers such as {example} is read as a separator of"
            " thousands; use `decimal=.` if it is the decimal mark"
        )
        return ","

    def _read_columns(self, schema: pa.Schema) -> Batches:
        """Read some columns of the file, which have these types."""
        path, encoding = self.name, self.encoding.replace("utf-8", "utf8")
        has_comments = bool(self.options.comment)
        with Copies(self.options.max_copy) as copies:
            if has_comments:
                lines = (line.encode() for line in self._read_lines())
                path, encoding = copies.copy_bytes(lines, path, "rows.csv"), "utf8"
            yield from arrow.open_csv(
                path,
                arrow.ReadOptions(
                    use_threads=False,  # or else an error does not tell the row
                    block_size=self._block,
                    encoding=encoding,
                    column_names=self._names,
                    skip_rows=self._skip,
                    skip_rows_after_names=int(self.options.header),
                ),
                arrow.ParseOptions(
                    delimiter=self._delimiter,
                    newlines_in_values=True,
                    ignore_empty_lines=self._has_several or has_comments,
                    invalid_row_handler=self._record_ragged_row,
                ),
                arrow.ConvertOptions(
                    column_types=schema,
                    include_columns=schema.names,
                    null_values=MISSING,
                    strings_can_be_null=True,
                ),
            )

    def _open_text(self) -> TextIOWrapper:
        return TextIOWrapper(pa.input_stream(self.name), self.encoding, newline="")

    def _read_lines(self, copies: list[str] | None = None) -> Iterator[str]:
        """Yield the lines, with an empty one for each that is skipped or a comment.

        Copies of all of them are appended to a list.
        """
        mark, in_quotes = self.options.comment, False
        with self._open_text() as file:
            lines = iter(partial(file.readline, LARGEST_BLOCK), "")
            for number, line in enumerate(lines):
                if len(line) == LARGEST_BLOCK:
                    raise csv.Error("a line is longer than any may be")
                if copies is not None:
                    copies.append(line)
                if number == 0:
                    line = line.removeprefix(MARK)
                is_comment = mark and not in_quotes and line.startswith(mark)
                if number < self.options.skip or is_comment:
                    line = "\n"
                if line.count('"') % 2:
                    in_quotes = not in_quotes
                yield line

    def _record_ragged_row(self, row: arrow.InvalidRow) -> str:
        self.ragged_row = row
        return "error"

    def _report_errors(self) -> AbstractContextManager[None]:
        """Turn an error of Arrow into one with the lines and names of the file."""
        self.ragged_row = None
        return report_read_errors(self.name, self._explain)

    def _explain(self, name: str, error: Exception) -> Exception:
        message = str(error) if isinstance(error, pa.ArrowInvalid) else ""
        if message and (row := self.ragged_row):
            return TableError(
                f"{name!r} has {format_quantity(row.actual_columns, 'cell')} in line"
                f" {self._find_line(row)}, but {row.expected_columns} in its first"
                " line; put text that contains the delimiter in quotes, close all"
                " quotes, set the delimiter, or skip titles with `skip=...` and"
                " comments with `comment=...` and the text that they start with."
            )
        if isinstance(error, UnicodeDecodeError) or "UTF8" in message:
            return self._encoding_error()
        if "straddling" in message or isinstance(error, csv.Error):
            return self._find_open_quote() or _LengthError(
                f"{name!r} has a cell or line of more than {LARGEST_BLOCK:,} bytes, the"
                " maximum; shorten it, or use Parquet."
            )
        return error

    def _find_line(self, row: arrow.InvalidRow) -> int:
        """Return the line of a row; Arrow counts rows without empty lines."""
        begins = 1
        reader = csv.reader(self._read_lines(), delimiter=self._delimiter)
        for cells in reader:
            if begins > self._skip and cells and len(cells) != row.expected_columns:
                return begins
            begins = reader.line_num + 1
        return int(row.number or 0)

    def _find_open_quote(self) -> TableError | None:
        """Return an error if a quotation mark is alone."""
        with self._open_text() as file:
            parts = iter(partial(file.read, BLOCK_BYTES), "")
            n = sum(part.count('"') for part in parts)
        if n % 2 == 0:
            return None
        return TableError(
            f"{self.name!r} has a value that is very long or has several lines, and an"
            f" odd number of quotation marks ({n:,}); look for one that is not closed."
        )

    def _encoding_error(self) -> TableError:
        """Make the error that tells where the file is not text in its encoding."""
        decoder = codecs.getincrementaldecoder(self.encoding)()
        n_lines, position = 0, 0
        with pa.input_stream(self.name) as file:
            lines = iter(partial(BufferedReader(file).readline, LARGEST_BLOCK), b"")
            for line in lines:
                n_lines += 1
                position += len(line)
                try:
                    decoder.decode(line)
                except UnicodeDecodeError as error:
                    position += error.start - len(error.object)
                    break
        return TableError(
            f"{self.name!r} is not {self.encoding} text in line {n_lines} (byte"
            f" {position}); save it as UTF-8, or set its encoding, such as cp1252."
        )
