#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# machine.sh DIR ROOT BUILD: boots systemd as a station's machine, in the namespaces that 98-kiosk.t made
# (mounts, processes, network, control groups), from this machine's own system and what `make install`
# puts there. /etc lies under a layer, and /usr/local, /var, /run, /tmp, /home are new, so nothing outside
# is changed. DIR/files is laid over it, DIR/dibao.sock is where the daemon listens.
set -eu
dir=$1 root=$2 build=$3

mount --make-rprivate /
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/files
cp -r "$dir/files/." /mnt/files
touch /mnt/dibao.sock
mount --bind "$dir/dibao.sock" /mnt/dibao.sock
mount -t overlay overlay -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work /etc
mount -t tmpfs -o mode=755 tmpfs /usr/local
make -s -C "$root" -o all install "BUILD=$build" PREFIX=/usr/local SYSCONFDIR=/etc DESTDIR= >/dev/null
for d in /home /var /run; do mount -t tmpfs -o mode=755 tmpfs $d; done

# As dibao-kiosk.service says, but for what headless needs not; udev brings the last two groups.
for g in render input; do getent group $g >/dev/null || groupadd --system $g; done
useradd --system --create-home --groups video,render,input kiosk

rm -rf /etc/systemd/system/*
mkdir -p /run/systemd/system /run/dibao /var/log /var/tmp
cp -r /mnt/files/. /
touch /run/dibao/dibao.sock
mount --bind /mnt/dibao.sock /run/dibao/dibao.sock
umount -l /mnt
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t proc proc /proc
exec env container=other /lib/systemd/systemd --system --unit=station.target --log-target=console --show-status=no
