/* SPDX-License-Identifier: Apache-2.0 */
/* The wall on disk: what comes back after a start, and what a file or a disk that is not as it
 * should be costs. Real files; the full disk is a tmpfs in this process' own mount namespace. */
#include "../../clients/board/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include "board_fixture.h"

#define AREAS "3205 320508530000 320508 3205"

enum { BYTES_MAX = 1 << 20 };

static struct fixture {
	char dir[64], path[80], aside[96];
	struct rules rules;
	struct wall *wall;
	struct cache *cache;
	struct trust_note note;
	enum item_area known;
	uint8_t bytes[BYTES_MAX];
} f;

static void on_shown(const struct item *i, void *userdata)
{
	(void)i;
	(void)userdata;
}

static void on_hidden(const uint8_t pid[DIBAO_PID_BYTES], void *userdata)
{
	(void)pid;
	(void)userdata;
}

static void on_removed(const uint8_t pid[DIBAO_PID_BYTES], void *userdata)
{
	(void)userdata;
	if (f.cache)
		cache_removed(f.cache, pid);
}

/* A wall with nothing on it, as of a process just started. */
static void new_wall(void)
{
	struct wall_options o = {.rules = &f.rules,
				 .items_max = 5000,
				 .on_shown = on_shown,
				 .on_hidden = on_hidden,
				 .on_removed = on_removed};

	f.wall = wall_free(f.wall);
	assert_int_equal(wall_new(&f.wall, &o), 0);
}

static void close_cache(void)
{
	f.cache = cache_free(f.cache);
}

/* The process starts: returns how many items came. */
static unsigned start_for(const char *areas)
{
	close_cache();
	new_wall();
	assert_int_equal(cache_new(&f.cache, f.path, areas), 0);
	return cache_load(f.cache, f.wall, &f.note, &f.known);
}

static unsigned start(void)
{
	return start_for(AREAS);
}

static int set_up(void **state)
{
	(void)state;
	memset(&f, 0, sizeof f);
	f.rules = (struct rules){.promotion_ms = 60 * DAY, .award_ms = 365 * DAY, .own = STATION};
	strcpy(f.dir, "/tmp/dibao-cache-XXXXXX");
	if (!mkdtemp(f.dir))
		return -1;
	snprintf(f.path, sizeof f.path, "%s/board.db", f.dir);
	snprintf(f.aside, sizeof f.aside, "%s.damaged", f.path);
	return 0;
}

static int tear_down(void **state)
{
	char command[96];

	(void)state;
	close_cache();
	f.wall = wall_free(f.wall);
	snprintf(command, sizeof command, "rm -rf '%s'", f.dir);
	return system(command) == 0 ? 0 : -1;
}

static void put(const char *uid, const char *name)
{
	uint8_t view[DIBAO_EVENT_MAX_BYTES];
	struct draft d = {.uid = uid, .name = name};
	size_t n = draft_view(&d, view);

	assert_int_equal(wall_put(f.wall, view, n, T0), 0);
}

static void put_many(unsigned from, unsigned to)
{
	char uid[16], name[32];

	for (unsigned i = from; i < to; i++) {
		snprintf(uid, sizeof uid, "n%u", i);
		snprintf(name, sizeof name, "演示%u", i);
		put(uid, name);
	}
}

static struct item *item(const char *uid)
{
	uint8_t pid[DIBAO_PID_BYTES];

	draft_pid(uid, pid);
	return wall_find(f.wall, pid);
}

static void take_back(const char *uid)
{
	uint8_t pid[DIBAO_PID_BYTES];

	draft_pid(uid, pid);
	assert_true(wall_remove(f.wall, pid));
}

static const struct trust_note noted = {
	.boot_id = "boot", .now_ms = T0, .boot_ms = 7, .heartbeat_ms = T0 - 5, .is_trusted = true};

static const char *write_all_of_it(void)
{
	cache_write(f.cache, f.wall, &noted, AREA_BUREAU);
	return cache_state(f.cache);
}

static void begin_with(unsigned n)
{
	assert_int_equal(start(), 0);
	put_many(0, n);
	assert_string_equal(write_all_of_it(), "ok");
}

