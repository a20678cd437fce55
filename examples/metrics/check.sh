#!/usr/bin/env bash
# Checks the example with a real Prometheus, in a minute or two: examples/metrics/check.sh
#
# Needs prometheus and promtool (Debian: apt-get install prometheus) and curl. Uses port 9464 for
# the example and 9465 for Prometheus. With a path as its argument, keeps the page and the logs
# there.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=examples/metrics
for tool in prometheus promtool curl; do
    command -v "$tool" >/dev/null || { echo "$tool is missing: apt-get install prometheus curl" >&2; exit 1; }
done

work=${1:-$(mktemp -d)}
mkdir -p "$work"
started=()
stop() {
    for process in "${started[@]}"; do kill "$process" 2>/dev/null || true; done
    for process in "${started[@]}"; do wait "$process" 2>/dev/null || true; done
    [ $# -gt 0 ] || rm -rf "$work"
}
# shellcheck disable=SC2064
trap "stop $*" EXIT

step() { printf '\n== %s\n' "$*"; }

step 'the rules and the configuration'
promtool check rules "$here/alerts.yml"
promtool check config "$here/prometheus.yml"

step 'the example scrapes itself'
cargo build --quiet --locked --example metrics
example=${CARGO_TARGET_DIR:-target}/debug/examples/metrics
"$example" --check

step 'the example under load, and a Prometheus that scrapes it'
"$example" --load 20 >"$work/example.log" 2>&1 &
started+=($!)
prometheus --config.file="$here/prometheus.yml" --storage.tsdb.path="$work/data" \
    --web.listen-address=127.0.0.1:9465 >"$work/prometheus.log" 2>&1 &
started+=($!)
for _ in {1..100}; do
    if curl --silent --fail --output "$work/page" http://localhost:9464/metrics &&
        curl --silent --fail --output "$work/ready" http://localhost:9465/-/ready; then
        break
    fi
    sleep 0.2
done
"$example" --ask http://localhost:9465

step 'the page itself'
curl --silent --fail http://localhost:9464/metrics >"$work/page"
promtool check metrics <"$work/page"
grep -c '^# HELP decor_' "$work/page" | xargs printf '%s metrics, without a complaint\n'
