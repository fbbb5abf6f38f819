import os
import subprocess
import sys

CODE = """
import os, sys
from vlmcog.memory import use_huge_pages
use_huge_pages(sys.argv[1:])
print(os.getpid(), *sys.argv[1:], os.environ["GLIBC_TUNABLES"])
"""


def _run(**variables: str) -> tuple[int, list[str]]:
    environment = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"} | variables
    command = [sys.executable, "-c", CODE, "an argument", "-x"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    words, _ = process.communicate()
    assert process.returncode == 0
    return process.pid, words.split()


def test_a_command_starts_anew_as_the_same_process_with_its_arguments():
    pid, said = _run()
    assert said == [str(pid), "an", "argument", "-x", "glibc.malloc.hugetlb=1"]


def test_tunables_of_the_user_stay():
    assert _run(GLIBC_TUNABLES="glibc.malloc.check=0")[1][-1] == "glibc.malloc.check=0"


def test_a_program_that_calls_a_command_is_not_started_anew():
    code = "from vlmcog.memory import use_huge_pages; use_huge_pages(['--config', 'x']); print('still here')"
    environment = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    ran = subprocess.run(
        [sys.executable, "-c", code, "-x"], env=environment, capture_output=True, text=True, check=True
    )
    assert ran.stdout == "still here\n"
