#!/bin/sh
# Has the guard read its keys and policies anew when the mounted Secret or ConfigMap has changed.
#
# The kubelet swaps all files of a mount at once, by turning the link `..data`; where it leads is what changed. The
# reload is recorded under the key's owner. A reload that is refused leaves the old ones in force, and is an alert.
set -eu
every_s=${1:-5}
# The first process of a container is deaf to a signal that it leaves to its default, and a pod is replaced only when all
# its containers have ended: without this line nobody could cancel for the whole grace period. A trap waits for what runs
# in the foreground, hence `wait` below.
trap 'exit 0' TERM
ready() { python -c 'import urllib.request as u; u.urlopen("http://127.0.0.1:22501/readyz", timeout=2)' 2>/dev/null; }

seen= # so that a change between the guard's start and ours is not missed; a reload of what is in force changes nothing
while :; do
    now=$(readlink /etc/guard/secret/..data /etc/guard/policies/..data)
    if [ "$now" != "$seen" ] && ready; then
        GUARD_KEY=$(cat /etc/guard/secret/reload.key)
        export GUARD_KEY
        guard keys reload --ops 127.0.0.1:22501 || true
        guard policy reload --ops 127.0.0.1:22501 --reason "the mounted files changed" || true
        seen=$now
    fi
    sleep "$every_s" &
    wait $!
done
