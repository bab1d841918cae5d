#!/bin/sh
# Breaks each rule of layers.sh once, in a tree of its own, and expects exactly that finding.
set -eu
lint=$(cd "$(dirname "$0")" && pwd)/layers.sh
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failed=0

# A small tree that keeps all rules.
fresh_tree() {
    rm -rf "${tree:?}"/*
    for folder in cmd http bridge auth replay core bench docs; do
        mkdir "$tree/$folder"
    done
    header core/log.h '#include <stdio.h>' '#include <yajl/yajl_parse.h>' '#include <sys/epoll.h>'
    header replay/store.h '#include "core/log.h"' '#include <hiredis/hiredis.h>'
    header bridge/hub.h '#include "replay/store.h"' '#include <nats/nats.h>'
    header auth/auth.h '#include "core/log.h"' '#include "replay/shared.h"' '#include <jwt.h>' '#include <openssl/evp.h>'
    header http/worker.h '#include "bridge/hub.h"' '#include "auth/auth.h"' '#include <microhttpd.h>'
    write cmd/main.c '#include "http/worker.h"' '#include "replay/store.h"' '#include "bridge/hub.h"'
    write bench/flood.c '#include <nats/nats.h>' '#include "anything.h"'
    write docs/protocol.md 'The working directory; https://example.org/wo''rk/1; ./wo''rk/x.'
}

write() {
    file=$1
    shift
    printf '%s\n' "$@" >"$tree/$file"
}

header() {
    guarded=$1
    shift
    write "$guarded" '#ifndef GUARD_H' '#define GUARD_H' "$@" '#endif'
}

# expect NAME TEXT: exactly one finding, which holds TEXT; no finding where TEXT is empty.
expect() {
    status=0
    output=$(sh "$lint" "$tree") || status=$?
    if [ -z "$2" ]; then
        [ "$status" = 0 ] && [ -z "$output" ] && return
    else
        case $output in
        *"$2"*) [ "$status" = 1 ] && [ "$(printf '%s\n' "$output" | wc -l)" = 1 ] && return ;;
        esac
    fi
    printf 'NOT OK  %s: exit status %s, expected "%s", found:\n%s\n' "$1" "$status" "$2" "$output"
    failed=1
}

# breaks NAME FILE LINE TEXT: one line added to one file of the good tree.
breaks() {
    fresh_tree
    printf '%s\n' "$3" >>"$tree/$2"
    expect "$1" "$4"
}

fresh_tree
expect 'a tree that keeps the rules' ''

breaks 'bridge includes http' bridge/hub.h '#include "http/worker.h"' 'bridge must not include http/worker.h'
breaks 'http includes replay' http/worker.h '#include "replay/store.h"' 'http must not include replay/store.h'
breaks 'http includes cmd' http/worker.h '#include "cmd/arguments.h"' 'http must not include cmd/arguments.h'
breaks 'auth includes bridge' auth/auth.h '#include "bridge/hub.h"' 'auth must not include bridge/hub.h'
breaks 'auth includes more of replay' auth/auth.h '#include "replay/store.h"' 'auth must not include replay/store.h'
breaks 'replay includes bridge' replay/store.h '#include "bridge/hub.h"' 'replay must not include bridge/hub.h'
breaks 'core includes replay' core/log.h '#  include "replay/store.h"' 'core must not include replay/store.h'
breaks 'an include without its folder' bridge/hub.h '#include "hub.h"' 'write #include "folder/file.h", not "hub.h"'
breaks 'an include upwards' bridge/hub.h '#include "../core/log.h"' 'write #include'
breaks 'an include of bench' core/log.h '#include "bench/table.h"' 'core must not include bench/table.h'

breaks 'nats outside bridge' http/worker.h '#include <nats/nats.h>' '<nats/nats.h> (only: bridge)'
breaks 'microhttpd outside http' bridge/hub.h '#include <microhttpd.h>' '<microhttpd.h> (only: http)'
breaks 'hiredis outside replay' bridge/hub.h '#include <hiredis/hiredis.h>' '(only: replay)'
breaks 'curl outside replay and auth' core/log.h '#include <curl/curl.h>' '(only: replay, auth)'
breaks 'jwt outside auth' http/worker.h '#include <jwt.h>' '<jwt.h> (only: auth)'
breaks 'yajl outside core' bridge/hub.h '#include <yajl/yajl_gen.h>' '(only: core)'
breaks 'jansson outside auth' http/worker.h '#include <jansson.h>' '(only: auth)'
breaks 'openssl outside auth and replay' http/worker.h '#include <openssl/ssl.h>' '(only: auth, replay)'
breaks 'cmd uses a library itself' cmd/main.c '#include <nats/nats.h>' 'cmd must not include <nats/nats.h>'
breaks 'an unknown library' core/log.h '#include <lzma.h>' '<lzma.h> belongs to no library'

breaks 'an unfinished note' docs/protocol.md 'TO''DO: describe' 'docs/protocol.md:2: finish it'
breaks 'a note of brokenness' core/log.h '/* FIX''ME */' 'finish it'
breaks 'three crosses' core/log.h '/* X''XX */' 'finish it'
breaks 'a reference to the shared folder' docs/protocol.md 'See ../shar''ed/design.md' 'one machine only'
breaks 'a path of one machine' docs/protocol.md 'cd /wo''rk/main' 'one machine only'

fresh_tree
write core/log.h '#include <stdio.h>'
expect 'a header without a guard' 'core/log.h:1: a header without an include guard'

fresh_tree
awk 'BEGIN { for (i = 0; i < 601; i++) print "int variable_" i ";" }' >"$tree/core/long.c"
expect 'a long file' 'core/long.c:600: 601 lines'

fresh_tree
mkdir -p "$tree/build/x" "$tree/node_modules"
write build/x/generated.h '/* TO''DO */'
write node_modules/index.js '// TO''DO'
expect 'builds and packages are not ours' ''

[ "$failed" = 0 ] && echo 'each rule of layers.sh is found broken when it is'
exit "$failed"
