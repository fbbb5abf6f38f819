#!/usr/bin/env bash
# Trains on the GPUs of several nodes of a SLURM cluster, a process a node; a job that is taken away queues up again.
#
#   scripts/launch_slurm.sh [--dry_run] NODES GPUS_A_NODE --config FILE --workdir DIR [more of vlmcog.train ...]
#
# --dry_run prints the job instead of submitting it. DIR, and the datasets, lie where every node sees them. What sbatch
# should know beside that comes from its own environment variables (SBATCH_PARTITION, SBATCH_ACCOUNT, SBATCH_TIMELIMIT).
set -euo pipefail

submit=(sbatch)
if [ "${1:-}" = --dry_run ]; then submit=(cat) && shift; fi
if [ $# -lt 6 ] || ! [[ "$1 $2" =~ ^[1-9][0-9]*\ [1-9][0-9]*$ ]]; then
    sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
nodes=$1 gpus=$2
shift 2

"${submit[@]}" <<JOB
#!/usr/bin/env bash
#SBATCH --job-name=vlmcog
#SBATCH --nodes=$nodes
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=$gpus
#SBATCH --exclusive
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=TERM@300
# 75: the run was asked to end, and saved; the same command goes on from there.
srun python -m vlmcog.train --distributed$(printf ' %q' "$@") && exit 0
status=\$?
if [ \$status -eq 75 ]; then scontrol requeue "\$SLURM_JOB_ID"; fi
exit \$status
JOB
