"""What this process may use of the machine."""

import os


def available_cores() -> int:
    """The CPU cores that this process may run on; on systems that cannot say, all of the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
