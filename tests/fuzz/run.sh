#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh TARGET SECONDS: fuzz one parser by libFuzzer with ASan and UBSan. Builds in build/fuzz; what
# it learns stays in build/fuzz/corpus/TARGET, what it finds in build/fuzz/TARGET-*.
set -eu
cd "$(dirname "$0")/../.."
target=$1 seconds=$2
build=build/fuzz

if [ ! -f "tests/fuzz/fuzz_$target.c" ]; then
	echo "no such target: $target; there are:" tests/fuzz/fuzz_*.c | sed 's|tests/fuzz/fuzz_||g; s|\.c||g' >&2
	exit 2
fi
if ! command -v clang >/dev/null; then
	echo 'fuzzing needs clang with its libFuzzer: apt-get install clang libclang-rt-dev' >&2
	exit 3
fi
make -s --no-print-directory CC=clang BUILD=$build SANITIZE=fuzzer-no-link,address,undefined \
	"$build/tests/fuzz_$target"
mkdir -p "$build/corpus/$target"
exec "$build/tests/fuzz_$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 \
	-print_final_stats=1 -artifact_prefix="$build/$target-" \
	"$build/corpus/$target" "tests/fuzz/corpus/$target"
