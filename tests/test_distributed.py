"""Where a process stands among others."""

import pathlib
import subprocess

import pytest

from vlmcog import distributed
from vlmcog.errors import UserError

ROOT = pathlib.Path(__file__).parents[1]


@pytest.mark.parametrize("place", ["2/2@localhost:1234", "0/2", "one/2@localhost:1234", "0/2@localhost"])
def test_place_that_is_none_is_refused(place):
    with pytest.raises(UserError, match=rf"'{place}' is not INDEX/COUNT@HOST:PORT"):
        distributed.start(place)


def test_a_single_process_is_the_first_and_speaks_for_all():
    assert distributed.is_first()
    assert distributed.anywhere(True)
    assert not distributed.anywhere(False)
    distributed.wait_for_all("alone")


@pytest.mark.parametrize(
    ("launcher", "place", "said"),
    [
        ("launch_slurm.sh", ["2", "8"], "srun python -m vlmcog.train --distributed --config c.py --workdir a\\ run"),
        ("launch_tpu_pod.sh", ["pod", "zone"], "gcloud compute tpus tpu-vm ssh pod --zone zone --worker all"),
    ],
)
def test_launchers_show_what_they_would_run_and_refuse_less_than_they_need(launcher, place, said):
    command = [str(ROOT / "scripts" / launcher), "--dry_run", *place]
    shown = subprocess.run([*command, "--config", "c.py", "--workdir", "a run"], capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert said in shown.stdout
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "--config FILE --workdir DIR" in refused.stderr
