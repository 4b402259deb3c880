"""CSV files, each a single piece.

The whole file is read once when it is opened. So the types are right even if a word turns up late
in a column of numbers, the number of rows is known, and a broken line is found before any work.
"""

import codecs
import csv
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from io import StringIO, TextIOWrapper
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow

from keras_tied.tables._errors import TableError, quote, report_read_errors
from keras_tied.tables._kinds import make_distinct
from keras_tied.tables._number_text import LONG_NUMERAL, MISSING, find_decimal
from keras_tied.tables._paths import find_format

DELIMITERS = {"\t": "a tab", ";": "a semicolon", "|": "a vertical bar", ",": "a comma"}
"""The delimiters that are found by themselves; a comma may also be in numbers."""
SEPARATOR = "sep="
"""How Excel names the delimiter, in a line before the names."""
ROWS_TO_FIND_NAMES = 8
MOST_LINES = 0.9
"""So large a share of lines has as many cells as the first, if a delimiter is that of the file."""
CHARACTERS_TO_LOOK_AT = 2**16
MOST_ACCENTS = 0.6
"""The largest share of letters with an accent in the words of Western Europe that have one."""
BLOCK, LARGEST_BLOCK, LINES_IN_BLOCK = 2**20, 2**26, 64


class _EncodingError(TableError):
    """A file is not text in its encoding."""


