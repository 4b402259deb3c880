"""Servers and addresses: what is read, what is refused, and what is told of them."""

import base64
import contextlib
import http.server
import time

import pytest
from tests.processes import serve

from tied_tables._text import hide_secrets
from tied_tables.io import open_table

from .conftest import read, refused

CSV = b"a,b\n1,2\n3,4\n"
SECRET = base64.b64encode(b"me:s3cret").decode()


# The status of an answer, and the length that it tells.
ANSWERS = {
    "sound": (200, len(CSV)),
    "short": (200, 1000),
    "part": (206, len(CSV)),
    "changed": (203, len(CSV)),
    "odd": (299, len(CSV)),
}


class Server(http.server.BaseHTTPRequestHandler):
    """Answers in the way that the path names."""

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        way = self.path.strip("/").partition("?")[0].removesuffix(".csv")
        with contextlib.suppress(ConnectionError):
            if way in ANSWERS:
                status, length = ANSWERS[way]
                self.send(length, CSV, status=status)
            else:
                getattr(self, f"answer_{way}", self.send_error)(404)

    def send(self, length, *parts, status=200):
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        for part in parts:
            self.wfile.write(part)

    def answer_locked(self, _):
        is_known = self.headers["Authorization"] == f"Basic {SECRET}"
        self.send(len(CSV), CSV) if is_known else self.send_error(401)

    def answer_endless(self, _):
        self.send(None, CSV)
        while True:
            self.wfile.write(b"5,6\n" * 2**16)

    def answer_silent(self, _):
        self.send(1000, CSV)
        time.sleep(2)

    def answer_double(self, _):
        self.send_response(200)
        for length in ("8", "1000"):
            self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(CSV)

    def trickle(self, content):
        for byte in content * 20:
            self.wfile.write(bytes([byte]))
            time.sleep(0.02)

    def answer_trickle(self, _):
        self.send(None)
        self.trickle(CSV)

    def answer_crawl(self, _):
        self.trickle(b"HTTP/1.1 200 OK")

    def answer_paused(self, _):
        self.send(None, CSV)
        time.sleep(0.2)
        self.wfile.write(b"5,6\n" * 1000)

    def answer_elsewhere(self, _):
        self.send_response(302)
        self.send_header("Location", "ftp://me:pass%20word@127.0.0.1/x.csv")
        self.end_headers()

    def answer_circle(self, _):
        self.send_response(302)
        self.send_header("Location", self.path)
        self.end_headers()


@pytest.fixture(scope="module")
def server():
    with serve(Server) as place:
        yield place


def test_a_page_is_read_also_behind_a_password(server):
    expected = {"a": [1, 3], "b": [2, 4]}
    assert read(f"http://{server}/sound.csv?token=T").to_pydict() == expected
    source = open_table(f"http://me:s3cret@{server}/locked.csv?token=T#part")
    assert source.name == f"http://{server}/locked.csv"
    assert read(source).to_pydict() == expected


@pytest.mark.parametrize(
    ("way", "said"),
    [
        ("absent", "status 404"),
        ("locked", "status 401"),
        ("short", "ended after 12 of 1,000 bytes"),
        ("endless", "more than 1,000,000 bytes"),
        ("silent", "timed out"),
        ("circle", "status 302"),
        ("double", "ended after 8 of 1,000 bytes"),
        ("part", "status 206"),
        ("changed", "status 203"),
        ("odd", "status 299"),
        ("trickle", "less than 1000 bytes a second"),
        ("crawl", "less than 1000 bytes a second"),
        ("elsewhere", "redirects to 'ftp://127.0.0.1/x.csv', which is not a web page"),
    ],
)
def test_a_server_that_gives_no_table_is_one_sentence(server, way, said, monkeypatch):
    monkeypatch.setattr("tied_tables.io._fetch.TIMEOUT_SECONDS", 0.3)
    address = f"http://{server}/{way}.csv"
    user = address.replace("http://", "http://you:pass%20word@")
    with refused(repr(address), said) as error:
        open_table(f"{user}?token=T", max_copy=10**6)
    for secret in ("you", "word", "token"):
        assert secret not in str(error.value)
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__


def test_a_server_may_pause(server, monkeypatch):
    monkeypatch.setattr("tied_tables.io._fetch.TIMEOUT_SECONDS", 0.3)
    assert read(f"http://{server}/paused.csv").num_rows == 1002


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://user:s3cret@host/x.csv?token=T", "https://host/x.csv"),
        ("https://user@host:80/x.csv#T", "https://host:80/x.csv"),
        ("s3://KEY:SE/CR+ET@bucket/x.csv?region=eu", "s3://bucket/x.csv"),
        ("s3://KEY:SEC?RE#T@bucket/x.csv", "s3://bucket/x.csv"),
        ("s3://user:p@ss@bucket/x", "s3://bucket/x"),
        ("s3://bucket/my rows.csv?key=T", "s3://bucket/my rows.csv"),
        ("http://host:8080/a@b/x.csv", "http://host:8080/a@b/x.csv"),
        ("s3://bucket/year=2026/a@b.csv", "s3://bucket/year=2026/a@b.csv"),
        ("no 'http://u:p@h/x?T', but 'x'", "no 'http://h/x', but 'x'"),
        ("at http://h/x?a=T and s3://K:S@b/y", "at http://h/x and s3://b/y"),
        ("rows?.csv, user:word@host, a://", "rows?.csv, user:word@host, a://"),
        ("fit --query=a?b c@d", "fit --query=a?b c@d"),
    ],
)
def test_an_address_is_told_without_its_secrets(text, expected):
    assert hide_secrets(text) == expected
    assert hide_secrets(expected) == expected
