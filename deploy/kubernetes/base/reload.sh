#!/bin/sh
# Has the guard read its keys and policies anew when the mounted Secret or ConfigMap has changed.
#
# The kubelet swaps all files of a mount at once, by turning the link `..data`; where it leads is what changed. The
# reload is recorded under the key's owner. A reload that is refused leaves the old ones in force, and is an alert.
set -eu
every_s=${1:-5}
state() { readlink /etc/guard/secret/..data /etc/guard/policies/..data; }

GUARD_KEY=$(cat /etc/guard/secret/reload.key)
export GUARD_KEY
seen=$(state)
while sleep "$every_s"; do
    now=$(state)
    [ "$now" = "$seen" ] && continue
    GUARD_KEY=$(cat /etc/guard/secret/reload.key)
    guard keys reload --ops 127.0.0.1:22501 || true
    guard policy reload --ops 127.0.0.1:22501 --reason "the mounted files changed" || true
    seen=$now
done
