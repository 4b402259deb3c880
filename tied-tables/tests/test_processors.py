"""The processors that a process may use: by its affinity and its control groups."""

import math
import os

import pytest
from tests.marks import for_each
from tests.processes import run_python

from tied_tables import _processors

WITHOUT_QUOTA = "max 100000\n"


def write_system(root, lines, files):
    """The files of Linux that tell of control groups, below a folder."""
    contents = {"proc/self/cgroup": lines}
    contents |= {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    for name, text in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


GROUPS = {
    "container": ("0::/\n", {"cpu.max": "200000 100000\n"}, 2),
    "half": ("0::/\n", {"cpu.max": "50000 100000\n"}, 0.5),
    "no quota": ("0::/\n", {"cpu.max": WITHOUT_QUOTA}, math.inf),
    "nested": (
        "0::/system.slice/a:b.service/job\n",
        {
            "system.slice/cpu.max": "800000 100000\n",
            "system.slice/a:b.service/cpu.max": "150000 50000\n",
            "system.slice/a:b.service/job/cpu.max": WITHOUT_QUOTA,
        },
        3,
    ),
    "group outside of the container": (
        "0::/../../outside\n",
        {"cpu.max": "300000 100000\n"},
        3,
    ),
    "version 1, nested": (
        "5:cpuset:/a\n4:cpu,cpuacct:/a/b\n1:name=systemd:/a\n0::/\n",
        {
            "cpu/cpu.cfs_quota_us": "-1\n",
            "cpu/cpu.cfs_period_us": "100000\n",
            "cpu/a/cpu.cfs_quota_us": "400000\n",
            "cpu/a/cpu.cfs_period_us": "100000\n",
            "cpu/a/b/cpu.cfs_quota_us": "-1\n",
            "cpu/a/b/cpu.cfs_period_us": "100000\n",
        },
        4,
    ),
    "version 1, container": (
        "4:cpuacct,cpu:/docker/0123\n",
        {"cpu/cpu.cfs_quota_us": "250000\n", "cpu/cpu.cfs_period_us": "100000\n"},
        2.5,
    ),
    "version 1, without links": (
        "4:cpu,cpuacct:/docker/0123\n",
        {
            "cpu,cpuacct/cpu.cfs_quota_us": "50000\n",
            "cpu,cpuacct/cpu.cfs_period_us": "25000\n",
        },
        2,
    ),
    "another controller": (
        "3:cpuset:/a\n",
        {"cpuset/a/cpu.max": "100000 100000\n"},
        math.inf,
    ),
}


@for_each(GROUPS, "lines", "files", "processors")
def test_the_quota_is_the_least_of_all_groups_that_the_process_is_in(
    lines, files, processors, tmp_path
):
    write_system(tmp_path, lines, files)
    assert _processors.read_quota(tmp_path) == processors


def test_there_is_no_quota_where_there_are_no_control_groups(tmp_path):
    assert _processors.read_quota(tmp_path) == math.inf


@pytest.mark.parametrize("quota", [0.5, 1.0, 1.9])
def test_less_than_two_processors_are_one(quota, monkeypatch):
    monkeypatch.setattr(_processors, "QUOTA", quota)
    assert _processors.count_processors() == 1


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no affinity here")
def test_a_process_that_may_run_on_one_processor_counts_one():
    program = """
import os
from tied_tables._processors import count_processors
print(count_processors() <= len(os.sched_getaffinity(0)))
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
print(count_processors())
"""
    assert run_python("-c", program).stdout.split() == ["True", "1"]
