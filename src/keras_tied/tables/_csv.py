"""CSV files, each a single piece, which is read once to learn types, rows and broken lines."""

import codecs
import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial
from io import BufferedReader, BytesIO, StringIO, TextIOWrapper
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow

from keras_tied._table_errors import TableError
from keras_tied._text import quote
from keras_tied.columns import (
    LONG_NUMERAL,
    MISSING,
    find_decimal,
    is_number,
    make_distinct,
)
from keras_tied.tables._errors import report_read_errors
from keras_tied.tables._file import (
    Batches,
    ReadOptions,
    Request,
    TableFile,
    check_names,
    check_width,
    find_format,
)

DELIMITERS = {"\t": "a tab", ";": "a semicolon", "|": "a vertical bar", ",": "a comma"}
SEPARATOR = "sep="  # how Excel names the delimiter, in a line before the names
MOST_LINES = (
    0.9  # the share of lines with as many cells as the first, if a delimiter is right
)
CHARACTERS_TO_LOOK_AT = 2**16
MOST_ACCENTS = (
    0.6  # of the letters of words with an accent, in the languages of Western Europe
)
BLOCK, LARGEST_BLOCK, LINES_IN_BLOCK = 2**20, 2**26, 64
LINES_AT_ONCE = 2**12
BLOCKS_TO_LOOK_AT = 2**8
COMMENTS = ("#", "%")
QUOTED = re.compile('"[^"]*"')


class _EncodingError(TableError):
    """A file is not text in its encoding."""


class _LengthError(TableError):
    """A line does not fit into a block."""


