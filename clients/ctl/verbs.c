/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl.h"

const struct ctl_verb ctl_verbs[] = {
	{"setup", "", "load the queue's functions into Redis", ctl_setup},
	{"publish", "[--type TYPE --FIELD VALUE ...]",
	 "publish one event by options, or JSON lines on stdin", ctl_publish},
	{"retract", "UID --reason TEXT", "take a published event back", ctl_retract},
	{"correct", "UID [--uid NEW] --FIELD VALUE ...",
	 "publish the event anew with these fields changed, in place of the old one", ctl_correct},
	{"tail",
	 "[--type T] [--org O] [--name DURABLE] [--since TIME | --last N] [--public] [-n N]",
	 "print events as they arrive", ctl_tail},
	{"status", "[--watch]", "the daemon, its Redis and its rates", ctl_status},
	{"clients", "", "who is connected, and how far behind", ctl_clients},
	{"reload", "", "have the daemon read its configuration anew", ctl_reload},
	{"durable", "list | set NAME [HOLD] | forget NAME",
	 "durable names and how long history is held for them", ctl_durable},
	{"quarantine", "list | show ID | retry ID | drop ID", "entries that were set aside",
	 ctl_quarantine},
	{"schedule", "list | cancel UID", "events that wait for their time", ctl_schedule},
	{"hide", "--badge BADGE [--until TIME]", "keep a person off boards", ctl_hide},
	{"unhide", "--badge BADGE", "show a hidden person again", ctl_unhide},
	{"receipts", "UID", "what became of an event at its clients", ctl_receipts},
	{"types", "", "the types of events and their fields", ctl_types},
	{0},
};
