#!/usr/bin/env bash
# Trains on a Cloud TPU pod, a process a host.
#
#   scripts/launch_tpu_pod.sh [--dry_run] NAME ZONE --config FILE --workdir DIR [more of vlmcog.train ...]
#
# --dry_run prints the command instead of running it. On every host of the TPU virtual machine NAME there is a checkout
# in ~/vlmcog with its environment in .venv, and DIR, and the datasets, lie on a disk that all hosts mount.
set -euo pipefail

run=()
if [ "${1:-}" = --dry_run ]; then run=(printf '%q ') && shift; fi
if [ $# -lt 6 ] || [[ "$1 $2" == -* ]]; then
    sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
name=$1 zone=$2
shift 2

train="cd vlmcog && .venv/bin/python -m vlmcog.train --distributed$(printf ' %q' "$@")"
"${run[@]}" gcloud compute tpus tpu-vm ssh "$name" --zone "$zone" --worker all --command "$train"
