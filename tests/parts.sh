# shellcheck shell=sh
# Three parts of ./dev test that are commands too: fuzzing, faults under load, the benchmark. Read by ./dev, which has setup,
# configure_and_build, part, check and count.
# shellcheck disable=SC2154 # ./dev sets root, logs, only, seed, sanitizer, unrandomised, failed and part_failed

# --- fuzz -----------------------------------------------------------------------------------------

# Ten seconds for each target. A report of theirs goes to their own log.
run_fuzz() {
    part fuzz
    targets=$(sh tests/fuzz/run.sh list | grep -F "$only") || return 0
    check 'build with clang' build_fuzz
    [ "$failed" = "$part_failed" ] || return 0
    # shellcheck disable=SC2086 # names without spaces
    sh tests/fuzz/run.sh run --seconds "${SLUICE_FUZZ_SECONDS:-10}" --jobs "${SLUICE_TEST_JOBS:-2}" \
        --brief "$logs" $targets || true
    for target in $targets; do
        fuzz_failed=1
        [ ! -e "$logs/fuzz-$target.ok" ] || fuzz_failed=0
        count "$target" $((1 - fuzz_failed)) "$fuzz_failed" "$logs/fuzz-$target.log"
    done
}

build_fuzz() { sh tests/fuzz/run.sh build; }

command_fuzz() {
    setup test
    sh tests/fuzz/run.sh run "$@"
}

# --- chaos ----------------------------------------------------------------------------------------

# How many replicas ./dev test runs behind the balancer.
chaos_replicas=3

run_chaos() {
    part chaos
    export SLUICE_BIN="$root/build-$sanitizer/sluice"
    check 'the promise under faults' chaos_short
}

chaos_short() {
    # shellcheck disable=SC2086 # empty or a command with arguments
    $unrandomised node tests/chaos/run.mjs --short --replicas "$chaos_replicas" --seed "$seed" --logs "$logs/chaos"
}

command_chaos() {
    setup test
    configure_and_build release --target sluice
    SLUICE_BIN=${SLUICE_BIN:-build/sluice} node tests/chaos/run.mjs "$@"
}

# --- benchmark ------------------------------------------------------------------------------------

# Whether it all runs and nothing is lost. Figures of a build with sanitizers mean nothing, and nobody looks at them.
run_bench() {
    part bench
    check 'the benchmark runs' bench_quick
}

bench_quick() {
    timeout -k 10 300 node bench/run.mjs --quick --sluice "build-$sanitizer/sluice" --tools "build-$sanitizer/bench"
}

command_bench() {
    setup bench
    configure_and_build release --target sluice bench-tools
    node bench/run.mjs "$@"
}
