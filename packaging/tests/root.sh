#!/bin/sh
# A throw-away Debian with a real, booted systemd, for install tests. Needs root, mmdebstrap and
# systemd-container; no container engine and no KVM. It has a network of its own: loopback.
#
#   root.sh make DIR              a fresh root file system (about a minute, 250 MB)
#   root.sh start DIR             boot it and wait until systemd is up
#   root.sh run DIR COMMAND...    run a command inside the booted system
#   root.sh stop DIR
set -eu
act=$1 dir=$(realpath -m "$2")
shift 2
leader() { [ -s "$dir.pid" ] && pgrep -P "$(cat "$dir.pid")"; }
case $act in
make)
    mmdebstrap --quiet --variant=minbase --dpkgopt=force-unsafe-io --include=systemd,systemd-sysv,dbus,passwd,procps \
        --dpkgopt='path-exclude=/usr/share/man/*' bookworm "$dir"
    ;;
start)
    setsid systemd-nspawn -q --register=no --keep-unit --private-network -D "$dir" -b --console=pipe \
        >"$dir.log" 2>&1 </dev/null &
    echo $! >"$dir.pid"
    for _ in $(seq 300); do
        state=$(p=$(leader) && nsenter -t "$p" -a systemctl is-system-running 2>/dev/null) || :
        case $state in running | degraded) exit 0 ;; esac
        sleep 0.2
    done
    echo "not up after 60 s; see $dir.log" >&2
    exit 1
    ;;
run) exec nsenter -t "$(leader)" -a -- "$@" ;;
stop)
    [ -s "$dir.pid" ] || exit 0
    kill -RTMIN+4 "$(leader)" 2>/dev/null || :
    for _ in $(seq 150); do
        kill -0 "$(cat "$dir.pid")" 2>/dev/null || break
        sleep 0.2
    done
    kill -KILL "$(cat "$dir.pid")" 2>/dev/null || :
    rm -f "$dir.pid"
    ;;
esac
