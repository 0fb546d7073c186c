#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# seeds/run.sh: the whole of dibao at work, on a private Redis (make run).
#
# Starts Redis on a unix socket, dibaod, a publisher of seed events, a subscriber
# that prints them as they arrive, dibao-sms, whose texts go into files (spool) and
# are printed too, and a station's display board; says what runs where; and goes on
# until Ctrl-C, SIGTERM or the terminal's hang-up. All data is new each time and
# lies in build/run/, logs too; nothing outside build/ is touched. One run per
# build directory.
#
# Everything started here is known by its pid and ended by it, subscriber first,
# Redis last, so that cursors and events reach the disk. Each runs in a session
# of its own, lest Ctrl-C hit all at once and out of order; should this script
# itself be killed, the kernel sends them SIGTERM (setpriv --pdeathsig).
#
# BUILD      build directory, absolute (make gives it)
# INTERVAL   seconds between two seed events (3)
# SEED       seed number (1)
#
# Exit status: 0 ended by you; 1 something did not start, or ended by itself.

set -u
umask 077

root=$(cd "$(dirname "$0")/.." && pwd) || exit 1
cd "$root" || exit 1
BUILD=${BUILD:-$root/build}
run=$BUILD/run
# A unix socket's path holds 107 bytes; one relative to here may fit where the whole does not.
[ ${#run} -gt 80 ] && run=${run#"$root"/}
bin=${BUILD#"$root"/}/bin
conf=$run/dibaod.conf
bureau=3205

names=()
pids=()

say() { printf '%s\n' "$*"; }

# start NAME COMMAND...: in the background, its output in NAME.log (of `tail` and `texts`: here).
start()
{
	local name=$1 log=$run/$1.log
	shift
	if [ "$name" = tail ] || [ "$name" = texts ]; then
		setsid setpriv --pdeathsig TERM "$@" </dev/null 2>"$log" 9>&- &
	elif [ "$name" = publisher ]; then
		setsid setpriv --pdeathsig TERM "$@" <"$run/events" >"$log" 2>&1 9>&- &
	elif [ "$name" = seed ]; then
		setsid setpriv --pdeathsig TERM "$@" </dev/null >"$run/events" 2>"$log" 9>&- &
	else
		setsid setpriv --pdeathsig TERM "$@" </dev/null >"$log" 2>&1 9>&- &
	fi
	names+=("$name")
	pids+=($!)
}

# Ends what was started, last first. Nobody is waited for longer than 8 s (dibaod's drain is
# bounded by 5); who is still there then is killed.
end()
{
	local status=$? i tries
	trap '' INT TERM HUP
	trap - EXIT
	for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
		kill -TERM "${pids[i]}" 2>/dev/null || continue
		for ((tries = 0; tries < 160; tries++)); do
			kill -0 "${pids[i]}" 2>/dev/null || break
			sleep 0.05
		done
		kill -KILL "${pids[i]}" 2>/dev/null
	done
	wait 2>/dev/null
	exit $status
}

fail()
{
	say "make run: $1" >&2
	[ $# -gt 1 ] && [ -s "$run/$2.log" ] && tail -n 15 "$run/$2.log" >&2
	exit 1
}

# until_true NAME SECONDS COMMAND...: waits for the command to succeed while NAME, the one
# started last, is alive; it may be true of its end too.
until_true()
{
	local name=$1 tries=$(($2 * 20))
	shift 2
	while ! "$@" >/dev/null 2>&1; do
		kill -0 "${pids[-1]}" 2>/dev/null || { "$@" >/dev/null 2>&1 && break; fail "$name ended at its start" "$name"; }
		((tries--)) || fail "$name did not get ready" "$name"
		sleep 0.05
	done
}

# free_port FROM: the first that nobody listens at.
free_port()
{
	local port
	for ((port = $1; port < 7420; port++)); do
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
	done
	echo "$port"
}

server_key() { sed -n 's/^server_key = //p' "$conf"; }
has_subscriber() { $ctl clients --json | grep -q '"policy":"tail",.*"state":"active"'; }

mkdir -p "$BUILD" || exit 1
exec 9>"$BUILD/run.lock"
flock -n 9 || { say "make run: it runs already, in $run" >&2; exit 1; }
for tool in redis-server redis-cli setsid setpriv "$bin/dibaod" "$bin/dibaoctl" "$bin/dibao-seed" "$bin/dibao-sms" \
	"$bin/dibao-board"; do
	command -v "$tool" >/dev/null || { say "make run: $tool is missing" >&2; exit 1; }
done
rm -rf "$run" && mkdir -m 700 "$run" && mkfifo "$run/events" "$run/tick" || exit 1
trap end EXIT
trap 'exit 0' INT TERM HUP

cat >"$run/redis.conf" <<CONF
port 0
unixsocket $run/redis.sock
unixsocketperm 700
dir $run
appendonly yes
appendfsync always
save ""
maxmemory-policy noeviction
CONF
od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n' >"$run/view.key" || exit 1
port=$(free_port 7320)
endpoint=tcp://127.0.0.1:$port
cat >"$conf" <<CONF
[dibao]
bureau = $bureau
endpoints = $endpoint
control = $run/control
access = $run/access.conf
view_key_file = $run/view.key

[redis]
redis = unix:$run/redis.sock
CONF
terminal=
[ -t 1 ] && terminal=1
ctl="$bin/dibaoctl -c ${conf#"$root"/}"

# Keys for this run alone: the daemon's, those of two subscribers who may see all types, and a board's.
{
	$ctl keygen tail --kind gateway --out "$run/tail.key" >"$run/access.conf" &&
		$ctl keygen dibaod --server --out "$run/dibaod.key" >>"$conf" &&
		printf 'key_file = %s\n' "$run/tail.key" >>"$conf" &&
		$ctl keygen sms-1 --kind gateway --out "$run/sms.key" >>"$run/access.conf" &&
		$ctl keygen board-1 --kind board --out "$run/board.key" >>"$run/access.conf"
} 2>"$run/keygen.log" || fail "dibaoctl keygen failed" keygen

start redis redis-server "$run/redis.conf"
until_true redis 30 redis-cli -s "$run/redis.sock" ping
$ctl setup >"$run/setup.log" 2>&1 || fail "dibaoctl setup failed" setup
while true; do
	start dibaod "$bin/dibaod" -c "$conf"
	until_true dibaod 30 grep -q -e '^notice serving' -e 'bind .*: Address already in use' "$run/dibaod.log"
	grep -q '^notice serving' "$run/dibaod.log" && break
	((port < 7420)) || fail "no port from 7320 to 7419 is free"
	unset 'names[-1]' 'pids[-1]' # another program was faster: the next one
	port=$(free_port $((port + 1)))
	endpoint=tcp://127.0.0.1:$port
	sed -i "s|^endpoints = .*|endpoints = $endpoint|" "$conf"
done

# The roster, whose people the events are about, and the texts: into files, at all hours.
"$bin/dibao-seed" roster --seed "${SEED:-1}" >"$run/roster.csv" 2>"$run/roster.log" &&
	$ctl roster import "$run/roster.csv" >>"$run/roster.log" 2>&1 || fail "the roster's import failed" roster
cat >"$run/sms.conf" <<CONF
[sms]
bureau = $bureau
templates = $root/config/sms/zh-CN
codes = $root/config/sms/codes.tsv
demo = yes

[dibaod]
endpoints = $endpoint
server_key = $(server_key)
key_file = $run/sms.key

[redis]
redis = unix:$run/redis.sock

[text]
signature = 演示公安

[when]
quiet = none

[gateway-1]
driver = spool
directory = $run/spool
CONF
start sms "$bin/dibao-sms" -c "$run/sms.conf"
until_true sms 30 grep -q '^notice active: ' "$run/sms.log"

# The wall of a station, with its district and the bureau; the page finds a port of its own.
cat >"$run/board.conf" <<CONF
[daemon]
bureau = $bureau
endpoints = $endpoint
server_key = $(server_key)
key_file = $run/board.key
durable = board-1

[board]
org = 320508530000
orgs_table = config/orgs.tsv
ranks_table = config/ranks.tsv
cache = $run/board.db
port = 0
CONF
start board "$bin/dibao-board" -c "$run/board.conf"
until_true board 30 grep -q 'the page is at' "$run/board.log"
page=$(sed -n 's/.*the page is at //p' "$run/board.log")
start tail $ctl tail
until_true tail 30 has_subscriber # or it would miss the first event

cat <<TEXT

dibao runs, with the events of a bureau marked as a demonstration (演示数据):
  Redis       $run/redis.sock
  dibaod      $endpoint, control $run/control
  subscriber  prints below what arrives, an event about every ${INTERVAL:-3} s
  dibao-sms   texts go into $run/spool/out and are printed below (短信);
              a proposal gets none, and none goes to a real number
  dibao-board $page  the wall of a station: open it in a browser
  all files   $run (logs: *.log)

Try in another terminal, from $root:
  $ctl status
  $ctl tail --last 5
  $ctl clients
Ctrl-C ends all of it.

TEXT

start texts seeds/show-texts.sh "$run/spool"
start publisher $ctl publish
start seed "$bin/dibao-seed" stream --seed "${SEED:-1}" --interval "${INTERVAL:-3}" --start-now

# Nobody here ends by itself: if one does, that is a failure and all end. The terminal is looked at
# too, for its hang-up signals only the leader of the session, which may be make, which waits for us.
exec 8<>"$run/tick"
while true; do
	read -r -t 0.5 -u 8 # a pause without a process; nobody writes there
	for i in "${!pids[@]}"; do
		kill -0 "${pids[i]}" 2>/dev/null || fail "${names[i]} ended by itself" "${names[i]}"
	done
	[ -z "$terminal" ] || [ -t 1 ] || exit 0
done
