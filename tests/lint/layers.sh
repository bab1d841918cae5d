#!/bin/sh
# Checks what the compiler does not: which folder may include which, one library in one folder,
# include guards, the size of files, and words that must not land.
#
# layers.sh [ROOT]: prints one line per finding and exits 1 if there is any.
# shellcheck disable=SC2016 # awk's $ is not the shell's
set -eu
cd "${1:-$(dirname "$0")/../..}"

# Folder, and the folders (or single headers) it may include. cmd wires everything together, so it may see everything.
allowed='
cmd cmd http bridge auth replay core
http http bridge auth core
bridge bridge replay core
auth auth core replay/shared.h
replay replay core
core core
'

# Each third-party library, and the folders that may include it: one library, one folder.
# Two serve two: OpenSSL keys in auth and rediss:// in replay, libcurl URLs in replay and fetching keys in auth.
libraries='
nats/ bridge
microhttpd.h http
hiredis/ replay
curl/ replay auth
jwt.h auth
openssl/ auth replay
yajl/ core
jansson.h auth
uthash.h core
unistr.h core
zlib.h core
'

# Headers of the C library and the kernel, which every folder may include.
platform='
arpa/ asm/ linux/ net/ netinet/ sys/
assert.h ctype.h dirent.h dlfcn.h endian.h errno.h execinfo.h fcntl.h float.h fnmatch.h getopt.h
grp.h inttypes.h libgen.h limits.h locale.h malloc.h math.h netdb.h poll.h pthread.h pwd.h regex.h
sched.h semaphore.h setjmp.h signal.h spawn.h stdalign.h stdarg.h stdatomic.h stdbool.h stddef.h
stdint.h stdio.h stdlib.h stdnoreturn.h string.h strings.h syslog.h termios.h threads.h time.h
unistd.h wchar.h
'

longest_file=600

our_files() {
    find . -type d \( -name .git -o -name 'build*' -o -name node_modules -o -name .cache \) -prune \
        -o -type f ! -name .git "$@" -print | sed 's,^\./,,' | sort
}

includes() {
    for folder in cmd core bridge replay auth http; do
        [ -d "$folder" ] || continue
        find "$folder" -type f -name '*.[ch]' | sort
    done | xargs -r awk -v allowed="$allowed" -v libraries="$libraries" -v platform="$platform" '
        function table(text, into,    lines, words, count, i, j, n) {
            count = split(text, lines, "\n")
            for (i = 1; i <= count; i++) {
                n = split(lines[i], words, " ")
                for (j = 2; j <= n; j++) {
                    into[words[1], words[j]] = 1
                    into[words[1]] = into[words[1]] (j > 2 ? ", " : "") words[j]
                }
            }
        }
        function finding(what) { print FILENAME ":" FNR ": " what }
        BEGIN {
            table(allowed, may)
            table(libraries, library)
            count = split(platform, words, " ")
            for (i = 1; i <= count; i++) free[words[i]] = 1
        }
        FNR == 1 { split(FILENAME, path, "/"); folder = path[1] }
        /^[ \t]*#[ \t]*include[ \t]*"/ {
            split($0, quoted, "\""); name = quoted[2]
            if (split(name, part, "/") != 2 || part[1] == "..")
                finding("write #include \"folder/file.h\", not \"" name "\"")
            else if (!((folder, part[1]) in may) && !((folder, name) in may))
                finding(folder " must not include " name " (it may include: " may[folder] ")")
        }
        /^[ \t]*#[ \t]*include[ \t]*</ {
            name = $0; sub(/^[^<]*</, "", name); sub(/>.*/, "", name)
            group = name
            if (index(name, "/")) group = substr(name, 1, index(name, "/"))
            if (group in free) next
            if (!(group in library))
                finding("<" name "> belongs to no library in the table of tests/lint/layers.sh")
            else if (!((group, folder) in library))
                finding(folder " must not include <" name "> (only: " library[group] ")")
        }'
}

guards() {
    our_files -name '*.h' | xargs -r awk '
        function report() {
            if (previous != "" && !guarded) print previous ":1: a header without an include guard"
        }
        FNR == 1 { report(); previous = FILENAME; guarded = 0; guard = "" }
        /^#pragma once/ { guarded = 1 }
        /^#ifndef / && guard == "" { guard = $2 }
        /^#define / && guard != "" && $2 == guard { guarded = 1 }
        END { report() }'
}

sizes() {
    {
        our_files \( -name '*.[ch]' -o -name '*.sh' -o -name '*.mjs' -o -name '*.js' \
            -o -name '*.cmake' -o -name CMakeLists.txt \)
        [ ! -f dev ] || echo dev
    } | while read -r file; do
        lines=$(wc -l <"$file")
        [ "$lines" -le "$longest_file" ] ||
            echo "$file:$longest_file: $lines lines; a file has at most $longest_file"
    done
}

# Written in pieces, so that this file does not find itself.
words() {
    our_files ! -name LICENSE ! -name package-lock.json ! -name '*.png' | xargs -r grep -InwE \
        'TO''DO|FIX''ME|X''XX' | sed 's/^\([^:]*:[0-9]*\):.*/\1: finish it or file an issue: no TO''DO lands/'
    our_files ! -name LICENSE | xargs -r grep -InE \
        '\.\./shar''ed|(^|[^[:alnum:]_.~/-])/wo''rk(/|$)' |
        sed 's/^\([^:]*:[0-9]*\):.*/\1: a path that exists on one machine only/'
}

found=$(
    includes
    guards
    sizes
    words
)
[ -z "$found" ] || {
    printf '%s\n' "$found"
    exit 1
}