/* By another program's hand, while ours has it closed. */
static void edit(const char *sql)
{
	sqlite3 *db;
	char *why = NULL;

	assert_int_equal(sqlite3_open(f.path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", sql, why);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static size_t read_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, f.bytes, sizeof f.bytes);

	assert_in_range(n, 1, (ssize_t)sizeof f.bytes - 1);
	close(fd);
	return (size_t)n;
}

static void write_file(const void *bytes, size_t n)
{
	int fd = open(f.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), n);
	close(fd);
}

static void remove_files(void)
{
	char command[128];

	snprintf(command, sizeof command, "rm -rf '%s'/*", f.dir);
	assert_int_equal(system(command), 0);
}

static bool is_there(const char *path)
{
	return access(path, F_OK) == 0;
}

/* ---- what is kept ---- */

static void what_was_written_is_there_after_a_start_and_what_was_taken_back_is_not(void **state)
{
	(void)state;
	begin_with(3);
	item("n1")->shown_ms = T0 + 1;
	item("n1")->is_confirmed = true;
	item("n1")->is_stored = false;
	take_back("n2");
	assert_string_equal(write_all_of_it(), "ok");
	assert_true(item("n1")->is_stored);
	assert_int_equal(start(), 2);
	assert_null(item("n2"));
	assert_non_null(item("n0"));
	assert_int_equal(item("n0")->published_ms, T0);
	assert_int_equal(item("n0")->shown_ms, 0);
	assert_false(item("n0")->is_confirmed);
	assert_true(item("n1")->is_confirmed && item("n1")->is_stored);
	assert_int_equal(item("n1")->shown_ms, T0 + 1);
	assert_memory_equal(item_str(item("n1"), item("n1")->name).p, "演示1", 7);
	assert_int_equal(f.known, AREA_BUREAU);
	assert_string_equal(f.note.boot_id, "boot");
	assert_int_equal(f.note.now_ms, T0);
	assert_int_equal(f.note.boot_ms, 7);
	assert_int_equal(f.note.heartbeat_ms, T0 - 5);
	assert_true(f.note.is_trusted);
}

/* Nothing of it is left in the file, nor beside it. */
static void of_what_was_taken_back_no_byte_stays(void **state)
{
	struct stat st;
	char wal[96];

	(void)state;
	begin_with(1);
	put("x", "不可留存");
	assert_string_equal(write_all_of_it(), "ok");
	take_back("x");
	assert_string_equal(write_all_of_it(), "ok");
	close_cache();
	assert_null(memmem(f.bytes, read_file(f.path), "不可留存", strlen("不可留存")));
	snprintf(wal, sizeof wal, "%s-wal", f.path);
	assert_int_equal(stat(wal, &st), -1);
}

static void without_a_path_nothing_is_done(void **state)
{
	(void)state;
	*f.path = '\0';
	assert_int_equal(start(), 0);
	put("n0", "演示");
	assert_string_equal(write_all_of_it(), "none");
	take_back("n0");
	assert_int_equal(f.known, AREA_NONE);
}

static void a_cache_of_other_organisations_is_begun_anew_in_the_same_file(void **state)
{
	(void)state;
	begin_with(2);
	assert_int_equal(start_for("3205 320506500000 320506 3205"), 0);
	assert_int_equal(f.known, AREA_NONE);
	assert_int_equal(f.note.now_ms, 0);
	assert_false(is_there(f.aside));
	assert_string_equal(write_all_of_it(), "ok");
	assert_int_equal(start(), 0);
}

/* ---- files that are not as they should be ---- */

/* Whatever the file was: what is on the wall was put there, and a cache works from now on. */
static void is_right_or_anew(unsigned n, const char *what, size_t where)
{
	struct item *i;
	size_t at = 0;
	unsigned came = start();
	bool is_moved = is_there(f.aside);

	while ((i = wall_each(f.wall, &at)))
		if (memcmp(item_str(i, i->name).p, "演示", 6) != 0)
			fail_msg("%s at %zu: something else is on the wall", what, where);
	if (came < n && f.known != AREA_NONE)
		fail_msg("%s at %zu: %u of %u came, and the wall is called whole", what, where,
			 came, n);
	if (is_moved && came)
		fail_msg("%s at %zu: moved aside, but %u came of it", what, where, came);
	put_many(0, n + 1);
	assert_string_equal(write_all_of_it(), "ok");
	assert_int_equal(start(), n + 1);
	close_cache();
	remove_files();
}

static void a_file_cut_anywhere_is_moved_aside_and_begun_anew(void **state)
{
	enum { N = 30 };
	static uint8_t whole[BYTES_MAX];
	size_t n;

	(void)state;
	begin_with(N);
	close_cache();
	n = read_file(f.path);
	memcpy(whole, f.bytes, n);
	assert_in_range(n, 12000, 200000);
	for (size_t len = 0; len < n; len += len < 200 ? 20 : 1500) {
		remove_files();
		write_file(whole, len);
		assert_int_equal(start(), 0);
		/* A file of no bytes is a new one, which nobody misses. */
		assert_int_equal(is_there(f.aside), len > 0);
		remove_files();
		write_file(whole, len);
		is_right_or_anew(N, "cut", len);
	}
}

static void a_byte_changed_anywhere_never_shows_what_was_not_published(void **state)
{
	enum { N = 30 };
	static uint8_t whole[BYTES_MAX];
	size_t n;

	(void)state;
	begin_with(N);
	close_cache();
	n = read_file(f.path);
	memcpy(whole, f.bytes, n);
	for (size_t at = 0; at < n; at += at < 100 ? 7 : 211) {
		uint8_t was = whole[at];

		whole[at] ^= 0x40;
		write_file(whole, n);
		whole[at] = was;
		is_right_or_anew(N, "changed", at);
	}
}

static void what_is_no_cache_of_ours_is_kept_aside_as_it_was(void **state)
{
	static const char *const others[] = {
		"UPDATE note SET value='2' WHERE name='schema'", /* of a later version */
		"DELETE FROM note WHERE name='schema'",
		"DROP TABLE note",
		"DROP TABLE item; CREATE TABLE item(pid)",
	};
	sqlite3 *db;

	(void)state;
	for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++) {
		begin_with(2);
		close_cache();
		edit(others[i]);
		edit("CREATE TABLE theirs(x); INSERT INTO theirs VALUES(1)");
		assert_int_equal(start(), 0);
		assert_string_equal(cache_state(f.cache), "ok");
		assert_int_equal(f.known, AREA_NONE);
		assert_int_equal(sqlite3_open(f.aside, &db), SQLITE_OK);
		if (sqlite3_exec(db, "INSERT INTO theirs VALUES(2)", NULL, NULL, NULL) != SQLITE_OK)
			fail_msg("after \"%s\" the file is not kept", others[i]);
		sqlite3_close(db);
		put_many(0, 3);
		assert_string_equal(write_all_of_it(), "ok");
		assert_int_equal(start(), 3);
		close_cache();
		remove_files();
	}
	write_file("it is not a database, but a text that somebody left there", 57);
	assert_int_equal(start(), 0);
	assert_true(is_there(f.aside));
}

