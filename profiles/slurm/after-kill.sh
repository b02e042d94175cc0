#!/usr/bin/env bash
# After snakemake itself was killed (kill -9, a login node that went down): its jobs run on, and a new snakemake would
# submit them a second time. In the workflow's folder, this ends the jobs of all earlier runs here and takes the lock
# away; then start snakemake again as before. What the jobs had put on disk is kept and used.
set -euo pipefail

names() { grep -hoP 'SLURM run ID: \K\S+' .snakemake/log/*.log 2>/dev/null | sort -u || true; }
running() { squeue --noheader --user="$(id -un)" --format=%j | grep -cxFf <(names) || true; }

[ -d .snakemake ] || { echo "no .snakemake here: run this in the folder in which snakemake was started" >&2; exit 1; }
if pids=$(pgrep -u "$(id -u)" -f "snakemake.*--workflow-profile" 2>/dev/null); then
    for pid in $pids; do
        [ "$(readlink "/proc/$pid/cwd")" != "$PWD" ] || { echo "snakemake still runs here (process $pid): stop it first" >&2; exit 1; }
    done
fi

for name in $(names); do
    scancel --user="$(id -un)" --name="$name"
done
for _ in $(seq 120); do
    [ "$(running)" -gt 0 ] || break
    sleep 1
done
[ "$(running)" -eq 0 ] || { echo "jobs of earlier runs are still there; see squeue --me" >&2; exit 1; }
rm -rf .snakemake/locks
echo "no job of an earlier run is left; start snakemake again"
