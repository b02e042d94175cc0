#!/usr/bin/env bash
# status.sh NUMBER: prints running, success or failed for a PBS job.
set -uo pipefail

# -x: ended jobs too (OpenPBS); Torque shows them without. A server that does not answer says nothing about the job.
full=$(qstat -x -f "$1" 2>/dev/null || qstat -f "$1" 2>/dev/null) || { echo running; exit; }
state=$(sed -n 's/^[[:space:]]*job_state = //p' <<<"$full" | head -n 1)
exit_status=$(sed -n 's/^[[:space:]]*[Ee]xit_status = //p' <<<"$full" | head -n 1)

case "$state" in
    C | F) if [ "${exit_status:-1}" = 0 ]; then echo success; else echo failed; fi ;;
    *) echo running ;;
esac
