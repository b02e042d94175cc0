#!/usr/bin/env bash
# status.sh NUMBER: prints running, success or failed for a job of submit.sh.
set -uo pipefail

ended() {
    local ending
    ending=$(cat ".snakemake/cluster/$1.job")
    [ -s "$ending" ] || return 1
    if [ "$(cat "$ending")" = 0 ]; then echo success; else echo failed; fi
}

ended "$1" && exit
state=$(qstat -f "$1" 2>&1)
case "$state" in
    *"job_state = C"* | *"job_state = F"* | *"Unknown Job"* | *"has finished"*)
        # Gone without a word: out of time or memory, cancelled, or its node is lost. A last look, as files may be late.
        sleep 5
        ended "$1" || echo failed
        ;;
    # Waiting, running, or a server that does not answer, which says nothing about the job.
    *) echo running ;;
esac
