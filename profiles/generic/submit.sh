#!/usr/bin/env bash
# submit.sh RULE THREADS TASKS MEMORY_MB MINUTES GPUS SCRIPT: submits a job to PBS and prints its number.
# Site matters (queue, project) go into PBS_OPTIONS, for example: export PBS_OPTIONS="-q standard -A my-project"
set -euo pipefail
rule=$1 cpus=$(($2 * $3)) memory_MB=$4 minutes=$5 gpus=$6 script=$7

walltime=$(printf '%d:%02d:00' $((minutes / 60)) $((minutes % 60)))
node="nodes=1:ppn=$cpus"
[ "$gpus" -eq 0 ] || node="$node:gpus=$gpus"
resources="$node,mem=${memory_MB}mb,walltime=$walltime"
# OpenPBS and PBS Professional: resources="select=1:ncpus=$cpus:ngpus=$gpus:mem=${memory_MB}mb -l walltime=$walltime"

# Schedulers forget ended jobs, or how they ended; so the job leaves its exit status for status.sh itself.
folder=$PWD/.snakemake/cluster
mkdir -p "$folder"
job=$folder/$(basename "$(dirname "$script")").$(basename "$script")
rm -f "$job.exit"
cat >"$job" <<JOB
#!/bin/bash
bash "$script"
status=\$?
echo "\$status" >"$job.exit.part" && mv "$job.exit.part" "$job.exit"
exit "\$status"
JOB
# shellcheck disable=SC2086
number=$(qsub -V -N "$rule" -l $resources -j oe -o "$job.log" ${PBS_OPTIONS:-} "$job")
echo "$job.exit" >"$folder/$number.job"
echo "$number"
