#!/usr/bin/env bash
# How many instructions a call costs that has nothing to wait for, bare and decorated. Needs valgrind.
#
# Counted, not timed: the same on a busy machine. A call's count is the difference between a run
# with many calls and one with few.
# With `--check`, fails if a case costs more than the bound beside it. The bounds pin what the
# layouts in `src/` buy: `repr(C)` of `TimeoutFuture` (22 instructions of the chain), `repr(usize)`
# of a gate's state (12), `ManuallyDrop` (9) and `repr(C)` (1) in `RetryFuture`. They hold for one
# compiler. A case that reads the clock has some room, for the system's part of it. What is retried
# looks whether another retry is around it, for `attempt()` (8). A name may be made at run time,
# which costs a test for each clone and each drop (`logged` 6, `timed` 20). A limited call marks
# that it was called, and keeps the moment of its admission, for `.settled(..)`. In this binary LLVM
# calls the hash of a memo's key, and does not inline it (60 of `memo get`).
# The cases share one frame, so the code of one moves the counts of others by a few.
set -euo pipefail
cd "$(dirname "$0")/.."
COMPILER='rustc 1.95'

if [[ ${1-} == --check && $(rustc --version) != "$COMPILER".* ]]; then
    echo "skipped: the bounds are those of $COMPILER, and this is $(rustc --version)"
    exit
fi
cargo build --quiet --release --package decor-benches --example instructions --locked
binary=${CARGO_TARGET_DIR:-target}/release/examples/instructions

instructions() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$binary" "$@" 2>&1 |
        awk '/Collected/ { print $4 }'
}

few=1000 many=101000 too_many=0
while IFS=: read -r case bound; do
    count=$(($(instructions "$case" $many) - $(instructions "$case" $few)))
    if ! awk -v count=$count -v calls=$((many - few)) -v case="$case" -v bound="$bound" 'BEGIN {
        each = count / calls
        printf "%-14s %7.2f instructions a call, at most %d\n", case, each, bound
        exit each > bound + 0.5
    }'; then
        too_many=1
    fi
done <<'CASES'
bare:28
retried:43
async bare:27
async retried:132
async logged:91
async timed:289
exact:292
paced:225
async limited:459
memo get:366
async memo:471
async joined:895
async chain:781
CASES

if [[ ${1-} == --check && $too_many == 1 ]]; then
    echo 'a call costs more instructions than its bound: see above' >&2
    exit 1
fi
