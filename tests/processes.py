"""Programs, servers and handlers of signals that tests start and end."""

import functools
import http.server
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager


def run_python(*arguments, code=0, environment=None, **options):
    """Run Python as a process of its own, which ends with an exit code.

    A variable of the environment that is None is not set there.
    """
    settings = {"capture_output": True, "text": True, "timeout": 300}
    changed = os.environ | (environment or {})
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        env={name: value for name, value in changed.items() if value is not None},
        **settings | options,
    )
    assert done.returncode == code, done.stderr
    return done


def find_port():
    """A port of loopback that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def serve(handler):
    """The host and port of a server on loopback."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


def serve_folder(folder):
    return serve(functools.partial(Quiet, directory=str(folder)))


@contextmanager
def inherit(number, handler):
    """Handle a signal in this way, as processes do that are started meanwhile."""
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)
