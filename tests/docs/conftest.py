from collections import Counter
from typing import Any

COUNTED = ("in page order", "alone", "left out")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print how many blocks of the pages ran; the tests record it."""
    counts: Counter[str] = Counter()
    for report in terminalreporter.getreports("passed"):
        counts.update(
            {name: n for name, n in report.user_properties if name in COUNTED}
        )
    if counts:
        texts = [f"{counts[name]} {name}" for name in COUNTED]
        terminalreporter.write_line("blocks of the documentation: " + ", ".join(texts))
