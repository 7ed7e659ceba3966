#!/bin/sh
# init.sh CONFIG SCRAPE: makes the keys of a fresh set-up, once. The daemon's own key and its keys file, the callers'
# keys, and the one with which Prometheus may scrape and do nothing else. keys.json comes last: while it is not there,
# nobody has used any of them, and whoever was stopped on the way makes all of them anew.
set -eu
umask 077
config=$1
scrape=$2

if [ -e "$config/keys.json" ]; then
    echo "keys: $config/keys.json is there already; nothing to do"
    exit 0
fi
new=$config/.new
rm -rf "$new"
mkdir "$new"
guard keys new --file "$new/daemon-keys.json" --id guard \
    --scopes qot:read,acc:read,trade:simulate > "$new/daemon.key"
guard keys new --file "$new/keys.json" --id prometheus --scopes metrics:read > "$scrape/prometheus.key"
# Prometheus runs as another user; this key opens the metrics and nothing else.
chmod 0755 "$scrape"
chmod 0644 "$scrape/prometheus.key"
for caller in trader agent-1; do
    printf 'key of %s: ' "$caller"
    guard keys new --file "$new/keys.json" --id "$caller" --scopes qot:read,acc:read,trade:simulate
done
printf 'key of desk, the operator: '
guard keys new --file "$new/keys.json" --id desk --scopes admin,metrics:read --owner operator
mv "$new/daemon-keys.json" "$new/daemon.key" "$config"
mv "$new/keys.json" "$config"
rm -rf "$new"
