#!/usr/bin/env bash
# Counts the instructions of a call that has nothing to wait for, bare and decorated. Needs
# valgrind.
#
# The count of a call is the difference between a run with many calls and a run with few. The counts
# are the same on a busy machine.
#
# With `--check`, fails if a case costs more than its bound. The bounds hold for one compiler, and
# pin the gains of the layouts in `src/`: `repr(C)` of `TimeoutFuture` (22 instructions of the
# chain), `repr(usize)` of a gate's state (12), `ManuallyDrop` (9) and `repr(C)` (1) in
# `RetryFuture`. `repr(C)` of a gate's passage saves time and no instructions: without it, `timed`
# waits 7 ns for a store. The other costs:
#
# - A case that reads the clock has some room for the system's part of the read.
# - A retried call checks for a retry around it, for `attempt()` (8).
# - A name may be made at run time, which costs a test for each clone and drop (`logged` 6,
#   `timed` 20).
# - A store into a full memo (`memo evicting`) does most of its work in moka. Its count depends on
#   the seed of the hasher, and has some room.
# - A limited call records its call and the time of its admission, for `.settled(..)`.
# - An exact limiter checks that it has no fast path, which a paced one has (10 of `exact`).
# - A limit may be that of a store (6 of `exact`, 3 of `async limited`).
# - A limit sets the deadline of its call, and restores the one before (25 of the chain). The cells
#   themselves take 10; LLVM moves the output once more, because the cells are restored after it.
# - The capacity and the times of a memo can be reloaded (2 of `memo get`, 4 of `async joined`), and
#   those of a pacer (2 of `paced`).
# - A load in the background leaves its caller's deadline. The branch for it moves registers (12 of
#   `async memo`).
#
# The cases share a stack frame, so the code of one case moves the counts of others by a few.
set -euo pipefail
cd "$(dirname "$0")/.."
COMPILER='rustc 1.95'

if [[ ${1-} == --check && $(rustc --version) != "$COMPILER".* ]]; then
    echo "skipped: the bounds are those of $COMPILER, and this is $(rustc --version)"
    exit
fi
cargo build --quiet --release --package decor-benches --example instructions --example unobserved --locked
binaries=${CARGO_TARGET_DIR:-target}/release/examples

instructions() {
    local binary=instructions
    case $1 in *traced | *metered) binary=unobserved ;; esac
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$binaries/$binary" "$@" 2>&1 |
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
async retried:134
async logged:91
async timed:282
async traced:89
async metered:121
exact:295
paced:189
async limited:450
memo get:226
memo evicting:24000
async memo:325
async joined:611
async chain:794
CASES

if [[ ${1-} == --check && $too_many == 1 ]]; then
    echo 'a call costs more instructions than its bound: see above' >&2
    exit 1
fi
