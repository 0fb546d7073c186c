#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# make lint: layout, and what belongs where. Each fault is a line; any fault fails.
set -u
cd "$(dirname "$0")/.." || exit 1
faults=0

fault()
{
	echo "lint: $*"
	faults=$((faults + 1))
}

# confined NAME PATTERN FILES: the header is included by these files alone.
confined()
{
	local name=$1 pattern=$2 file
	shift 2
	while IFS= read -r file; do
		case " $* " in
		*" $file "*) ;;
		*) fault "$file includes $name, which is confined to: $*" ;;
		esac
	done < <(git grep -lE "#include <$pattern>" -- lib daemon clients include)
}

confined msgpack 'msgpack.*\.h' lib/builder.c lib/json.c lib/view.c lib/wire_pack.c lib/wire_request.c
confined zmq 'zmq\.h' lib/dealer.c lib/context.c lib/link.c lib/link_socket.c lib/inflight.h lib/subscriber_parts.h lib/key.c \
	daemon/router.h daemon/router.c daemon/frame.h daemon/zmq_source.c daemon/zap.c daemon/feed.c daemon/limits.c
confined hiredis 'hiredis/.*\.h' lib/queue.c lib/publish.c lib/host/redis_link.h lib/host/redis_link.c \
	lib/host/redis_arena.h lib/host/redis_arena.c clients/ctl/redis.h clients/sms/outbox_functions.c
confined microhttpd 'microhttpd\.h' lib/host/httpd_parts.h
confined utf8proc 'utf8proc\.h' clients/sms/smstext.c clients/sms/person.c
confined sqlite3 'sqlite3\.h' clients/board/cache.c
confined curses 'curses\.h' clients/board/tty.c
confined curl 'curl/curl\.h' clients/sms/http_out.c
confined jansson 'jansson\.h' lib/json.c daemon/control.c clients/board/watch.c clients/board/demo.c \
	clients/board/status.c $(git ls-files 'clients/ctl/*.c' 'seeds/*.c')

# Dependencies point one way: programs, lib, include.
git grep -nE '#include "(\.\./)?(daemon|clients|seeds)/' -- lib include && fault 'lib or include knows a program'
git grep -nE '#include <systemd/|#include "(log|redis_link|options|call)\.h"' -- 'lib/*.[ch]' include ':!lib/host' && fault 'libdibao knows systemd or lib/host'

# exit() in main.c alone; nothing long; nothing left over.
git grep -nE '(^|[^_[:alnum:]])exit\(' -- 'lib/*.c' 'daemon/*.c' ':!daemon/main.c' && fault 'exit() outside of main'
git grep -nE 'TODO|FIXME|XXX[^X]' -- lib daemon clients include && fault 'a note that nobody will read'
while read -r lines file; do
	fault "$file has $lines lines: past 600 it holds two things"
done < <(git ls-files '*.c' '*.h' | xargs wc -l | awk '$2 != "total" && $1 > 600')
for file in $(git ls-files '*.c' '*.h'); do
	head -1 "$file" | grep -q 'SPDX-License-Identifier' || fault "$file: no SPDX line"
done

# Manuals.
for page in $(git ls-files '*.[1-9]'); do
	mandoc -T lint -W warning "$page" >/tmp/lint.$$ 2>&1 || { cat /tmp/lint.$$; fault "$page"; }
	rm -f /tmp/lint.$$
done

if command -v clang-format >/dev/null; then
	for file in $(git ls-files 'lib/*.[ch]' 'daemon/*.[ch]' 'clients/*.[ch]' 'include/*.h'); do
		clang-format --dry-run -Werror "$file" >/dev/null 2>&1 || fault "$file: layout (make format)"
	done
else
	echo 'lint: clang-format is not installed: layout not looked at'
fi

[ "$faults" -eq 0 ] && echo 'lint: nothing found'
exit $((faults > 0))