static void an_item_that_does_not_fit_its_hash_or_is_none_is_left_out_and_goes(void **state)
{
	(void)state;
	begin_with(8);
	close_cache();
	edit("UPDATE item SET view=CAST(replace(CAST(view AS TEXT),'演示1','演示9') AS BLOB)"
	     " WHERE instr(view,CAST('演示1' AS BLOB));"
	     "UPDATE item SET hash=x'00' WHERE instr(view,CAST('演示2' AS BLOB));"
	     "UPDATE item SET hash='' WHERE instr(view,CAST('演示3' AS BLOB));"
	     "UPDATE item SET view='' WHERE instr(view,CAST('演示4' AS BLOB));"
	     "UPDATE item SET view=zeroblob(70000) WHERE instr(view,CAST('演示5' AS BLOB));"
	     "UPDATE item SET published='abc',shown=x'ff',confirmed=1e9"
	     " WHERE instr(view,CAST('演示6' AS BLOB));");
	assert_int_equal(start(), 3);
	assert_true(item("n0") && item("n6") && item("n7"));
	assert_int_equal(f.known, AREA_NONE); /* so that all is asked for again */
	assert_string_equal(write_all_of_it(), "ok");
	close_cache();
	edit("CREATE TABLE n AS SELECT 1/(count(*)=3) AS ok FROM item;"
	     "CREATE TABLE t(x NOT NULL); INSERT INTO t SELECT ok FROM n");
}

static void notes_of_the_wrong_kind_are_taken_for_nothing(void **state)
{
	(void)state;
	begin_with(1);
	close_cache();
	edit("UPDATE note SET value='soon' WHERE name IN('now','boot','heartbeat','trusted');"
	     "UPDATE note SET value=NULL WHERE name='boot_id';"
	     "UPDATE note SET value=1e300 WHERE name='known';"
	     "INSERT INTO note VALUES('later',1)");
	assert_int_equal(start(), 1);
	assert_string_equal(f.note.boot_id, "");
	assert_int_equal(f.note.now_ms, 0);
	assert_int_equal(f.note.heartbeat_ms, 0);
	assert_false(f.note.is_trusted);
	assert_in_range(f.known, AREA_NONE, AREA_BUREAU);
}

/* More than its pages in memory, so that it has to look at what is on disk. */
static void damage_found_while_running_costs_the_file_but_not_the_wall(void **state)
{
	enum { N = 3000 };
	size_t n;

	(void)state;
	begin_with(N);
	close_cache();
	assert_int_equal(start(), N);
	n = read_file(f.path);
	assert_true(n > 512 * 1024);
	memset(f.bytes + 4096, 0xee, n - 4096);
	write_file(f.bytes, n);
	for (unsigned i = 0; i < 200; i++) {
		char uid[16];

		snprintf(uid, sizeof uid, "n%u", i * 10);
		take_back(uid);
	}
	assert_string_not_equal(cache_state(f.cache), "ok");
	assert_true(is_there(f.aside));
	put("after", "演示后");
	assert_string_equal(write_all_of_it(), "ok");
	assert_int_equal(start(), N - 200 + 1);
	assert_null(item("n10"));
	assert_non_null(item("after"));
}

