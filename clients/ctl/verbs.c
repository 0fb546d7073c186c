/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl.h"

static const char import_help[] =
	"\n"
	"  --type TYPE         type of rows that name none\n"
	"  --set FIELD=VALUE   for rows with nothing in that field; may be repeated\n"
	"  --uid-from F,F,...  fields a missing uid is made of\n"
	"                      (type, ref or body.ticket, person.badge, body.kind)\n"
	"  --record            all of it is history: stored and counted, never texted\n"
	"  --dry-run           read and check all, publish nothing; needs no Redis\n"
	"  --print             print each event as JSON\n"
	"  --headings FILE     what columns mean (/etc/dibao/headings.tsv, if it is there)\n"
	"  --encoding E        utf-8, gb18030 or utf-16; else found out\n"
	"  --separator S       comma, tab or semicolon; else found out\n"
	"  --format F          table or json; else found out\n"
	"  --zone +HH:MM       of times without one (+08:00)\n"
	"  --refused FILE      where refused rows go (FILE.refused.csv or .jsonl)\n"
	"  --restart           from the first row, though a cut run has left its place\n";

static const char roster_help[] =
	"\n"
	"  import FILE           the people of a table or of JSON lines: badge, name, phone, ...\n"
	"    --delta             who is not in the file stays as he is (else he has left)\n"
	"    --dry-run           tell what would change, change nothing\n"
	"    --allow-removals N  so many may leave, go or get another name (2% if not given)\n"
	"    --headings FILE     what columns mean (/etc/dibao/headings.tsv, if it is there)\n"
	"    --encoding E        utf-8, gb18030 or utf-16; else found out\n"
	"    --separator S       comma, tab or semicolon; else found out\n"
	"    --format F          table or json; else found out\n"
	"    --refused FILE      where refused rows go (FILE.refused.csv or .jsonl)\n"
	"  undo                  the roster before the last change, and back\n"
	"  show BADGE            one person; --reveal tells the whole number, and is audited\n"
	"  confirm BADGE         the number is this person's: shared, handed on or disputed\n";

static const char sms_help[] =
	"\n"
	"  preview UID | FILE | -  the texts of an event, or of JSON lines; sends nothing\n"
	"    --sms-config FILE     dibao-sms' configuration (/etc/dibao/sms.conf)\n"
	"    --at TIME             as if it were then\n"
	"    --price YUAN          of a part, for the cost\n"
	"    --without-roster      do not ask the roster: all are sent, by the event's name\n"
	"  queue                   what waits, why, and until when\n"
	"    --all                 each notice, not the first alone\n"
	"  twice                   what arrived twice, or may have, and how that is known\n"
	"    --all                 each notice, not the first alone\n"
	"  release BATCH           let the texts of a document or an hour go that wait for it\n"
	"  release --uid UID       send a parked notice after all\n"
	"  drop UID                a parked notice was served some other way\n";

const struct ctl_verb ctl_verbs[] = {
	{"setup", "[--acl [--apply [--replace] [--passwords DIR]] [USER ...]]",
	 "load the queue's functions into Redis; print or make its users", ctl_setup, NULL},
	{"publish", "[--endpoint E --key FILE] [--type TYPE --FIELD VALUE ...]",
	 "publish one event by options, or JSON lines on stdin", ctl_publish, NULL},
	{"import", "FILE [OPTION ...]", "publish the rows of a spreadsheet's table, or JSON lines",
	 ctl_import, import_help},
	{"retract", "UID --reason TEXT [--uid NEW]", "take a published event back", ctl_retract,
	 NULL},
	{"correct", "UID [--uid NEW] --FIELD VALUE ...",
	 "publish the event anew with these fields changed, in place of the old one", ctl_correct,
	 NULL},
	{"tail",
	 "[--type T] [--org O] [--name DURABLE] [--since TIME | --last N] [--public] [-n N]",
	 "print events as they arrive", ctl_tail, NULL},
	{"status", "[--watch] [--endpoint E --key FILE]", "the daemon, its Redis and its rates",
	 ctl_status, NULL},
	{"clients", "[--endpoint E --key FILE]", "who is connected, and how far behind",
	 ctl_clients, NULL},
	{"reload", "[--endpoint E --key FILE]", "have the daemon read its configuration anew",
	 ctl_reload, NULL},
	{"durable", "list | set [--board] NAME [HOLD] | forget NAME",
	 "durable names and how long history is held for them", ctl_durable, NULL},
	{"quarantine", "list | show ID | retry ID | drop ID", "entries that were set aside",
	 ctl_quarantine, NULL},
	{"lost", "list | settle ID", "what Redis lost and nobody could put back", ctl_lost, NULL},
	{"schedule", "list | cancel UID", "events that wait for their time", ctl_schedule, NULL},
	{"hide", "--badge BADGE [--until TIME]", "keep a person off boards", ctl_hide, NULL},
	{"unhide", "--badge BADGE", "show a hidden person again", ctl_unhide, NULL},
	{"receipts", "UID", "what became of an event at its clients", ctl_receipts, NULL},
	{"roster", "import FILE [OPTION ...] | undo | show BADGE [--reveal] | confirm BADGE",
	 "who has which badge and number, for the texts", ctl_roster, roster_help},
	{"sms",
	 "preview UID | FILE | - [OPTION ...] | queue [--all] | twice [--all] | release BATCH | "
	 "--uid UID | drop "
	 "UID",
	 "what texts say, when they go, or why not; what waits", ctl_sms, sms_help},
	{"unserved", "[--org ORG] [--type T] [--reason R] [--mailbox NAME] [-n N | --all]",
	 "the notices that no text served, and why", ctl_unserved, NULL},
	{"audit", "[--since TIME] [--last N]", "administrative acts: who, what, when", ctl_audit,
	 NULL},
	{"keygen", "NAME [--kind KIND] [--out FILE] [--show] | NAME --server [--out FILE]",
	 "make a key pair, and print what the policy needs of it", ctl_keygen, NULL},
	{"access", "check NAME [--type T] [--org O] [--file FILE] | reload",
	 "what the access policy says of a name; have the daemon read it anew", ctl_access, NULL},
	{"types", "", "the types of events and their fields", ctl_types, NULL},
	{0},
};
