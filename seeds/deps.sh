#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# seeds/deps.sh PACKAGE...: install what is missing of these Debian packages.
#
# Silent and fast when nothing is. Otherwise all that is missing is listed at
# once; on a terminal you are asked; then apt-get installs it, through sudo if
# you are not root. Elsewhere than Debian each package is looked for by what it
# brings (a program, a pkg-config file, a Python module), and what is missing is
# named for you to install by your system's means.
#
# make run and make test start a Redis (and a Kannel) of their own, so the packaged
# ones must not take the port, the memory or the place in the boot. Their
# maintainer scripts would start them: while apt-get runs, a policy-rc.d denies
# exactly these services, and nothing else. It is removed however this script ends;
# a policy-rc.d that is there already is left alone. A service that comes with this
# run is then switched off for the next boot; one that was there before is not
# touched.
#
# Exit status: 0; 69 (EX_UNAVAILABLE) something is missing and stays so.

set -u

EX_UNAVAILABLE=69
POLICY=/usr/sbin/policy-rc.d
MARK='made by seeds/deps.sh of dibao'

say() { printf '%s\n' "$*" >&2; }

fail()
{
	say "$*"
	exit $EX_UNAVAILABLE
}

# ---- elsewhere than Debian: does the system have what the package brings? ----

python_has() { python3 -c "import $1" 2>/dev/null; }

has()
{
	case $1 in
	gcc) command -v cc || command -v gcc ;;
	libc6-dev) echo '#include <stdio.h>' | ${CC:-cc} -E - ;;
	libzmq3-dev) pkg-config --exists libzmq ;;
	libhiredis-dev) pkg-config --exists hiredis ;;
	libmsgpack-dev) pkg-config --exists msgpack || pkg-config --exists msgpack-c ;;
	libsystemd-dev) pkg-config --exists libsystemd ;;
	libinih-dev) pkg-config --exists inih ;;
	libsodium-dev) pkg-config --exists libsodium ;;
	libjansson-dev) pkg-config --exists jansson ;;
	libcmocka-dev) pkg-config --exists cmocka ;;
	kannel) command -v bearerbox ;;
	kannel-extras) ls /usr/lib*/kannel/test/fakesmsc ;;
	redis-tools) command -v redis-cli ;;
	perl) command -v prove ;;
	gnuplot-nox) command -v gnuplot ;;
	python3-zmq) python_has zmq ;;
	python3-*) python_has "${1#python3-}" ;;
	*) command -v "$1" ;;
	esac >/dev/null 2>&1
}

elsewhere()
{
	missing=
	for package; do
		has "$package" || missing="$missing $package"
	done
	[ -z "$missing" ] && exit 0
	fail "missing, by Debian's names:$missing
This is no Debian: install what your system calls them, then run make again."
}

# ---- Debian ----

# Of the packages named, those not installed. dpkg-query knows nothing of a
# package that was never installed, so what it lists is taken away from all.
find_missing()
{
	installed=" $(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "$@" 2>/dev/null |
		sed -n 's/^installed //p' | tr '\n' ' ') "
	missing=
	for package; do
		# Node.js from elsewhere than Debian brings npm, and forbids the package of that name.
		[ "$package" = npm ] && command -v npm >/dev/null && continue
		case $installed in
		*" $package "*) ;;
		*) missing="$missing $package" ;;
		esac
	done
}

# Debian renamed it; the old name is gone from 13 on.
current_name()
{
	if [ "$1" = libmsgpack-dev ] && ! available libmsgpack-dev && available libmsgpack-c-dev; then
		echo libmsgpack-c-dev
	else
		echo "$1"
	fi
}

available() { [ -n "$(apt-cache show --no-all-versions "$1" 2>/dev/null)" ]; }

ask()
{
	[ -t 0 ] && [ -t 2 ] || return 0
	printf 'Install them with apt-get%s? [Y/n] ' "${as_root:+ through sudo}" >&2
	read -r answer || answer=n
	case $answer in
	'' | [Yy]*) ;;
	*) fail "Nothing was installed." ;;
	esac
}

apt_get() { $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q "$@" >&2; }

ours() { [ -f $POLICY ] && grep -q "$MARK" $POLICY; }

deny_services()
{
	case $missing in *redis-server* | *kannel*) ;; *) return ;; esac
	[ -e $POLICY ] && ! ours && return
	printf '#!/bin/sh\n# %s, which removes it at its end\n%s\n' "$MARK" \
		'case $1 in redis-server* | kannel*) exit 101 ;; esac; exit 0' |
		$as_root sh -c "cat >$POLICY && chmod 755 $POLICY"
}

allow_services()
{
	if ours; then
		$as_root rm -f $POLICY
	fi
}

# They came with this run, for `make run` and the tests: no service was asked for.
none_at_boot()
{
	for service in redis-server kannel; do
		case " $missing " in *" $service "*) ;; *) continue ;; esac
		# Both know of it, and either may be the one that this machine boots with.
		$as_root systemctl -q disable $service.service >/dev/null 2>&1
		$as_root update-rc.d $service disable >/dev/null 2>&1
		say "$service was installed for tests only: it was not started and is off at boot."
	done
}

[ $# -gt 0 ] || exit 0
command -v dpkg-query >/dev/null && command -v apt-get >/dev/null || elsewhere "$@"

find_missing "$@"
[ -z "$missing" ] && exit 0
# Only now, for it costs more than all the rest: perhaps the new name is there.
case $missing in
*libmsgpack-dev*)
	name=$(current_name libmsgpack-dev)
	set -- $(echo "$missing" | sed "s/libmsgpack-dev/$name/")
	find_missing "$@"
	[ -z "$missing" ] && exit 0
	;;
esac

say "missing packages:$missing"
as_root=
if [ "$(id -u)" -ne 0 ]; then
	command -v sudo >/dev/null ||
		fail "You are not root and there is no sudo. As root: apt-get install$missing"
	as_root=sudo
	# Without a terminal sudo must not wait for a password that nobody types.
	[ -t 0 ] || as_root='sudo -n'
fi
ask
trap allow_services EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP
deny_services

for package in $missing; do
	available "$package" && continue
	apt_get update
	break
done
# Lists that are too old name files that are gone: then they are fetched anew, once.
apt_get install -y --no-install-recommends $missing ||
	{ apt_get update && apt_get install -y --no-install-recommends $missing; } ||
	fail "apt-get failed: see above. Still missing:$missing"
none_at_boot
