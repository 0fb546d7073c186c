/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where Redis and the daemon are. The file has the form of dibaod.conf, and that very file will do:
 * options that dibaoctl does not know belong to the daemon, and section
 * [client] is not the daemon's: server_key, its public key, and key_file, one's own.
 */
#include "ctl.h"
#include "credential.h"
#include "queue.h"

#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const char default_file[] = "/etc/dibao/dibaod.conf";

int ctl_fail(int code, const char *fmt, ...)
{
	va_list ap;

	fputs("dibaoctl: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return code;
}

int ctl_exit_code(int err)
{
	switch (err) {
	case -EACCES:
	case -EPERM:
		return EX_NOPERM;
	case -EINVAL:
	case -EBADMSG:
	case -EMSGSIZE:
	case -EPROTONOSUPPORT:
	case -ENOENT:
		return EX_DATAERR;
	case -ENOSYS:
	case -ESTALE:
		return EX_CONFIG;
	case -ENOTCONN:
		return EX_UNAVAILABLE;
	case -ENOMEM:
		return EX_OSERR;
	default:
		return EX_SOFTWARE;
	}
}

int ctl_error(const struct dibao_error *err)
{
	if (err->line && err->field[0])
		return ctl_fail(ctl_exit_code(err->code), "line %u: %s: %s", err->line, err->field,
				err->reason);
	if (err->line)
		return ctl_fail(ctl_exit_code(err->code), "line %u: %s", err->line, err->reason);
	if (err->field[0])
		return ctl_fail(ctl_exit_code(err->code), "%s: %s", err->field, err->reason);
	return ctl_fail(ctl_exit_code(err->code), "%s", err->reason);
}

static bool set(char **at, const char *value)
{
	char *copy = strdup(value);

	if (!copy)
		return false;
	free(*at);
	*at = copy;
	return true;
}

int ctl_options_add_endpoint(struct ctl *c, const char *endpoint)
{
	if (c->n_endpoints == CTL_ENDPOINTS_MAX)
		return ctl_fail(EX_USAGE, "more than %d endpoints", CTL_ENDPOINTS_MAX);
	return set(&c->endpoints[c->n_endpoints++], endpoint) ? 0 : EX_OSERR;
}

static void clear_endpoints(struct ctl *c)
{
	while (c->n_endpoints)
		free(c->endpoints[--c->n_endpoints]);
	memset(c->endpoints, 0, sizeof c->endpoints);
}

static bool read_password(struct ctl *c, const char *path)
{
	char buf[256] = "";
	FILE *f;
	int r = credential_open(&f, path);

	if (r < 0) {
		ctl_fail(EX_NOINPUT, "redis_password_file %s: %s", path, credential_error(r));
		return false;
	}
	if (fgets(buf, sizeof buf, f))
		buf[strcspn(buf, "\r\n")] = '\0';
	fclose(f);
	return set(&c->redis_password, buf);
}

static int on_option(void *user, const char *section, const char *name, const char *value)
{
	struct ctl *c = user;
	char *list, *word, *save = NULL;

	if (!strcmp(section, "dibao") && !strcmp(name, "bureau"))
		return set(&c->bureau, value);
	if (!strcmp(section, "dibao") && !strcmp(name, "control"))
		return set(&c->control, value);
	if (!strcmp(section, "dibao") && !strcmp(name, "access") && *value)
		return set(&c->access, value);
	if (!strcmp(section, "dibao") && !strcmp(name, "view_key_file") && *value)
		return set(&c->view_key_file, value);
	if (!strcmp(section, "client") && !strcmp(name, "server_key"))
		return set(&c->server_key, value);
	if (!strcmp(section, "client") && !strcmp(name, "key_file"))
		return set(&c->key_file, value);
	if (!strcmp(section, "redis") && !strcmp(name, "redis"))
		return set(&c->redis, value);
	if (!strcmp(section, "redis") && !strcmp(name, "redis_user") && *value)
		return set(&c->redis_user, value);
	if (!strcmp(section, "redis") && !strcmp(name, "redis_password_file") && *value)
		return read_password(c, value);
	if (!strcmp(section, "dibao") && !strcmp(name, "endpoints")) {
		clear_endpoints(c);
		list = strdup(value);
		for (word = strtok_r(list, " ,\t", &save); word;
		     word = strtok_r(NULL, " ,\t", &save))
			if (ctl_options_add_endpoint(c, word))
				break;
		free(list);
	}
	return 1;
}

int ctl_options_load(struct ctl *c, const char *path)
{
	int r;

	if (!set(&c->redis, "unix:/run/redis/redis-server.sock") || !set(&c->bureau, "3205") ||
	    !set(&c->control, "/run/dibao/control") ||
	    ctl_options_add_endpoint(c, "ipc:///run/dibao/dibao.sock"))
		return EX_OSERR;
	r = ini_parse(path ? path : default_file, on_option, c);
	if (r == -1)
		return path ? ctl_fail(EX_NOINPUT, "cannot read %s: %s", path, strerror(errno)) : 0;
	if (r)
		return ctl_fail(EX_CONFIG, "%s:%d: not an option", path ? path : default_file, r);
	if (queue_bureau_check(c->bureau) < 0)
		return ctl_fail(EX_CONFIG, "bureau: expected 1 to 16 of 0-9 a-z _ -");
	/* An endpoint to bind on all addresses is reached here. */
	for (unsigned i = 0; i < c->n_endpoints; i++) {
		char *star = strstr(c->endpoints[i], "://*:"),
		     *any = strstr(c->endpoints[i], "://0.0.0.0:");
		char buf[300];

		if (!star && !any)
			continue;
		snprintf(buf, sizeof buf, "tcp://127.0.0.1:%s", strrchr(c->endpoints[i], ':') + 1);
		if (!set(&c->endpoints[i], buf))
			return EX_OSERR;
	}
	return 0;
}

int ctl_options_take(struct ctl *c, int *argc, char **argv)
{
	int n = 1, r = 0;

	for (int i = 1; i < *argc && r == 0; i++) {
		const char *value = argv[i + 1];
		char **at = !strcmp(argv[i], "--key")	       ? &c->key_file
			    : !strcmp(argv[i], "--server-key") ? &c->server_key
							       : NULL;

		if (!at && strcmp(argv[i], "--endpoint") != 0) {
			argv[n++] = argv[i];
			continue;
		}
		if (!value)
			return ctl_fail(EX_USAGE, "%s: expected a value", argv[i]);
		i++;
		if (at) {
			r = set(at, value) ? 0 : EX_OSERR;
			continue;
		}
		if (!c->by_endpoint)
			clear_endpoints(c);
		c->by_endpoint = true;
		r = ctl_options_add_endpoint(c, value);
	}
	argv[n] = NULL;
	*argc = n;
	return r;
}

const char *ctl_operand(int *argc, char **argv)
{
	const char *found = NULL;
	int n = 1;

	for (int i = 1; i < *argc; i++) {
		bool ends = !strcmp(argv[i], "--");

		if (ends ? i + 2 != *argc : argv[i][0] == '-' && i + 1 == *argc)
			return NULL;
		if (!ends && argv[i][0] == '-') {
			argv[n++] = argv[i++];
			argv[n++] = argv[i];
			continue;
		}
		if (found)
			return NULL;
		found = argv[i += ends];
	}
	argv[n] = NULL;
	*argc = n;
	return found;
}

void ctl_options_done(struct ctl *c)
{
	clear_endpoints(c);
	free(c->redis);
	free(c->redis_user);
	free(c->redis_password);
	free(c->bureau);
	free(c->control);
	free(c->server_key);
	free(c->key_file);
	free(c->access);
	free(c->view_key_file);
}

struct dibao_redis_options ctl_redis_options(const struct ctl *c)
{
	return (struct dibao_redis_options){.address = c->redis,
					    .user = c->redis_user,
					    .password = c->redis_password,
					    .bureau = c->bureau};
}
