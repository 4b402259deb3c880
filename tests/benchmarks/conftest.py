"""Made results."""

from collections.abc import Callable

import pytest
from benchmarks._results import Result


@pytest.fixture(scope="session")
def make_result() -> Callable[..., Result]:
    """Results of the case `tables`, whose one task has these seconds and errors in each
    turn.
    """

    def make(**systems: list[dict[str, float | str]]) -> Result:
        runs = {
            name: {
                "runs": [
                    {"turn": n, "tasks": {"wine": each}} for n, each in enumerate(turns)
                ]
            }
            for name, turns in systems.items()
        }
        machine = {"processor": "P", "cores": 2, "memory_gib": 8, "system": "Linux"}
        about = {
            "command": "c",
            "date": "d",
            "commit": "e",
            "versions": {},
            "not_measured": {},
        }
        about |= {"load": 0.1, "machine": machine}
        return Result({"case": "tables", "systems": runs, **about})

    return make