/* ---- disks ---- */

/* A file system of so many bytes for f.dir, seen by this process alone. */
static void mount_small(unsigned bytes)
{
	char options[32];
	static bool has_own;

	if (!has_own && unshare(CLONE_NEWNS) < 0)
		assert_int_equal(unshare(CLONE_NEWUSER | CLONE_NEWNS), 0);
	has_own = true;
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	snprintf(options, sizeof options, "size=%u", bytes);
	assert_int_equal(mount("tmpfs", f.dir, "tmpfs", 0, options), 0);
}

static void fill_disk(const char *name)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	memset(f.bytes, 1, 4096);
	while (write(fd, f.bytes, 4096) > 0)
		;
	assert_int_equal(errno, ENOSPC);
	close(fd);
}

static void
a_full_disk_costs_the_cache_alone_and_all_is_written_when_it_has_room_again(void **state)
{
	char filler[96];

	(void)state;
	mount_small(512 * 1024);
	begin_with(20);
	snprintf(filler, sizeof filler, "%s/filler", f.dir);
	fill_disk(filler);
	put_many(20, 400);
	take_back("n3");
	assert_string_equal(write_all_of_it(), "writing: database or disk is full");
	take_back("n4");
	assert_string_equal(write_all_of_it(), "writing: database or disk is full");
	assert_non_null(item("n399"));
	assert_int_equal(unlink(filler), 0);
	take_back("n5");
	assert_string_equal(write_all_of_it(), "ok");
	assert_int_equal(start(), 397);
	assert_true(!item("n3") && !item("n4") && !item("n5") && item("n6") && item("n399"));
	close_cache();
	assert_int_equal(umount(f.dir), 0);
}

static void a_start_on_a_full_disk_shows_what_was_kept_and_a_new_one_begins_later(void **state)
{
	char filler[96];

	(void)state;
	mount_small(512 * 1024);
	snprintf(filler, sizeof filler, "%s/filler", f.dir);
	fill_disk(filler);
	assert_int_equal(start(), 0);
	put_many(0, 10);
	assert_string_not_equal(write_all_of_it(), "ok");
	assert_int_equal(unlink(filler), 0);
	assert_string_equal(write_all_of_it(), "ok");
	close_cache();
	fill_disk(filler);
	assert_int_equal(start(), 10);
	assert_int_equal(f.known, AREA_BUREAU);
	close_cache();
	assert_int_equal(umount(f.dir), 0);
}

/* Its disk came late, and has what was there before the board learned better. */
static void a_file_that_could_not_be_opened_at_the_start_is_made_what_the_wall_is(void **state)
{
	char away[80];

	(void)state;
	begin_with(5);
	close_cache();
	snprintf(away, sizeof away, "%s/away", f.dir);
	assert_int_equal(rename(f.path, away), 0);
	assert_int_equal(mkdir(f.path, 0700), 0);
	assert_int_equal(start(), 0);
	assert_string_equal(cache_state(f.cache), "cannot be opened: unable to open database file");
	put_many(3, 6);
	assert_string_not_equal(write_all_of_it(), "ok");
	assert_int_equal(rmdir(f.path), 0);
	assert_int_equal(rename(away, f.path), 0);
	assert_string_equal(write_all_of_it(), "ok");
	assert_int_equal(start(), 3);
	assert_true(!item("n0") && item("n3") && item("n5"));
}

#define t(x) cmocka_unit_test_setup_teardown(x, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		t(what_was_written_is_there_after_a_start_and_what_was_taken_back_is_not),
		t(of_what_was_taken_back_no_byte_stays),
		t(without_a_path_nothing_is_done),
		t(a_cache_of_other_organisations_is_begun_anew_in_the_same_file),
		t(a_file_cut_anywhere_is_moved_aside_and_begun_anew),
		t(a_byte_changed_anywhere_never_shows_what_was_not_published),
		t(what_is_no_cache_of_ours_is_kept_aside_as_it_was),
		t(an_item_that_does_not_fit_its_hash_or_is_none_is_left_out_and_goes),
		t(notes_of_the_wrong_kind_are_taken_for_nothing),
		t(damage_found_while_running_costs_the_file_but_not_the_wall),
		t(a_full_disk_costs_the_cache_alone_and_all_is_written_when_it_has_room_again),
		t(a_start_on_a_full_disk_shows_what_was_kept_and_a_new_one_begins_later),
		t(a_file_that_could_not_be_opened_at_the_start_is_made_what_the_wall_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
