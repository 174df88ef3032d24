"""Memory for pixels: what was freed is used again, without the kernel."""

import os
import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource
import threading
import numpy as np
from sightflow.engine.allocator import keep_freed_memory

keep_freed_memory()

def fill(n):
    for _ in range(n):
        held = [np.ones(2 << 20, np.uint8) for _ in range(4)]

def count():
    fill(5)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    fill(50)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

{run}
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be asked")
@pytest.mark.parametrize("run", ["count()", "threading.Thread(target=count).start()"])
def test_memory_of_a_picture_that_was_let_go_is_not_cleared_again_for_the_next(run: str) -> None:
    command = [sys.executable, "-c", FAULTS.replace("{run}", run)]
    faults = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    pages_in_all = 50 * 4 * (2 << 20) // os.sysconf("SC_PAGE_SIZE")
    assert faults < pages_in_all / 100