class CsvFile:
    """A CSV file, compressed or not.

    Args:
        name: of the file.
        delimiter: between the cells of a line; found by itself, if it is None.
        encoding: of the text; found by itself, if it is None.
        text: columns that are text, even where they look like numbers.
        decimal: the decimal mark; if it is a comma, all but whole numbers are read as text.
        header: whether the first line has the names of the columns.

    Attributes:
        notes: what was found by itself, for the user.
        decimal: the decimal mark of the file, or None if it does not tell.
    """

    def __init__(
        self,
        name: str,
        delimiter: str | None = None,
        encoding: str | None = None,
        text: Collection[str] = (),
        decimal: str | None = None,
        header: bool = True,
    ) -> None:
        self.name = name
        if delimiter is not None and len(delimiter) != 1:
            raise TableError(f"the delimiter is {delimiter!r}; give one character.")
        try:
            codecs.lookup(encoding or "utf-8")
        except LookupError as error:
            raise TableError(f"{error}; name one such as utf-8 or latin-1.") from error
        self._text, self._decimal, self._header = set(text), decimal, header
        self.decimal = decimal
        self._ragged_row: arrow.InvalidRow | None = None
        encodings = [encoding] if encoding else self._guess_encodings()
        for self._encoding in encodings:
            self.notes: list[str] = []
            if self._encoding != encodings[0]:
                self.notes.append(f"it is not {encodings[0]} text, and is read as {self._encoding}")
            try:
                self._learn(delimiter)
                break
            except _EncodingError:
                if self._encoding == encodings[-1]:
                    self._encoding = encodings[0]
                    raise

    def _guess_encodings(self) -> list[str]:
        """Return the encodings to try, from the bytes at the beginning."""
        with self._report_errors(), self._open_bytes() as file:
            head = file.read(BLOCK)
        if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return ["utf-16"]
        return ["utf-8", "cp1252"] if _is_western(head) else ["utf-8"]

    def _learn(self, delimiter: str | None) -> None:
        """Find the delimiter, the names and types of the columns, and the number of rows."""
        self._delimiter = delimiter or self._find_delimiter()
        names, longest = self._read_header()
        self._several = len(names) > 1  # of a single one, an empty line is a missing value
        self._block = min(max(BLOCK, LINES_IN_BLOCK * longest), LARGEST_BLOCK)
        self._names = None if self._header else [f"x{index}" for index in range(len(names))]
        if self._header:
            trimmed = [name.strip() for name in names]
            distinct = make_distinct(trimmed)
            if renamed := [new for new, old in zip(distinct, trimmed, strict=True) if new != old]:
                self.notes.append(f"names that are empty or stand twice are now {quote(renamed)}")
            if distinct != names or self._rows_before:
                self._names = distinct
        names = self._names or names
        as_text = {column: pa.string() for column in names if column in self._text}
        self.schema, n_rows = self._scan(names, as_text)
        self.rows = [n_rows]

    def _find_delimiter(self) -> str:
        """Find the delimiter of which nearly all lines at the beginning hold as many."""
        with self._report_errors(), self._open_text() as file:
            head = file.read(CHARACTERS_TO_LOOK_AT)
        lines = head.splitlines(keepends=True)
        head = "".join(lines if len(head) < CHARACTERS_TO_LOOK_AT else lines[:-1])
        if head.startswith(SEPARATOR) and len(head) > len(SEPARATOR):
            return head[len(SEPARATOR)]
        usual = "\t" if find_format(self.name) == "tsv" else ","
        for delimiter, description in DELIMITERS.items() if head.strip() else ():
            with suppress(csv.Error):
                rows = csv.reader(StringIO(head), delimiter=delimiter)
                lengths = [len(row) for row in rows if row]
                # A broken line is refused later, with its number.
                if lengths[0] > 1 and lengths.count(lengths[0]) >= MOST_LINES * len(lengths):
                    if delimiter != usual:
                        self.notes.append(f"its delimiter is {description}")
                    return delimiter
        return usual

    def read(
        self, pieces: Sequence[int], names: Sequence[str], n_rows: int
    ) -> Iterator[pa.RecordBatch]:
        """Read the file; see `TableFile`."""
        types = {field.name: field.type for field in self.schema}
        for _ in pieces:
            with self._report_errors():
                yield from self._open(types, names)

    def _scan(
        self, names: Sequence[str], as_text: Mapping[str, pa.DataType]
    ) -> tuple[pa.Schema, int]:
        """Return the types of the columns and the number of rows."""
        with self._report_errors():
            reader = self._open(as_text)
            if found := self._find_text(names, reader.schema):
                reader = self._open({**as_text, **found})
            schema = reader.schema
            if any(pa.types.is_binary(dtype) for dtype in schema.types):
                raise self._encoding_error()
            try:
                return schema, sum(batch.num_rows for batch in reader)
            except pa.ArrowInvalid as error:
                if "CSV conversion error" not in str(error):
                    raise
        # A later value does not fit the type of the first block; every value fits text.
        with self._report_errors():
            types, n_rows = list(schema.types), 0
            for batch in self._open({name: pa.string() for name in names}):
                n_rows += batch.num_rows
                types = [_widen_type(*pair) for pair in zip(types, batch.columns, strict=True)]
        return pa.schema(list(zip(names, types, strict=True))), n_rows

    def _find_text(self, names: Sequence[str], schema: pa.Schema) -> dict[str, pa.DataType]:
        """Find the columns that are to be read as text, though Arrow takes them for another type.

        These are dates, truth values that are not "true" and "false", digits that name something,
        and numbers with a point where other columns have a decimal comma.
        """
        batch = next(self._open({name: pa.string() for name in names}), None)
        if batch is None:
            return {}
        cells = dict(zip(names, batch.columns, strict=True))
        texts = [field.name for field in schema if pa.types.is_string(field.type)]
        decimal = self._decimal or find_decimal(
            [cells[name] for name in texts if name not in self._text]
        )
        floats = any(map(pa.types.is_floating, schema.types))
        self.decimal = decimal
        if decimal is None and (floats or self._delimiter in ",;"):
            self.decimal = "." if floats or self._delimiter == "," else ","
        found = []
        for name, dtype in zip(schema.names, schema.types, strict=True):
            if pa.types.is_boolean(dtype):
                plain = pc.is_in(cells[name].drop_null(), pa.array(["true", "false"]))
                is_text = not pc.all(plain).as_py()
            elif pa.types.is_integer(dtype) or pa.types.is_floating(dtype):
                codes = pc.match_substring_regex(cells[name], LONG_NUMERAL)
                is_text = bool(pc.any(codes).as_py())
                is_text |= decimal == "," and pa.types.is_floating(dtype)
            else:
                is_text = pa.types.is_temporal(dtype)
            found += [name] * is_text
        return {name: pa.string() for name in found}

    def _open(
        self, types: Mapping[str, pa.DataType], names: Sequence[str] | None = None
    ) -> arrow.CSVStreamingReader:
        return arrow.open_csv(
            self.name,
            arrow.ReadOptions(
                use_threads=False,  # or else an error does not tell the row
                block_size=self._block,
                encoding=self._encoding.replace("utf-8", "utf8"),
                column_names=self._names,
                skip_rows_after_names=self._rows_before + self._header if self._names else 0,
            ),
            arrow.ParseOptions(
                delimiter=self._delimiter,
                newlines_in_values=True,
                ignore_empty_lines=self._several,
                invalid_row_handler=self._refuse,
            ),
            arrow.ConvertOptions(
                column_types=dict(types),
                include_columns=None if names is None else list(names),
                null_values=list(MISSING),
                strings_can_be_null=True,
            ),
        )

    def _refuse(self, row: arrow.InvalidRow) -> str:
        self._ragged_row = row
        return "error"

    @contextmanager
    def _report_errors(self) -> Iterator[None]:
        """Turn an error of Arrow into one with the lines and names of the file."""
        self._ragged_row = None
        with report_read_errors(self.name, "a CSV file"):
            try:
                yield
            except UnicodeDecodeError as error:
                raise self._encoding_error() from error
            except pa.ArrowInvalid as error:
                raise self._explain(error) from error

    def _explain(self, error: Exception) -> Exception:
        message = str(error)
        if row := self._ragged_row:
            return TableError(
                f"{self.name!r} has {row.actual_columns} cells in line "
                f"{self._find_line(row)}, where its first line has {row.expected_columns}; put "
                "text that holds the delimiter in quotes, name another delimiter, or delete what "
                "stands before the names."
            )
        if "UTF8" in message:
            return self._encoding_error()
        if "straddling" in message:
            return TableError(
                f"{self.name!r} has a line of more than {self._block // 2**20} million characters; "
                "look for a quotation mark that is not closed."
            )
        if match := re.search(r"column #(\d+): (?:Row #(\d+): )?.*?(invalid value '.*')", message):
            column = self.schema.names[int(match[1])]
            return TableError(
                f"{self.name!r} has, in column {column!r} and row {int(match[2] or 1) - 1}, an "
                f"{match[3]}; it was not there a moment ago: let nothing else write to the file."
            )
        return error

    def _read_header(self) -> tuple[list[str], int]:
        """Return the names in the first line, and the length of the longer of two lines."""
        with self._report_errors(), self._open_text() as file:
            reader = csv.reader(file, delimiter=self._delimiter)
            try:
                rows = list(islice(reader, ROWS_TO_FIND_NAMES))
                while len(list(filter(None, rows))) < 2 and (row := next(reader, None)) is not None:
                    rows.append(row)
            except csv.Error as error:
                raise TableError(
                    f"{self.name!r} cannot be read as a CSV file: {error}; look for a quotation "
                    "mark that is not closed."
                ) from error
        named = list(map(bool, rows))
        if any(named) and rows[named.index(True)][0].startswith(SEPARATOR):
            named[named.index(True)] = False
        lines = [cells for cells, is_row in zip(rows, named, strict=True) if is_row]
        # Arrow itself passes over empty lines before the names, but not over others.
        self._rows_before = named.index(True) if True in named else 0
        if not lines:
            raise TableError(f"{self.name!r} is empty; give a file with names and rows.")
        names = lines[0]
        if len(lines) < 2 and self._header:
            raise TableError(f"{self.name!r} has a line of names and no rows; give it rows.")
        if self._header and all(map(_is_number, names)) and not all(map(_is_name, names)):
            raise TableError(
                f"{self.name!r} begins with a line of numbers; put a line with the names of the "
                "columns before it, or say --no-header (header=False)."
            )
        length = max(sum(len(cell.encode()) + 1 for cell in line) for line in lines[:2])
        return names, length

    def _open_bytes(self) -> pa.NativeFile:
        return pa.input_stream(self.name, compression="detect")

    def _open_text(self) -> TextIOWrapper:
        encoding = "utf-8-sig" if codecs.lookup(self._encoding).name == "utf-8" else self._encoding
        return TextIOWrapper(self._open_bytes(), encoding, newline="")

    def _find_line(self, row: arrow.InvalidRow) -> int:
        """Return the line in which a row begins; Arrow counts rows without empty lines."""
        with self._open_text() as file:
            reader = csv.reader(file, delimiter=self._delimiter)
            begins = 1
            for cells in reader:
                if cells and len(cells) != row.expected_columns:
                    return begins
                begins = reader.line_num + 1
        return int(row.number or 0)

    def _encoding_error(self) -> TableError:
        """Make the error that tells where the file is not text in its encoding."""
        decoder = codecs.getincrementaldecoder(self._encoding)()
        position, lines = 0, 1
        with self._open_bytes() as file:
            while chunk := file.read(BLOCK):
                try:
                    decoder.decode(chunk)
                except UnicodeDecodeError as error:
                    # The decoder may hold back the beginning of a character of the chunk before.
                    start = max(0, error.start - (len(error.object) - len(chunk)))
                    lines += chunk[:start].count(b"\n")
                    position += start
                    break
                lines += chunk.count(b"\n")
                position += len(chunk)
        return _EncodingError(
            f"{self.name!r} is not {self._encoding} text in line {lines} (byte {position}); save "
            "it as UTF-8, or name its encoding, such as latin-1."
        )


