#!/bin/sh
# init.sh CONFIG SCRAPE: makes the keys of a fresh set-up, once. The daemon's own key and its keys file, the callers'
# keys, and the one with which Prometheus may scrape and do nothing else.
set -eu
umask 077
config=$1
scrape=$2

if [ -e "$config/keys.json" ]; then
    echo "keys: $config/keys.json is there already; nothing to do"
    exit 0
fi
guard keys new --file "$config/daemon-keys.json" --id guard \
    --scopes qot:read,acc:read,trade:simulate > "$config/daemon.key"
guard keys new --file "$config/keys.json" --id prometheus --scopes metrics:read > "$scrape/prometheus.key"
# Prometheus runs as another user; this key opens the metrics and nothing else.
chmod 0755 "$scrape"
chmod 0644 "$scrape/prometheus.key"
for caller in trader agent-1; do
    printf 'key of %s: ' "$caller"
    guard keys new --file "$config/keys.json" --id "$caller" --scopes qot:read,acc:read,trade:simulate
done
printf 'key of desk, the operator: '
guard keys new --file "$config/keys.json" --id desk --scopes admin,metrics:read --owner operator
