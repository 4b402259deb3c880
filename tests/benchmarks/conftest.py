"""Made results."""

from benchmarks._results import Result

ABOUT = {
    "command": "c",
    "date": "d",
    "commit": "e",
    "versions": {},
    "not_measured": {},
    "load": 0.1,
    "machine": {"processor": "P", "cores": 2, "memory_gib": 8, "system": "Linux"},
}


def make_result(case, systems):
    """Results of a case: for each system the numbers of its tasks, by turn."""
    runs = {
        name: {"runs": [{"turn": n, "tasks": t} for n, t in enumerate(turns)]}
        for name, turns in systems.items()
    }
    return Result({"case": case, "systems": runs, **ABOUT})