def _is_western(text: bytes) -> bool:
    """Return whether bytes that are no UTF-8 seem to be text in Windows-1252."""
    # Where some is UTF-8, or the end is cut off, the file is damaged UTF-8.
    if text[-1:] >= b"\x80" or not text.decode("utf-8", "ignore").isascii():
        return False
    if re.search(rb"[\0\x81\x83\x86-\x88\x8d\x8f\x90\x98\x9d]", text):
        return False
    runs = re.split(rb"[^A-Za-z\xc0-\xff]+", text)
    words = b"".join(run for run in runs if not run.isascii())
    return len(re.sub(b"[A-Za-z]", b"", words)) <= MOST_ACCENTS * len(words)


def _widen_type(dtype: pa.DataType, values: pa.Array) -> pa.DataType:
    """Return the narrowest type that holds `dtype` and the values that some text stands for."""
    candidates = [dtype]
    if pa.types.is_string(dtype):
        return dtype
    if pa.types.is_null(dtype):
        if values.null_count == len(values):
            return dtype
        candidates = [pa.int64(), pa.float64()]
    elif pa.types.is_integer(dtype):
        candidates = [dtype, pa.float64()]
    values = pc.utf8_trim_whitespace(values)
    return next((kind for kind in candidates if _fits(values, kind)), pa.string())


def _fits(values: pa.Array, dtype: pa.DataType) -> bool:
    try:
        pc.cast(values, dtype)
    except pa.ArrowException:
        return False
    return True


def _is_name(cell: str) -> bool:
    return cell.strip().isdecimal()


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
