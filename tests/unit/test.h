/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A small test framework, all of it in this header.
 *
 *	TEST(name) { CHECK(1 + 1 == 2); CHECK_EQ(f(), 3); }
 *	DEATH_TEST(name, "text") { what must abort, with text on stderr }
 *	TEST_MAIN()
 *
 * The program runs all its tests, or those named on its command line, prints
 * `ok NAME' or `FAILED NAME FILE:LINE: WHY' for each and closes with
 * `N passed, N failed'; it exits with 0 if none failed, else with 1.  A failed
 * check does not end its test: only the first one is told.  Checks may be made
 * in any thread.  test_teardown, if set, is called after each test and may
 * check, too.
 *
 * A death test runs in a process of its own: this program once more.
 *
 * Include it after the headers of libc and before those of the shim.
 */
#ifndef TEST_H
#define TEST_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct test {
	const char *name;
	void (*fn)(void);
	const char *dies;	/* what a death test must say; else NULL */
	struct test *next;
};

static struct test *test_first, **test_last = &test_first;
static struct test *test_now;
static int test_failed;		/* the one that runs */
static void (*test_teardown)(void);

__attribute__((__unused__))
static void test_add(struct test *t)
{
	*test_last = t;
	test_last = &t->next;
}

#define TEST_DEFINE(name_, dies_)					\
	static void test_##name_(void);					\
	__attribute__((__constructor__)) static void test_add_##name_(void) \
	{								\
		static struct test t = { #name_, test_##name_, dies_, NULL }; \
		test_add(&t);						\
	}								\
	static void test_##name_(void)
#define TEST(name) TEST_DEFINE(name, NULL)
#define DEATH_TEST(name, message) TEST_DEFINE(name, message)

__attribute__((__unused__, __format__(__printf__, 3, 4)))
static void test_fail(const char *file, int line, const char *fmt, ...)
{
	__builtin_va_list args;

	if (__atomic_exchange_n(&test_failed, 1, __ATOMIC_RELAXED))
		return;
	printf("FAILED %s %s:%d: ", test_now->name, file, line);
	__builtin_va_start(args, fmt);
	vprintf(fmt, args);
	__builtin_va_end(args);
	printf("\n");
	fflush(stdout);
}

/* True when it holds, so that a test may go on or not. */
#define CHECK(cond)							\
({									\
	bool __test_ok = !!(cond);					\
	if (!__test_ok)							\
		test_fail(__FILE__, __LINE__, "%s", #cond);		\
	__test_ok;							\
})
#define CHECK_EQ(got, want)						\
({									\
	long long __test_got = (long long)(got);			\
	long long __test_want = (long long)(want);			\
	if (__test_got != __test_want)					\
		test_fail(__FILE__, __LINE__,				\
			  "%s is %lld (0x%llx), not %lld (0x%llx)",	\
			  #got, __test_got, __test_got, __test_want,	\
			  __test_want);					\
	__test_got == __test_want;					\
})
#define CHECK_STR(got, want)						\
({									\
	const char *__test_got = (got), *__test_want = (want);		\
	bool __test_ok = strcmp(__test_got, __test_want) == 0;		\
	if (!__test_ok)							\
		test_fail(__FILE__, __LINE__, "%s is \"%s\", not \"%s\"", \
			  #got, __test_got, __test_want);		\
	__test_ok;							\
})

__attribute__((__unused__))
static void test_expect_death(struct test *t)
{
	char out[8192];
	size_t len = 0;
	ssize_t n;
	int fds[2], status;
	pid_t pid;

	if (pipe(fds))
		exit(2);
	pid = fork();
	if (pid == 0) {
		dup2(fds[1], 2);
		close(fds[0]);
		close(fds[1]);
		execl("/proc/self/exe", "test", "--die", t->name, (char *)NULL);
		_exit(127);
	}
	close(fds[1]);
	while (len < sizeof(out) - 1 &&
	       (n = read(fds[0], out + len, sizeof(out) - 1 - len)) > 0)
		len += n;
	out[len] = '\0';
	close(fds[0]);
	waitpid(pid, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		test_fail(__FILE__, __LINE__, "did not abort");
	else if (!strstr(out, t->dies))
		test_fail(__FILE__, __LINE__, "said \"%s\", not \"%s\"", out,
			  t->dies);
}

__attribute__((__unused__))
static bool test_run(struct test *t)
{
	test_now = t;
	test_failed = 0;
	if (t->dies)
		test_expect_death(t);
	else
		t->fn();
	if (test_teardown)
		test_teardown();
	if (!test_failed)
		printf("ok %s\n", t->name);
	fflush(stdout);
	return !test_failed;
}

__attribute__((__unused__))
static struct test *test_find(const char *name)
{
	struct test *t;

	for (t = test_first; t; t = t->next)
		if (strcmp(t->name, name) == 0)
			return t;
	fprintf(stderr, "no test is named %s\n", name);
	exit(2);
}

__attribute__((__unused__))
static int test_main(int argc, char **argv)
{
	unsigned int passed = 0, failed = 0;
	struct test *t;

	if (argc == 3 && strcmp(argv[1], "--die") == 0) {
		alarm(20);
		test_now = test_find(argv[2]);
		test_now->fn();
		return 0;
	}
	for (int i = 1; i < argc; i++)
		test_run(test_find(argv[i])) ? passed++ : failed++;
	for (t = test_first; t && argc == 1; t = t->next)
		test_run(t) ? passed++ : failed++;
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0;
}

#define TEST_MAIN()							\
int main(int argc, char **argv)						\
{									\
	return test_main(argc, argv);					\
}

#endif
