/* SPDX-License-Identifier: Apache-2.0 */
#include "cache.h"

#include "log.h"

#include <errno.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* SCHEMA changes with the tables: a file of another one is begun anew. */
#define SCHEMA "1"

enum { CACHE_KIB = 256, WAL_PAGES = 64, HASH_BYTES = 16, BUSY_MS = 200 };

struct cache {
	char path[PATH_MAX];
	char areas[64];
	sqlite3 *db; /* NULL: none, or it could not be opened */
	sqlite3_stmt *put, *drop, *note;
	bool write_all; /* what is on disk may be more, or other, than the wall */
	bool in_transaction;
	char state[128];
};

static const char tables[] =
	"CREATE TABLE item(pid BLOB PRIMARY KEY, view BLOB NOT NULL, hash BLOB NOT NULL,"
	" published INTEGER NOT NULL, shown INTEGER NOT NULL, confirmed INTEGER NOT NULL) WITHOUT "
	"ROWID;"
	"CREATE TABLE note(name TEXT PRIMARY KEY, value) WITHOUT ROWID;";

static bool is_damage(int code)
{
	return (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB;
}

static void close_file(struct cache *c)
{
	sqlite3_finalize(c->put);
	sqlite3_finalize(c->drop);
	sqlite3_finalize(c->note);
	c->put = c->drop = c->note = NULL;
	sqlite3_close(c->db);
	c->db = NULL;
	c->in_transaction = false;
}

static void say(struct cache *c, int code, const char *doing)
{
	/* SQLite's own words quote no values of ours: statements have parameters. */
	snprintf(c->state, sizeof c->state, "%s: %s", doing, sqlite3_errstr(code));
}

static int run(struct cache *c, const char *sql)
{
	return sqlite3_exec(c->db, sql, NULL, NULL, NULL);
}

/* ---- opening ---- */

/* The one text of the first row is `expected`? SQLITE_OK, SQLITE_MISMATCH, or the error. */
static int ask(struct cache *c, const char *sql, const char *name, const char *expected)
{
	sqlite3_stmt *s;
	int r = sqlite3_prepare_v2(c->db, sql, -1, &s, NULL);

	if (r != SQLITE_OK)
		return r;
	if (name)
		sqlite3_bind_text(s, 1, name, -1, SQLITE_STATIC);
	r = sqlite3_step(s);
	if (r == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(s, 0);

		r = text && !strcmp(text, expected) ? SQLITE_OK : SQLITE_MISMATCH;
	} else if (r == SQLITE_DONE) {
		r = SQLITE_MISMATCH;
	}
	sqlite3_finalize(s);
	return r;
}

static int open_file(struct cache *c)
{
	char sql[256];
	int r = sqlite3_open_v2(c->path, &c->db,
				SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
					SQLITE_OPEN_PRIVATECACHE,
				NULL);

	if (r != SQLITE_OK)
		return r;
	sqlite3_extended_result_codes(c->db, 1);
	sqlite3_busy_timeout(c->db, BUSY_MS);
	/* Ours alone, and so before WAL: without the index file beside it, for which a full disk
	 * has no room. */
	snprintf(sql, sizeof sql,
		 "PRAGMA locking_mode=EXCLUSIVE;"
		 "PRAGMA cache_size=-%d; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
		 "PRAGMA wal_autocheckpoint=%d; PRAGMA journal_size_limit=1048576;"
		 "PRAGMA secure_delete=ON; PRAGMA cell_size_check=ON; PRAGMA trusted_schema=OFF;",
		 CACHE_KIB, WAL_PAGES);
	r = run(c, sql);
	return r == SQLITE_OK ? ask(c, "PRAGMA integrity_check(1)", NULL, "ok") : r;
}

static int prepare(struct cache *c)
{
	static const char put[] = "INSERT OR REPLACE INTO item VALUES(?,?,?,?,?,?)",
			  drop[] = "DELETE FROM item WHERE pid=?",
			  note[] = "INSERT OR REPLACE INTO note VALUES(?,?)";
	int r = sqlite3_prepare_v2(c->db, put, -1, &c->put, NULL);

	if (r == SQLITE_OK)
		r = sqlite3_prepare_v2(c->db, drop, -1, &c->drop, NULL);
	return r == SQLITE_OK ? sqlite3_prepare_v2(c->db, note, -1, &c->note, NULL) : r;
}

static int write_note(struct cache *c, const char *name, const char *text, int64_t number)
{
	int r;

	sqlite3_bind_text(c->note, 1, name, -1, SQLITE_STATIC);
	if (text)
		sqlite3_bind_text(c->note, 2, text, -1, SQLITE_STATIC);
	else
		sqlite3_bind_int64(c->note, 2, number);
	r = sqlite3_step(c->note);
	sqlite3_reset(c->note);
	return r == SQLITE_DONE ? SQLITE_OK : r;
}

/* Tables of this program, for these organisations; emptied if they are others'. */
static int settle(struct cache *c)
{
	int r = ask(c, "SELECT count(*) FROM sqlite_schema", NULL, "0");

	if (r == SQLITE_OK) {
		r = run(c, tables);
		if (r == SQLITE_OK)
			r = prepare(c);
		if (r == SQLITE_OK)
			r = write_note(c, "schema", SCHEMA, 0);
		return r == SQLITE_OK ? write_note(c, "areas", c->areas, 0) : r;
	}
	if (r != SQLITE_MISMATCH)
		return r;
	r = ask(c, "SELECT value FROM note WHERE name=?", "schema", SCHEMA);
	if (r != SQLITE_OK)
		/* Also one of another version, or of another program: it is kept beside. */
		return r == SQLITE_MISMATCH || r == SQLITE_ERROR ? SQLITE_NOTADB : r;
	r = prepare(c);
	if (r != SQLITE_OK)
		return SQLITE_CORRUPT;
	r = ask(c, "SELECT value FROM note WHERE name=?", "areas", c->areas);
	if (r != SQLITE_MISMATCH)
		return r;
	log_text(LOG_NOTICE, "cache is of other organisations: begun anew");
	r = run(c, "DELETE FROM item; DELETE FROM note");
	if (r == SQLITE_OK)
		r = write_note(c, "schema", SCHEMA, 0);
	return r == SQLITE_OK ? write_note(c, "areas", c->areas, 0) : r;
}

static void move_aside(const struct cache *c)
{
	static const char *const parts[] = {"", "-wal", "-shm"};

	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		char from[PATH_MAX + 8], to[PATH_MAX + 24];

		snprintf(from, sizeof from, "%s%s", c->path, parts[i]);
		snprintf(to, sizeof to, "%s.damaged%s", c->path, parts[i]);
		if (rename(from, to) < 0 && errno != ENOENT)
			log_text(LOG_ERR, "cannot move %s aside: %s", from, strerror(errno));
	}
}

