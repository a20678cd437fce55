#!/usr/bin/env bash
# How many instructions a call costs that has nothing to wait for, bare and decorated. Needs valgrind.
#
# Counted, not timed: the same on a busy machine. What differs between many calls and few is the calls'.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --quiet --release --package decor-benches --example instructions --locked

instructions() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/examples/instructions "$@" 2>&1 |
        awk '/Collected/ { print $4 }'
}

few=1000 many=101000
for case in bare retried 'async bare' 'async retried' 'async logged' 'async timed' exact paced 'async limited' 'async chain'; do
    count=$(($(instructions "$case" $many) - $(instructions "$case" $few)))
    awk -v count=$count -v calls=$((many - few)) -v case="$case" 'BEGIN { printf "%-14s %7.2f instructions a call\n", case, count / calls }'
done
