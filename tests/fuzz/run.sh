#!/bin/sh
# Builds and runs the fuzz targets: `./dev fuzz` for hours, `./dev test fuzz` for ten seconds each.
set -eu
cd "$(dirname "$0")/../.."
root=$PWD
build='build-fuzz'

usage() {
    cat <<'USAGE'
Usage: tests/fuzz/run.sh list
       tests/fuzz/run.sh build
       tests/fuzz/run.sh run [--seconds N] [--jobs N] [--brief LOGS] [TARGET...]

  list           the targets' names
  build          build all of them
  run            build, and run each target (the default: all) from what is kept in tests/fuzz/corpus
    --seconds N  for so long each (the default: 3600)
    --jobs N     so many at a time (the default: one for each processor)
    --brief LOGS what is built already, from the kept inputs alone, with logs in that folder

What a run finds goes to build-fuzz/corpus/TARGET, where the next one goes on; what breaks a target to build-fuzz/artifacts.
USAGE
}

say() { printf '%s\n' "$*"; }
die() {
    printf '%s\n' "fuzz: $*" >&2
    exit 2
}

list() {
    for source in tests/fuzz/*_fuzz.c; do
        basename "$source" _fuzz.c
    done
}

build() {
    cmake --preset fuzz --log-level=NOTICE && cmake --build --preset fuzz --target fuzz-targets
}

# Without llvm-symbolizer, which is in a package of its own, binutils names what stands in a trace.
sanitizer_options() {
    options=print_stacktrace=1:symbolize=1
    have_symbolizer=$(command -v llvm-symbolizer || true)
    [ -n "$have_symbolizer" ] || options=$options:allow_addr2line=1
    export ASAN_OPTIONS="$options:detect_stack_use_after_return=1" UBSAN_OPTIONS="$options" LSAN_OPTIONS=
}

is_number() {
    case $1 in
    '' | 0* | *[!0-9]*) return 1 ;;
    esac
}

# run_one SECONDS LOGS FINDS TARGET: called by xargs. Beside the log of a run that went well, an .ok is left.
run_one() {
    seconds=$1 log=$2/fuzz-$4.log finds=$3/$4 target=$4
    mkdir -p "$finds"
    sanitizer_options
    status=0
    "$build/tests/fuzz/${target}_fuzz" -max_total_time="$seconds" -timeout=25 -print_final_stats=1 \
        -artifact_prefix="$build/artifacts/$target-" "$finds" "tests/fuzz/corpus/$target" \
        >"$log" 2>&1 </dev/null || status=$?
    if [ "$status" = 0 ]; then
        runs=$(sed -n 's/^stat::number_of_executed_units: //p' "$log")
        : >"${log%.log}.ok"
        say "ok      $target (${runs:-0} runs in $seconds s)"
        return 0
    fi
    say "NOT OK  $target ($log)"
    artifact=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
    [ -z "$artifact" ] || say "        replay: $build/tests/fuzz/${target}_fuzz $artifact"
    return 1
}

run_all() {
    seconds=3600 jobs=$(nproc) brief='' targets=''
    while [ $# -gt 0 ]; do
        case $1 in
        --seconds | --jobs | --brief)
            [ $# -gt 1 ] || die "$1 needs a value"
            case $1 in
            --seconds) seconds=$2 ;;
            --jobs) jobs=$2 ;;
            --brief) brief=$2 ;;
            esac
            shift
            ;;
        *)
            list | grep -qxF -e "$1" || die "there is no target '$1'; there are: $(list | tr '\n' ' ')"
            targets="$targets $1"
            ;;
        esac
        shift
    done
    is_number "$seconds" || die "--seconds needs a whole number, not '$seconds'"
    is_number "$jobs" || die "--jobs needs a whole number, not '$jobs'"
    # shellcheck disable=SC2046,SC2086 # names without spaces
    set -- ${targets:-$(list)}
    logs=${brief:-$build/logs} finds=$build/corpus
    if [ -n "$brief" ]; then
        # It starts from the same inputs each time.
        finds=$build/brief
        rm -rf "$finds"
    else
        build
    fi
    mkdir -p "$logs" "$build/artifacts"
    for target; do
        rm -f "$logs/fuzz-$target.log" "$logs/fuzz-$target.ok"
    done
    say "$# targets, $seconds s each, $jobs at a time"
    printf '%s\n' "$@" | xargs -P "$jobs" -n 1 sh "$root/tests/fuzz/run.sh" one "$seconds" "$logs" "$finds"
}

command=${1:-help}
[ $# = 0 ] || shift
case $command in
list) list ;;
build) build ;;
run) run_all "$@" ;;
one) run_one "$@" ;;
help | --help | -h) usage ;;
*)
    usage >&2
    die "there is no command '$command'"
    ;;
esac