static void open_again(struct cache *c)
{
	struct stat st;
	bool was_empty = stat(c->path, &st) == 0 && st.st_size == 0;
	int r = SQLITE_OK;

	close_file(c);
	if (was_empty)
		log_text(LOG_WARNING, "cache %s is empty: begun anew", c->path);
	for (int tries = 0; tries < 2; tries++) {
		r = open_file(c);
		if (r == SQLITE_OK)
			r = settle(c);
		if (r == SQLITE_MISMATCH)
			r = SQLITE_CORRUPT; /* integrity_check's verdict */
		if (!is_damage(r))
			break;
		close_file(c);
		log_text(LOG_WARNING, "cache %s is damaged: moved to %s.damaged and begun anew",
			 c->path, c->path);
		move_aside(c);
	}
	if (r == SQLITE_OK) {
		snprintf(c->state, sizeof c->state, "ok");
		return;
	}
	say(c, r, "cannot be opened");
	if (log_limited("cache"))
		log_text(LOG_ERR, "cache %s %s; going on without", c->path, c->state);
	close_file(c);
}

int cache_new(struct cache **ret, const char *path, const char *areas)
{
	struct cache *c = calloc(1, sizeof *c);

	if (!c)
		return -ENOMEM;
	snprintf(c->path, sizeof c->path, "%s", path);
	snprintf(c->areas, sizeof c->areas, "%s", areas);
	if (*path)
		open_again(c);
	else
		snprintf(c->state, sizeof c->state, "none");
	*ret = c;
	return 0;
}

