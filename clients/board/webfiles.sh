#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# webfiles.sh DEMO FILE...: C arrays of the page's files, for webfiles.h, and of the demonstration's
# events, for demo.c. An ETag is the hash of the content; index.html is "/".
set -eu

array()
{
	od -An -v -tu1 "$1" | sed 's/[0-9][0-9]*/&,/g'
}

demo=$1
shift
echo '/* made by clients/board/webfiles.sh */'
echo '#include "webfiles.h"'
echo 'extern const char board_demo[];'
echo 'const char board_demo[] = {'
array "$demo"
echo '0};'
n=0
for file; do
	echo "static const unsigned char file_$n[] = {"
	array "$file"
	echo '0};'
	n=$((n + 1))
done
echo 'const struct http_file board_files[] = {'
n=0
for file; do
	case $file in
	*.html) type='text/html; charset=utf-8' ;;
	*.css) type='text/css; charset=utf-8' ;;
	*.js) type='text/javascript; charset=utf-8' ;;
	*) echo "webfiles.sh: $file: of what type?" >&2; exit 1 ;;
	esac
	path=/${file##*/}
	[ "$path" = /index.html ] && path=/
	hash=$(sha256sum "$file" | cut -c1-32)
	echo "	{\"$path\", \"$type\", file_$n, sizeof file_$n - 1, \"\\\"$hash\\\"\"},"
	n=$((n + 1))
done
echo '	{0},'
echo '};'
