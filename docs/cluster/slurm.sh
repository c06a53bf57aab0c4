#!/usr/bin/env bash
# A study on the machines of a Slurm job:  sbatch docs/cluster/slurm.sh --space baselines --study ~/studies/baselines
# What follows the script's name is given to `ablate run`. The guide is README.md beside this.
# Checked: a study on two machines, with a stand-in for srun that goes through SSH. Not checked: no Slurm has run it.
#SBATCH --job-name=ablate
#SBATCH --nodes=3
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --no-kill
#SBATCH --time=12:00:00
# Yours: a partition, and GPUs with --gpus-per-node. Submit it again when its time is over: the study goes on.
set -euo pipefail

# The README's pinned installation, on a disk that all machines have: python3 -m venv ~/ablate-env, and in the clone
# ~/ablate-env/bin/pip install -c constraints.txt '.[cluster]'
source ~/ablate-env/bin/activate

# This job's own token: srun hands the environment to every machine, and to nobody else.
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN
RAY_AUTH_TOKEN=$(python -c "import secrets; print(secrets.token_hex(32))")
# How long machines wait for each other at the start, and for the first one after its end (seconds).
export RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=300 RAY_gcs_rpc_server_reconnect_timeout_s=20

# All of them are read, then the first taken: who stops reading a pipe kills the writer, and with pipefail this script.
hosts=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${hosts%%$'\n'*}
address=$(getent ahostsv4 "$head" | awk 'NR == 1 {print $1}'):6379

# On every machine: start Ray, wait for the others, run the command on the first, stop Ray. What the study says is in the
# first machine's log: ablate-JOB-0.log.
exec srun --kill-on-bad-exit=0 --output="ablate-$SLURM_JOB_ID-%t.log" \
    ray symmetric-run --address "$address" --min-nodes "$SLURM_JOB_NUM_NODES" --disable-usage-stats \
    -- ablate run --address "$address" "$@"