struct cache *cache_free(struct cache *c)
{
	if (!c)
		return NULL;
	close_file(c);
	free(c);
	return NULL;
}

const char *cache_state(const struct cache *c)
{
	return c->state;
}

/* ---- faults while running ---- */

/* The file is damaged, or takes nothing more: what it holds is written anew, all of it, later. */
static void give_up(struct cache *c, int code, const char *doing)
{
	say(c, code, doing);
	if (log_limited("cache"))
		log_text(LOG_ERR, "cache %s: %s; going on without", c->path, c->state);
	if (c->db && c->in_transaction)
		run(c, "ROLLBACK");
	c->in_transaction = false;
	c->write_all = true;
	if (is_damage(code)) {
		close_file(c);
		move_aside(c);
	}
}

static bool begin(struct cache *c)
{
	int r;

	if (c->in_transaction)
		return true;
	if (!c->db)
		return false;
	r = run(c, "BEGIN IMMEDIATE");
	if (r != SQLITE_OK) {
		give_up(c, r, "writing");
		return false;
	}
	c->in_transaction = true;
	return true;
}

/* ---- loading ---- */

static bool read_item(sqlite3_stmt *s, struct item **ret)
{
	const void *view = sqlite3_column_blob(s, 0), *hash = sqlite3_column_blob(s, 1);
	int len = sqlite3_column_bytes(s, 0);
	uint8_t right[HASH_BYTES];
	struct item *i;

	if (!view || !hash || sqlite3_column_bytes(s, 1) != HASH_BYTES || len <= 0)
		return false;
	dibao_event_hash(view, (size_t)len, right);
	if (memcmp(right, hash, HASH_BYTES) != 0 || item_new(&i, view, (size_t)len) < 0)
		return false;
	i->published_ms = sqlite3_column_int64(s, 2);
	i->shown_ms = sqlite3_column_int64(s, 3);
	i->is_confirmed = sqlite3_column_int(s, 4) != 0;
	i->is_stored = true;
	*ret = i;
	return true;
}

static int load_items(struct cache *c, struct wall *w, unsigned *ret_n, unsigned *ret_bad)
{
	sqlite3_stmt *s;
	struct item *i;
	int r = sqlite3_prepare_v2(c->db, "SELECT view,hash,published,shown,confirmed FROM item",
				   -1, &s, NULL);

	if (r != SQLITE_OK)
		return r;
	while ((r = sqlite3_step(s)) == SQLITE_ROW)
		if (!read_item(s, &i))
			++*ret_bad;
		else if (wall_take(w, i) == 0)
			++*ret_n;
	sqlite3_finalize(s);
	return r == SQLITE_DONE ? SQLITE_OK : r;
}

static int load_note(struct cache *c, struct trust_note *n, enum item_area *ret_known)
{
	sqlite3_stmt *s;
	int r = sqlite3_prepare_v2(c->db, "SELECT name,value FROM note", -1, &s, NULL);

	if (r != SQLITE_OK)
		return r;
	while ((r = sqlite3_step(s)) == SQLITE_ROW) {
		const char *name = (const char *)sqlite3_column_text(s, 0);

		if (!name)
			continue;
		if (!strcmp(name, "boot_id"))
			snprintf(n->boot_id, sizeof n->boot_id, "%s",
				 sqlite3_column_text(s, 1) ? (const char *)sqlite3_column_text(s, 1)
							   : "");
		else if (!strcmp(name, "now"))
			n->now_ms = sqlite3_column_int64(s, 1);
		else if (!strcmp(name, "boot"))
			n->boot_ms = sqlite3_column_int64(s, 1);
		else if (!strcmp(name, "heartbeat"))
			n->heartbeat_ms = sqlite3_column_int64(s, 1);
		else if (!strcmp(name, "trusted"))
			n->is_trusted = sqlite3_column_int64(s, 1) != 0;
		else if (!strcmp(name, "known"))
			*ret_known = (enum item_area)(sqlite3_column_int64(s, 1) & 3);
	}
	sqlite3_finalize(s);
	return r == SQLITE_DONE ? SQLITE_OK : r;
}

