# shellcheck shell=sh
# The checks that look at the sources alone. Read by ./dev, which has our_files, source_folders, part and check.

lint_format() { our_files '*.[ch]' | xargs -r clang-format --dry-run -Werror; }
lint_layers() { sh tests/lint/layers.sh; }
lint_layers_test() { sh tests/lint/layers_test.sh; }

# shellcheck disable=SC2046 # folder names without spaces
lint_cppcheck() {
    mkdir -p build-asan/cppcheck
    cppcheck -q -j 2 --cppcheck-build-dir=build-asan/cppcheck --error-exitcode=1 --std=c11 \
        --enable=warning,performance,portability --inline-suppr \
        --suppress=missingIncludeSystem --suppress=normalCheckLevelMaxBranches \
        --suppress=checkersReport -D_GNU_SOURCE -DSLUICE_VERSION='"0"' -I. $(source_folders)
}

# shellcheck disable=SC2046 # folder names without spaces
lint_tidy() {
    [ -f build-asan/compile_commands.json ] || cmake --preset asan --log-level=NOTICE || return 1
    our_files '*.c' $(source_folders) | xargs -r -P 2 -n 4 clang-tidy --quiet -p build-asan \
        --extra-arg=-Wno-unknown-warning-option
}

lint_shell() {
    for script in dev .ci/run $(our_files '*.sh'); do
        sh -n "$script" || return 1
    done
    # shellcheck disable=SC2046 # file names without spaces
    ! have shellcheck || shellcheck dev .ci/run $(our_files '*.sh')
}

lint_javascript() { tests/node_modules/.bin/eslint --config tests/lint/eslint.config.mjs bench tests k6; }

run_lint() {
    part lint
    check formatting lint_format
    check layering lint_layers
    check 'layering self-test' lint_layers_test
    check cppcheck lint_cppcheck
    check 'shell scripts' lint_shell
    check JavaScript lint_javascript
}
