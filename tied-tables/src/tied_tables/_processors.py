"""The number of processors that this process may use."""

import math
import os
from pathlib import Path

V1_FILES = "cpu.cfs_quota_us", "cpu.cfs_period_us"


def count_processors() -> int:
    """Those of its affinity, but no more than its control groups leave it time for.

    A container or a service can have a quota of two processors on a machine of 64.
    """
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    return max(1, math.floor(min(count, QUOTA)))


def read_quota(root: Path) -> float:
    """The least quota of the control groups that this process is in, in processors.

    Infinite without one. Groups are nested, and each has a quota. A container can have
    the name that its group has outside, where only the outermost folder is there.

    Args:
        root: of the file system.
    """
    quotas = [math.inf]
    try:
        groups = os.fsdecode((root / "proc/self/cgroup").read_bytes())
    except OSError:  # no Linux
        groups = ""
    for line in groups.splitlines():
        _, controllers, name = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        files = V1_FILES if controllers else ("cpu.max",)
        # Version 1 is mounted under all of its names, and mostly linked under each.
        for mount in {"cpu", controllers} if controllers else {""}:
            top = root / "sys/fs/cgroup" / mount
            group = top / name.lstrip("/")
            for folder in (group, *group.parents):
                if folder.is_relative_to(top):
                    quotas.append(_read_files([folder / file for file in files]))
    return min(quotas)


def _read_files(paths: list[Path]) -> float:
    """A quota; files say "200000 100000", or "max" (version 1: -1) without one."""
    try:
        quota, period = " ".join(path.read_text() for path in paths).split()
    except (OSError, ValueError):
        return math.inf
    return math.inf if quota in ("max", "-1") else int(quota) / int(period)


QUOTA = read_quota(Path("/"))
