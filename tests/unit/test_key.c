/* SPDX-License-Identifier: Apache-2.0 */
#include <dibao/key.h>
#include <dibao/subscriber.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOBODY = 65534 };

static char dir[64], path[128];

static int set_up(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/dibao-key-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof path, "%s/a.key", dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

static void write_file(const char *text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_int_equal(fchmod(fileno(f), 0600), 0);
	fputs(text, f);
	fclose(f);
}

static void a_key_that_was_made_reads_back_with_its_public_key(void **state)
{
	char public[DIBAO_KEY_TEXT], again[DIBAO_KEY_TEXT], secret[DIBAO_KEY_TEXT];
	struct stat st;

	(void)state;
	assert_int_equal(dibao_key_generate(path, "board-1", public, NULL), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(dibao_key_read(path, again, secret, NULL), 0);
	assert_string_equal(public, again);
	assert_true(dibao_key_check(secret));
	assert_string_not_equal(secret, public);
}

static void a_key_is_never_overwritten(void **state)
{
	char public[DIBAO_KEY_TEXT], again[DIBAO_KEY_TEXT];
	struct dibao_error err;

	(void)state;
	assert_int_equal(dibao_key_generate(path, "a", public, NULL), 0);
	assert_int_equal(dibao_key_generate(path, "a", again, &err), -EEXIST);
	assert_non_null(strstr(err.reason, "left as it is"));
	assert_int_equal(dibao_key_read(path, again, NULL, NULL), 0);
	assert_string_equal(public, again);
}

static void a_key_that_others_can_read_is_not_read(void **state)
{
	static const mode_t modes[] = {0640, 0604, 0660, 0601, 0610};
	char public[DIBAO_KEY_TEXT];
	struct dibao_error err;

	(void)state;
	assert_int_equal(dibao_key_generate(path, "a", public, NULL), 0);
	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		assert_int_equal(chmod(path, modes[i]), 0);
		assert_int_equal(dibao_key_read(path, public, NULL, &err), -EPERM);
		assert_non_null(strstr(err.reason, "chmod 600"));
	}
	assert_int_equal(chmod(path, 0400), 0);
	assert_int_equal(dibao_key_read(path, public, NULL, NULL), 0);
}

static void a_credential_is_found_by_its_name_alone(void **state)
{
	char public[DIBAO_KEY_TEXT], again[DIBAO_KEY_TEXT];

	(void)state;
	assert_int_equal(dibao_key_generate(path, "a", public, NULL), 0);
	unsetenv("CREDENTIALS_DIRECTORY");
	assert_int_equal(dibao_key_read("a.key", again, NULL, NULL), -ENOENT);
	setenv("CREDENTIALS_DIRECTORY", dir, 1);
	assert_int_equal(dibao_key_read("a.key", again, NULL, NULL), 0);
	assert_string_equal(public, again);
	/* The mask of systemd's access list shows as the group's rights. */
	assert_int_equal(chmod(path, 0440), 0);
	assert_int_equal(dibao_key_read("a.key", again, NULL, NULL), 0);
	assert_int_equal(chmod(path, 0444), 0);
	assert_int_equal(dibao_key_read("a.key", again, NULL, NULL), -EPERM);
	assert_int_equal(dibao_key_read("..", again, NULL, NULL), -ENOENT);
	unsetenv("CREDENTIALS_DIRECTORY");
}

/* What a service's group may read is a credential that is its own or root's. */
static int read_as_nobody(void)
{
	char public[DIBAO_KEY_TEXT];
	pid_t child = fork();
	int status = -1;

	if (child == 0)
		_exit(setgid(NOBODY) < 0 || setuid(NOBODY) < 0
			      ? 255
			      : -dibao_key_read("a.key", public, NULL, NULL));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

static void anothers_key_is_read_by_root_alone(void **state)
{
	static const struct {
		uid_t owner;
		int r;
	} cases[] = {{0, 0}, {NOBODY, 0}, {1, -EPERM}};
	char public[DIBAO_KEY_TEXT];

	(void)state;
	if (geteuid() != 0)
		skip(); /* nobody else can give a file away */
	assert_int_equal(dibao_key_generate(path, "a", public, NULL), 0);
	assert_int_equal(chmod(dir, 0755), 0);
	assert_int_equal(chmod(path, 0440), 0);
	setenv("CREDENTIALS_DIRECTORY", dir, 1);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(chown(path, cases[i].owner, NOBODY), 0);
		assert_int_equal(read_as_nobody(), cases[i].r);
		assert_int_equal(dibao_key_read("a.key", public, NULL, NULL), 0);
	}
	unsetenv("CREDENTIALS_DIRECTORY");
}

static void a_file_without_a_key_is_told_by_its_name_and_without_its_content(void **state)
{
	static const char *const bad[] = {"",
					  "hunter2\n",
					  "# only a comment\n",
					  "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf\n",
					  "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf77\n",
					  "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf\x80\n"};
	char public[DIBAO_KEY_TEXT] = "untouched";
	struct dibao_error err;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		write_file(bad[i]);
		assert_int_equal(dibao_key_read(path, public, NULL, &err), -EBADMSG);
		assert_non_null(strstr(err.reason, path));
		assert_null(strstr(err.reason, "hunter2"));
	}
	assert_string_equal(public, "untouched");
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(dibao_key_read(path, public, NULL, &err), -EINVAL);
}

static int on_delivery(struct dibao_subscriber *s, const struct dibao_delivery *d, void *userdata)
{
	(void)s;
	(void)d;
	(void)userdata;
	return 0;
}

static void a_subscriber_takes_all_keys_or_none(void **state)
{
	const char *const endpoints[] = {"ipc:///nowhere", NULL};
	struct dibao_subscriber_options o = {
		.endpoints = endpoints, .bureau = "3205", .on_delivery = on_delivery};
	struct dibao_subscriber *s = NULL;
	struct dibao_context *ctx;
	struct dibao_error err;
	char public[DIBAO_KEY_TEXT];

	(void)state;
	assert_int_equal(dibao_key_generate(path, "a", public, NULL), 0);
	assert_int_equal(dibao_context_new(&ctx, 1), 0);
	o.curve_key_file = path;
	assert_int_equal(dibao_subscriber_new(&s, ctx, &o, &err), -EINVAL);
	o.curve_server_key = public;
	assert_int_equal(dibao_subscriber_new(&s, ctx, &o, &err), 0);
	s = dibao_subscriber_free(s);
	o.curve_server_key = "short";
	assert_int_equal(dibao_subscriber_new(&s, ctx, &o, &err), -EINVAL);
	o.curve_server_key = public;
	o.curve_secret_key = public;
	assert_int_equal(dibao_subscriber_new(&s, ctx, &o, &err), -EINVAL);
	o.curve_secret_key = NULL;
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(dibao_subscriber_new(&s, ctx, &o, &err), -EPERM);
	assert_non_null(strstr(err.reason, "chmod 600"));
	dibao_context_free(ctx);
}

#define EACH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(a_key_that_was_made_reads_back_with_its_public_key),
		EACH(a_key_is_never_overwritten),
		EACH(a_key_that_others_can_read_is_not_read),
		EACH(a_credential_is_found_by_its_name_alone),
		EACH(anothers_key_is_read_by_root_alone),
		EACH(a_file_without_a_key_is_told_by_its_name_and_without_its_content),
		EACH(a_subscriber_takes_all_keys_or_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
