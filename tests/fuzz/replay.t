#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Each fuzz target over its corpus: no crash, no sanitizer's complaint. One TAP line per target.
cd "$(dirname "$0")" || exit 1
set -- fuzz_*.c
echo "1..$#"
n=0
for source; do
	n=$((n + 1))
	name=${source#fuzz_}
	name=${name%.c}
	if [ -d "corpus/$name" ] && output=$(timeout 60 "$DIBAO_BUILD/tests/replay_$name" "corpus/$name"/* 2>&1); then
		echo "ok $n - the corpus of $name passes ($output)"
	else
		echo "not ok $n - the corpus of $name passes"
		echo "$output" | sed 's/^/# /'
	fi
done
