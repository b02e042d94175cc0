#!/usr/bin/env bash
# A real Slurm on this machine alone, for tests: munge, one controller and one node, all on loopback, from Debian's packages.
#   slurm.sh start FOLDER    writes /etc/slurm/slurm.conf and starts the daemons, whose state is in FOLDER; with INSTALL=1
#                            or CI=true it installs what is missing before
#   slurm.sh stop  FOLDER    cancels all jobs, ends the daemons that it started and removes the configuration
# Needs root (munged runs as its own user). Exit status 3: it cannot be had here, and the last line says why.
# An existing /etc/slurm/slurm.conf is somebody's cluster and is never touched, unless these tests wrote it and were
# killed: then what they left is ended first.
set -euo pipefail

action=${1:?start or stop}
state=$(realpath -m "${2:?folder for the state}")
conf=/etc/slurm/slurm.conf
written="# written by the tests of extensive in "
mark="$written$state"
cannot() { echo "no Slurm here: $*" >&2; exit 3; }

install_packages() {
    command -v slurmctld >/dev/null && command -v slurmd >/dev/null && command -v sbatch >/dev/null \
        && command -v munged >/dev/null && return
    local packages="slurmctld slurmd slurm-client munge"
    [ "${INSTALL:-}" = 1 ] || [ "${CI:-}" = true ] || cannot "needs Debian's $packages; INSTALL=1 installs them"
    command -v apt-get >/dev/null || cannot "slurmctld is not installed, and there is no apt-get"
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086
    apt-get install -qq -y --no-install-recommends $packages >"$state/apt.log" 2>&1 \
        || { apt-get update -qq >>"$state/apt.log" 2>&1 && apt-get install -qq -y --no-install-recommends $packages >>"$state/apt.log" 2>&1; } \
        || cannot "apt-get install $packages failed: $(tail -n 1 "$state/apt.log")"
}

write_configuration() {
    local host memory_MB
    host=$(hostname -s)
    memory_MB=$(awk '/^MemTotal/ {print int($2 / 1024 * 0.9)}' /proc/meminfo)
    mkdir -p /etc/slurm "$state"/{ctld,spool,log}
    # config_overrides: more CPUs than there are, so that jobs of several CPUs start on a small machine.
    # OverMemoryKill: without control groups, this is how a job over its memory is ended.
    # MinJobAge: ended jobs stay visible to squeue, as there is no accounting.
    # cred_expire: what a lost node ran starts again after this many seconds, not after two minutes.
    cat >"$conf" <<CONF
$mark
ClusterName=extensive
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=cred_expire=5
StateSaveLocation=$state/ctld
SlurmdSpoolDir=$state/spool
SlurmctldPidFile=$state/slurmctld.pid
SlurmdPidFile=$state/slurmd.pid
SlurmctldLogFile=$state/log/slurmctld.log
SlurmdLogFile=$state/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
MpiDefault=none
MinJobAge=3600
KillWait=2
# A node that was set down stays down until it is resumed.
ReturnToService=1
OverTimeLimit=0
SlurmdParameters=config_overrides
NodeName=$host NodeAddr=127.0.0.1 CPUs=8 RealMemory=$memory_MB State=UNKNOWN
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
}

wait_for() {
    local what=$1 tries=0
    shift
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || { stop; cannot "$what did not answer in 20 s: $(tail -n 2 "$state"/log/*.log 2>/dev/null | tr '\n' ' ')"; }
        sleep 0.2
    done
}

node_is_idle() { sinfo --noheader --format=%t | grep -qx 'idle\|mix\|alloc'; }

start() {
    [ "$(id -u)" -eq 0 ] || cannot "starting it needs root"
    end_leftover
    [ ! -e "$conf" ] || cannot "$conf exists, and these tests did not write it"
    mkdir -p "$state"
    install_packages
    if ! munge -n >/dev/null 2>&1; then
        [ -s /etc/munge/munge.key ] || { mungekey 2>/dev/null || cannot "no munge key"; }
        mkdir -p /run/munge
        chown munge: /run/munge
        chmod 755 /run/munge
        setpriv --reuid=munge --regid=munge --clear-groups munged --pid-file=/run/munge/munged.pid || cannot "munged did not start"
        touch "$state/munged.started"
    fi
    wait_for munged munge -n
    write_configuration
    slurmctld
    wait_for slurmctld scontrol ping
    slurmd
    wait_for slurmd node_is_idle
    echo "Slurm $(sinfo --version | cut -d' ' -f2) with node $(hostname -s) is up"
}

end_process() {
    local file=$1 pid
    [ -s "$file" ] || return 0
    pid=$(cat "$file")
    kill "$pid" 2>/dev/null || return 0
    for _ in $(seq 50); do
        kill -0 "$pid" 2>/dev/null || return 0
        sleep 0.1
    done
    kill -9 "$pid" 2>/dev/null || true
}

# Processes of jobs that lost their parent: without control groups, Slurm does not find them.
end_orphans() {
    local file
    for file in /proc/[0-9]*/environ; do
        if grep -qzx "SLURM_CLUSTER_NAME=extensive" "$file" 2>/dev/null; then
            kill -9 "$(basename "$(dirname "$file")")" 2>/dev/null || true
        fi
    done
}

stop() {
    if [ -e "$conf" ] && [ "$(head -n 1 "$conf")" = "$mark" ]; then
        scancel --user="$(id -un)" 2>/dev/null || true
        for _ in $(seq 30); do
            [ -n "$(squeue --noheader --states=running,completing 2>/dev/null)" ] || break
            sleep 0.2
        done
        end_process "$state/slurmd.pid"
        end_process "$state/slurmctld.pid"
        end_orphans
        # With the configuration left behind, every later snakemake call would wait for the controller.
        rm -f "$conf"
    fi
    if [ -e "$state/munged.started" ]; then
        end_process /run/munge/munged.pid
        rm -f "$state/munged.started"
    fi
}

# What killed tests left, by the folder that their configuration names.
end_leftover() {
    local first
    first=$(head -n 1 "$conf" 2>/dev/null) || return 0
    case "$first" in
        "$written"*) "$0" stop "${first#"$written"}" ;;
    esac
}

case "$action" in
    start) start ;;
    stop) stop ;;
    *) cannot "unknown action '$action'; expected start or stop" ;;
esac
