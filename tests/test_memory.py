import os
import subprocess
import sys

CODE = """
import resource, sys
import numpy as np
from vlmcog.memory import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
faults = []
for _ in range(4):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(2**24, np.float64)
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(faults[-1])
"""


def _faults(mode: str) -> int:
    environment = os.environ | {"NUMPY_MADVISE_HUGEPAGE": "0"}
    ran = subprocess.run([sys.executable, "-c", CODE, mode], env=environment, capture_output=True, check=True)
    return int(ran.stdout)


def test_freed_blocks_are_used_again():
    assert _faults("keep") < 100 < 10_000 < _faults("default")