class _Utf8(BytesIO):
    """Lines as a file of UTF-8, for Arrow."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines, self._rest = lines, b""

    def read(self, size: int | None = None, /) -> bytes:
        """Return the next bytes, fewer at the end alone."""
        while len(self._rest) < (size or 0) and (
            lines := list(islice(self._lines, LINES_AT_ONCE))
        ):
            self._rest += "".join(lines).encode()
        part, self._rest = self._rest[:size], self._rest[size:]
        return part


def open_csv(name: str, options: ReadOptions) -> TableFile:
    """Open a CSV file, compressed or not; with a decimal comma, decimals are read as text."""
    if options.delimiter is not None and len(options.delimiter) != 1:
        raise TableError(f"the delimiter is {options.delimiter!r}; give one character.")
    try:
        codecs.lookup(options.encoding or "utf-8")
    except LookupError as error:
        raise TableError(f"{error}; name one such as utf-8 or latin-1.") from error
    csv.field_size_limit(
        max(LARGEST_BLOCK, csv.field_size_limit())
    )  # which all threads share
    encodings = [options.encoding] if options.encoding else _guess_encodings(name)
    for encoding in encodings[:-1]:
        with suppress(_EncodingError):
            return _CsvFile(name, options, encoding, []).learn()
    notes = [
        f"it is not {of} text, and is read as {encodings[-1]}" for of in encodings[:-1]
    ]
    return _CsvFile(name, options, encodings[-1], notes).learn()


def _guess_encodings(name: str) -> list[str]:
    """Return the encodings to try, from the bytes at the beginning."""
    with report_read_errors(name, "a CSV file"), pa.input_stream(name) as file:
        head = file.read(BLOCK)
    if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return ["utf-16"]
    # Where some is UTF-8, or the end is cut off, the file is damaged UTF-8.
    is_utf8 = head[-1:] >= b"\x80" or not head.decode("utf-8", "ignore").isascii()
    if is_utf8 or re.search(rb"[\0\x81\x83\x86-\x88\x8d\x8f\x90\x98\x9d]", head):
        return ["utf-8"]
    runs = re.split(rb"[^A-Za-z\xc0-\xff]+", head)
    words = b"".join(run for run in runs if not run.isascii())
    is_western = len(re.sub(b"[A-Za-z]", b"", words)) <= MOST_ACCENTS * len(words)
    return ["utf-8", "cp1252"] if is_western else ["utf-8"]


class _CsvFile:
    """A CSV file in an encoding, and what is learned of it."""

    def __init__(
        self, name: str, options: ReadOptions, encoding: str, notes: list[str]
    ) -> None:
        self._name, self._options, self._encoding, self._notes = (
            name,
            options,
            encoding,
            notes,
        )
        self._ragged_row: arrow.InvalidRow | None = None
        self._usual = "\t" if find_format(name) == "tsv" else ","

    def learn(self) -> TableFile:
        """Find the delimiter, the names and types of the columns, and the number of rows."""
        header = self._options.header
        self._delimiter = self._options.delimiter or self._find_delimiter()
        cells, longest = self._read_header()
        self._several = (
            len(cells) > 1
        )  # of a single one, an empty line is a missing value
        self._block = min(max(BLOCK, LINES_IN_BLOCK * longest), LARGEST_BLOCK)
        names = [f"x{index}" for index in range(len(cells))]
        if header:
            trimmed = [name.strip() for name in cells]
            names = make_distinct(trimmed)
            if renamed := [
                new for new, old in zip(names, trimmed, strict=True) if new != old
            ]:
                self._notes.append(
                    f"names that are empty or stand twice are now {quote(renamed)}"
                )
        self._names = None if names == cells and header else names
        try:
            self._schema, n_rows, decimal = self._scan(names)
        except _LengthError:
            self._block = LARGEST_BLOCK
            self._schema, n_rows, decimal = self._scan(names)
        marks = decimal, None if self._delimiter == self._usual else self._delimiter
        return TableFile(
            self._name, self._schema, [n_rows], self.read, self._notes, *marks
        )

    def read(self, request: Request) -> Batches:
        """Read the file; see `TableFile`."""
        types = {field.name: field.type for field in self._schema}
        for _ in request.pieces:
            with self._report_errors():
                yield from self._open(types, request.names)

    def _find_delimiter(self) -> str:
        """Find the delimiter of which nearly all lines at the beginning hold as many."""
        lines, size = list[str](), 0
        with self._report_errors():
            for line in self._read_lines():
                if (size := size + len(line)) > CHARACTERS_TO_LOOK_AT:
                    break
                lines.append(line)
        head = "".join(lines).lstrip("\r\n")
        if head.startswith(SEPARATOR) and len(head) > len(SEPARATOR):
            return head[len(SEPARATOR)]
        doubt = list[str]()
        for delimiter, description in DELIMITERS.items() if head.strip() else ():
            with suppress(csv.Error):
                rows = csv.reader(StringIO(head), delimiter=delimiter)
                lengths = [len(row) for row in rows if row]
                # A broken line is refused later, with its number.
                if lengths[0] > 1 and lengths.count(lengths[0]) >= MOST_LINES * len(
                    lengths
                ):
                    if delimiter != self._usual:
                        self._notes.append(f"its delimiter is {description}")
                    return delimiter
                if lengths[-1] > 1 and lengths.count(lengths[-1]) >= len(lengths) / 2:
                    what = (
                        f"most lines hold {description}, and the first ones do not as"
                        " often"
                    )
                    doubt = [f"{what}: --skip passes over those before the names"]
        self._notes += doubt
        return self._usual

    def _read_header(self) -> tuple[list[str], int]:
        """Return the cells of the first line, and the longer of two; note the lines before it."""
        self._skip, rows = 0, list[list[str]]()
        with self._report_errors():
            for cells in (
                reader := csv.reader(self._read_narrow(), delimiter=self._delimiter)
            ):
                if cells and (rows or not cells[0].startswith(SEPARATOR)):
                    rows.append(cells)
                if len(rows) == 2:
                    break
                if not rows:
                    self._skip = reader.line_num
        if not rows:
            raise TableError(
                f"{self._name!r} is empty; give a file with names and rows."
            )
        longest = max(sum(len(cell.encode()) + 1 for cell in row) for row in rows)
        if longest > CHARACTERS_TO_LOOK_AT and (fault := self._find_open_quote()):
            raise fault
        self._first = cells = rows[0]
        check_names(self._name, rows, self._options)
        if len(rows) < 2 and self._options.header:
            raise TableError(
                f"{self._name!r} has a line of names and no rows; give it rows."
            )
        are_whole = all(cell.strip().isdecimal() for cell in cells)
        if self._options.header and not are_whole and all(map(is_number, cells)):
            raise TableError(
                f"{self._name!r} begins with a line of numbers; put a line with the"
                " names of the columns before it, or say --no-header (header=False)."
            )
        return cells, longest

    def _scan(self, names: Sequence[str]) -> tuple[pa.Schema, int, str | None]:
        """Return the types of the columns, the number of rows and the decimal mark."""
        text = self._options.text
        of_text = [name for name in names if text is None or name in text]
        with self._report_errors():
            reader = self._open(dict.fromkeys(of_text, pa.string()))
            more, decimal = self._find_text(of_text, reader.schema)
            if more:
                reader = self._open(dict.fromkeys([*of_text, *more], pa.string()))
            schema = reader.schema
            if any(pa.types.is_binary(dtype) for dtype in schema.types):
                raise self._encoding_error()
            try:
                return schema, sum(batch.num_rows for batch in reader), decimal
            except pa.ArrowInvalid as error:
                if "CSV conversion error" not in str(error):
                    raise
        # A later value does not fit the type of the first block; every value fits text.
        with self._report_errors():
            types, n_rows = list(schema.types), 0
            for batch in self._open(dict.fromkeys(names, pa.string())):
                n_rows += batch.num_rows
                types = [
                    _widen_type(*pair)
                    for pair in zip(types, batch.columns, strict=True)
                ]
        return pa.schema(list(zip(names, types, strict=True))), n_rows, decimal

    def _find_text(
        self, known: Sequence[str], schema: pa.Schema
    ) -> tuple[list[str], str | None]:
        """Find more columns to read as text than the known ones, and the decimal mark.

        These are dates, truth values but "true" and "false", digits that name
        something, and numbers with a point where other columns have a decimal comma.
        """
        decimal = self._options.decimal
        batch = next(self._open(dict.fromkeys(schema.names, pa.string())), None)
        if batch is None:
            return [], decimal
        of, columns = (
            pa.types,
            list(zip(schema.names, schema.types, batch.columns, strict=True)),
        )
        strings = [
            cells
            for n, dtype, cells in columns
            if of.is_string(dtype) and n not in known
        ]
        decimal = decimal or find_decimal(strings)
        texts = []
        for name, dtype, cells in columns:
            if of.is_boolean(dtype):
                plain = pc.is_in(cells.drop_null(), pa.array(["true", "false"]))
                is_text = not pc.all(plain).as_py()
            elif of.is_integer(dtype) or of.is_floating(dtype):
                is_text = bool(
                    pc.any(pc.match_substring_regex(cells, LONG_NUMERAL)).as_py()
                )
                is_text |= decimal == "," and of.is_floating(dtype)
            else:
                is_text = of.is_temporal(dtype)
            texts += [name] * is_text
        floats = any(map(of.is_floating, schema.types))
        if decimal is None and (floats or self._delimiter in ",;"):
            decimal = "." if floats or self._delimiter == "," else ","
        return texts, decimal

    def _open(
        self, types: Mapping[str, pa.DataType], names: Sequence[str] | None = None
    ) -> arrow.CSVStreamingReader:
        has_comments = bool(self._options.comment)
        return arrow.open_csv(
            (
                pa.PythonFile(_Utf8(self._read_lines()), "r")
                if has_comments
                else self._name
            ),
            arrow.ReadOptions(
                use_threads=False,  # or else an error does not tell the row
                block_size=self._block,
                encoding=(
                    "utf8" if has_comments else self._encoding.replace("utf-8", "utf8")
                ),
                column_names=self._names,
                skip_rows=self._skip,
                skip_rows_after_names=int(
                    self._names is not None and self._options.header
                ),
            ),
            arrow.ParseOptions(
                delimiter=self._delimiter,
                newlines_in_values=True,
                ignore_empty_lines=self._several or has_comments,
                invalid_row_handler=self._refuse,
            ),
            arrow.ConvertOptions(
                column_types=dict(types),
                include_columns=None if names is None else list(names),
                null_values=list(MISSING),
                strings_can_be_null=True,
            ),
        )

    def _open_text(self) -> TextIOWrapper:
        encoding = (
            "utf-8-sig"
            if codecs.lookup(self._encoding).name == "utf-8"
            else self._encoding
        )
        return TextIOWrapper(pa.input_stream(self._name), encoding, newline="")

    def _read_lines(self) -> Iterator[str]:
        """Yield the lines, with an empty one for each that is skipped or a comment."""
        mark, in_quotes = self._options.comment, False
        with self._open_text() as file:
            for number, line in enumerate(
                iter(partial(file.readline, LARGEST_BLOCK), "")
            ):
                if len(line) == LARGEST_BLOCK:
                    raise csv.Error("a line is longer than any may be")
                is_comment = mark and not in_quotes and line.startswith(mark)
                if number < self._options.skip or is_comment:
                    line = "\n"
                in_quotes ^= line.count('"') % 2 == 1
                yield line

    def _read_narrow(self) -> Iterator[str]:
        """Yield the lines, unless one has more cells than a file may have columns."""
        for line in self._read_lines():
            n_cells = 1 + QUOTED.sub("", line).count(self._delimiter)
            check_width(self._name, n_cells, self._options)
            yield line

    def _refuse(self, row: arrow.InvalidRow) -> str:
        self._ragged_row = row
        return "error"

    def _report_errors(self) -> AbstractContextManager[None]:
        """Turn an error of Arrow into one with the lines and names of the file."""
        self._ragged_row = None
        return report_read_errors(self._name, "a CSV file", self._explain)

    def _explain(self, name: str, error: Exception) -> Exception:
        message = str(error) if isinstance(error, pa.ArrowInvalid) else ""
        if message and (row := self._ragged_row):
            todo = "say with --skip (skip=...) how many lines stand before the names"
            if (mark := self._first[0][:1]) in COMMENTS:
                todo = f"pass over comments with --comment {mark!r} (comment={mark!r})"
            return TableError(
                f"{name!r} has {row.actual_columns} cells in line"
                f" {self._find_line(row)}, where its first line has"
                f" {row.expected_columns}; put text that holds the delimiter in quotes,"
                f" name another delimiter, or {todo}."
            )
        if isinstance(error, UnicodeDecodeError) or "UTF8" in message:
            return self._encoding_error()
        if "straddling" in message or isinstance(error, csv.Error):
            limit = (
                f"{LARGEST_BLOCK:,} bytes, which are the most; shorten it, or use"
                " Parquet."
            )
            fault = f"{name!r} has a cell or line of more than {limit}"
            return self._find_open_quote() or _LengthError(fault)
        if match := re.search(
            r"column #(\d+): (?:Row #(\d+): )?.*?(invalid value '.*')", message
        ):
            column = self._schema.names[int(match[1])]
            return TableError(
                f"{name!r} has, in column {column!r} and row {int(match[2] or 1) - 1},"
                f" an {match[3]}; it was not there a moment ago: let nothing else write"
                " to the file."
            )
        return error

    def _find_line(self, row: arrow.InvalidRow) -> int:
        """Return the line in which a row begins; Arrow counts rows without empty lines."""
        begins = 1
        for cells in (
            reader := csv.reader(self._read_lines(), delimiter=self._delimiter)
        ):
            if begins > self._skip and cells and len(cells) != row.expected_columns:
                return begins
            begins = reader.line_num + 1
        return int(row.number or 0)

    def _find_open_quote(self) -> TableError | None:
        """Return an error if a quotation mark of a file that is not huge is without another."""
        with self._open_text() as file:
            parts = islice(iter(partial(file.read, BLOCK), ""), BLOCKS_TO_LOOK_AT)
            n = sum(part.count('"') for part in parts)
            if file.read(1):
                return None
        fault = (
            f"{self._name!r} has a very long line and {n:,} quotation marks, an odd"
            " number"
        )
        return (
            TableError(f"{fault}; look for one that is not closed.") if n % 2 else None
        )

    def _encoding_error(self) -> TableError:
        """Make the error that tells where the file is not text in its encoding."""
        decoder = codecs.getincrementaldecoder(self._encoding)()
        lines, position = 0, 0
        with pa.input_stream(self._name) as file:
            for line in iter(
                partial(BufferedReader(file).readline, LARGEST_BLOCK), b""
            ):
                lines += 1
                try:
                    decoder.decode(line)
                except UnicodeDecodeError as error:
                    # The decoder may hold back the beginning of a character of the line
                    # before.
                    position += max(0, error.start - (len(error.object) - len(line)))
                    break
                position += len(line)
        return _EncodingError(
            f"{self._name!r} is not {self._encoding} text in line {lines} (byte"
            f" {position}); save it as UTF-8, or name its encoding, such as latin-1."
        )


def _widen_type(dtype: pa.DataType, values: pa.Array) -> pa.DataType:
    """Return the narrowest type that holds `dtype` and the values that some text stands for."""
    if pa.types.is_string(dtype) or (
        pa.types.is_null(dtype) and values.null_count == len(values)
    ):
        return dtype
    are_numbers = pa.types.is_null(dtype) or pa.types.is_integer(dtype)
    for candidate in [pa.int64(), pa.float64()] if are_numbers else [dtype]:
        with suppress(pa.ArrowException):
            pc.cast(pc.utf8_trim_whitespace(values), candidate)
            return candidate
    return pa.string()