unsigned cache_load(struct cache *c, struct wall *w, struct trust_note *ret,
		    enum item_area *ret_known)
{
	unsigned n = 0, n_bad = 0;
	int r;

	*ret = (struct trust_note){0};
	*ret_known = AREA_NONE;
	if (!c->db)
		return 0;
	r = load_note(c, ret, ret_known);
	if (r == SQLITE_OK)
		r = load_items(c, w, &n, &n_bad);
	if (n_bad || r != SQLITE_OK)
		*ret_known = AREA_NONE;
	if (n_bad) {
		c->write_all = true;
		log_text(LOG_WARNING, "cache %s: %u items are damaged and left out", c->path,
			 n_bad);
	}
	if (r != SQLITE_OK) {
		give_up(c, r, "reading");
		open_again(c);
	}
	return n;
}

/* ---- writing ---- */

static int put_item(struct cache *c, const struct item *i)
{
	uint8_t hash[HASH_BYTES];
	int r;

	dibao_event_hash(i->view, i->len, hash);
	sqlite3_bind_blob(c->put, 1, i->pid, sizeof i->pid, SQLITE_STATIC);
	sqlite3_bind_blob(c->put, 2, i->view, i->len, SQLITE_STATIC);
	sqlite3_bind_blob(c->put, 3, hash, sizeof hash, SQLITE_STATIC);
	sqlite3_bind_int64(c->put, 4, i->published_ms);
	sqlite3_bind_int64(c->put, 5, i->shown_ms);
	sqlite3_bind_int(c->put, 6, i->is_confirmed);
	r = sqlite3_step(c->put);
	sqlite3_reset(c->put);
	return r == SQLITE_DONE ? SQLITE_OK : r;
}

static int put_note(struct cache *c, const struct trust_note *n, enum item_area known)
{
	int r = write_note(c, "boot_id", n->boot_id, 0);

	if (r == SQLITE_OK)
		r = write_note(c, "now", NULL, n->now_ms);
	if (r == SQLITE_OK)
		r = write_note(c, "boot", NULL, n->boot_ms);
	if (r == SQLITE_OK)
		r = write_note(c, "heartbeat", NULL, n->heartbeat_ms);
	if (r == SQLITE_OK)
		r = write_note(c, "trusted", NULL, n->is_trusted);
	return r == SQLITE_OK ? write_note(c, "known", NULL, known) : r;
}

void cache_removed(struct cache *c, const uint8_t pid[DIBAO_PID_BYTES])
{
	int r;

	/* When all is written anew it is not among it. */
	if (c->write_all || !begin(c))
		return;
	sqlite3_bind_blob(c->drop, 1, pid, DIBAO_PID_BYTES, SQLITE_STATIC);
	r = sqlite3_step(c->drop);
	sqlite3_reset(c->drop);
	if (r != SQLITE_DONE)
		give_up(c, r, "writing");
}

void cache_write(struct cache *c, const struct wall *w, const struct trust_note *n,
		 enum item_area known)
{
	struct item *i;
	int r = SQLITE_OK;

	if (!*c->path)
		return;
	if (!c->db) {
		/* A disk that comes late may hold what was taken back since. */
		c->write_all = true;
		open_again(c);
	}
	if (!begin(c))
		return;
	if (c->write_all)
		r = run(c, "DELETE FROM item");
	for (size_t at = 0; r == SQLITE_OK && (i = wall_each(w, &at));)
		if (c->write_all || !i->is_stored)
			r = put_item(c, i);
	if (r == SQLITE_OK)
		r = put_note(c, n, known);
	if (r == SQLITE_OK)
		r = run(c, "COMMIT");
	if (r != SQLITE_OK) {
		give_up(c, r, "writing");
		return;
	}
	c->in_transaction = false;
	c->write_all = false;
	for (size_t at = 0; (i = wall_each(w, &at));)
		i->is_stored = true;
	snprintf(c->state, sizeof c->state, "ok");
}
