#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# seeds/show-texts.sh DIRECTORY: prints each text that dibao-sms puts into DIRECTORY/out, once, as it
# appears, until it is ended. For make run. A number shows masked, as a person would be shown it.

set -u
out=$1/out
shopt -s nullglob
declare -A shown
exec 8<> <(:)

while true; do
	for file in "$out"/*.txt; do
		[ "${shown[$file]:-}" ] && continue
		shown[$file]=1
		to= text= body=
		while IFS= read -r line; do
			if [ "$body" ]; then
				text+=$line
			elif [ -z "$line" ]; then
				body=1
			elif [ "${line%%: *}" = to ]; then
				to=${line#to: }
			fi
		done <"$file"
		printf '短信 → %s****%s  %s\n' "${to:0:3}" "${to: -4}" "$text"
	done
	read -r -t 0.3 -u 8 # a pause without a process; nobody writes there
done
