#!/usr/bin/env bash
# submit.sh RULE CPUS MEMORY_MB MINUTES GPUS SCRIPT: submits a job to PBS and prints its number.
# Site matters (queue, project) go into PBS_OPTIONS, for example: export PBS_OPTIONS="-q standard -A my-project"
set -euo pipefail
rule=$1 cpus=$2 memory_MB=$3 minutes=$4 gpus=$5 script=$6

# PBS runs a job in the home directory; the job's own script goes to the workflow's folder by itself.
mkdir -p .snakemake/pbs_logs
walltime=$(printf '%d:%02d:00' $((minutes / 60)) $((minutes % 60)))
resources="nodes=1:ppn=$cpus,mem=${memory_MB}mb,walltime=$walltime"
[ "$gpus" -eq 0 ] || resources="nodes=1:ppn=$cpus:gpus=$gpus,mem=${memory_MB}mb,walltime=$walltime"
# OpenPBS and PBS Professional: select=1:ncpus=$cpus:ngpus=$gpus:mem=${memory_MB}mb -l walltime=$walltime

# shellcheck disable=SC2086
exec qsub -V -N "$rule" -l "$resources" -j oe -o ".snakemake/pbs_logs/$rule.log" ${PBS_OPTIONS:-} "$script"
