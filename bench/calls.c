// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * System calls on a block device, each between two readings of the time stamp
 * counter, which counts instructions in a machine of vm/run --icount.
 *
 *	calls NODE KIND BYTES ORDER START SPAN CALLS [SEED]
 *	calls ready | begin | end
 *
 * KIND	  write, dsync (O_DSYNC), read, mixed (70 % read), flush (an fsync with
 *	  nothing before it), fsync (the one behind a write of BYTES)
 * ORDER  sequential; random: any place, perhaps twice; once: all places, shuffled
 *
 * START and SPAN are bytes. Prints one line: calls, and, of instructions of a call,
 * the mean without the most and the least (of 200 calls one each), the median, the
 * mean of all, the least, the most. The calls are a section for plugin.c; with
 * "begin" and "end" so is what the caller does between the two. "ready" comes before
 * all others.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Does nothing; plugin.c knows the last four bytes. */
#define MARK(number) asm volatile(".byte 0x0f, 0x1f, 0x80, " #number ", 0x5b, 0xec, 0x3a" \
				  ::: "memory")

enum kind { WRITE, DSYNC, READ, MIXED, FLUSH, FSYNC, KINDS };
enum order { SEQUENTIAL, RANDOM, ONCE, ORDERS };

static const char *const kinds[KINDS] = {
	"write", "dsync", "read", "mixed", "flush", "fsync"
};
static const char *const orders[ORDERS] = { "sequential", "random", "once" };

struct plan {
	int fd;
	enum kind kind;
	enum order order;
	size_t bytes;
	uint64_t start;
	uint64_t places;
	uint32_t *shuffled;
	unsigned int calls;
	uint64_t *took;
	char *buffer;
};

static void die(const char *what)
{
	fprintf(stderr, "calls: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t state;

static uint64_t draw(uint64_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 11) % below;
}

static inline uint64_t counter(void)
{
	uint32_t low, high;

	asm volatile("rdtsc" : "=a"(low), "=d"(high) :: "memory");
	return (uint64_t)high << 32 | low;
}

static inline long call(long number, long fd, const void *buffer, size_t bytes, off_t at)
{
	register long offset asm("r10") = at;
	long result;

	asm volatile("syscall" : "=a"(result)
		     : "a"(number), "D"(fd), "S"(buffer), "d"(bytes), "r"(offset)
		     : "rcx", "r11", "memory");
	return result;
}

/* The numbers of the system calls on x86-64. */
enum { PREAD = 17, PWRITE = 18, FDSYNC = 74 };

static uint64_t timed(long number, const struct plan *plan, off_t at)
{
	uint64_t before = counter();
	long result = call(number, plan->fd, plan->buffer, plan->bytes, at);
	uint64_t after = counter();

	if (result != (number == FDSYNC ? 0 : (long)plan->bytes)) {
		errno = result < 0 ? -result : EIO;
		die("a call failed");
	}
	return after - before;
}

static off_t place(const struct plan *plan, unsigned int i)
{
	uint64_t place = i % plan->places;

	if (plan->order == RANDOM)
		place = draw(plan->places);
	else if (plan->order == ONCE)
		place = plan->shuffled[place];
	return plan->start + place * plan->bytes;
}

static uint64_t one(const struct plan *plan, unsigned int i)
{
	off_t at = place(plan, i);

	switch (plan->kind) {
	case FLUSH:
		return timed(FDSYNC, plan, 0);
	case FSYNC:
		timed(PWRITE, plan, at);
		return timed(FDSYNC, plan, 0);
	case READ:
		return timed(PREAD, plan, at);
	case MIXED:
		return timed(draw(10) < 7 ? PREAD : PWRITE, plan, at);
	default:
		return timed(PWRITE, plan, at);
	}
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static double mean(const uint64_t *took, unsigned int count)
{
	double sum = 0;

	for (unsigned int i = 0; i < count; i++)
		sum += took[i];
	return sum / count;
}

static void print(uint64_t *took, unsigned int calls)
{
	/* A call may be hit by the timer's tick. */
	unsigned int drop = calls < 3 ? 0 : (calls + 199) / 200;

	qsort(took, calls, sizeof(*took), compare);
	printf("%u %.1f %.1f %.1f %.1f %.1f\n", calls, mean(took + drop, calls - 2 * drop),
	       (double)took[calls / 2], mean(took, calls), (double)took[0],
	       (double)took[calls - 1]);
}

static int word(const char *text, const char *const *words, int count)
{
	for (int i = 0; i < count; i++)
		if (!strcmp(text, words[i]))
			return i;
	errno = EINVAL;
	die(text);
	return -1;
}

static void shuffle(struct plan *plan)
{
	plan->shuffled = malloc(plan->places * sizeof(*plan->shuffled));
	if (!plan->shuffled)
		die("memory");
	for (uint64_t i = 0; i < plan->places; i++) {
		uint64_t j = draw(i + 1);

		plan->shuffled[i] = plan->shuffled[j];
		plan->shuffled[j] = i;
	}
}

static void *memory(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (p == MAP_FAILED)
		die("memory");
	return p;
}

static void read_arguments(struct plan *plan, char **argv)
{
	plan->kind = word(argv[2], kinds, KINDS);
	plan->bytes = strtoul(argv[3], NULL, 0);
	plan->order = word(argv[4], orders, ORDERS);
	plan->start = strtoull(argv[5], NULL, 0);
	plan->places = strtoull(argv[6], NULL, 0) / plan->bytes;
	plan->calls = strtoul(argv[7], NULL, 0);
	state = 88172645463325252ull + (argv[8] ? strtoul(argv[8], NULL, 0) : 0);
	plan->fd = open(argv[1], O_RDWR | O_DIRECT | (plan->kind == DSYNC ? O_DSYNC : 0));
	if (plan->fd < 0)
		die(argv[1]);
	if (plan->order == ONCE)
		shuffle(plan);
	plan->took = memory(plan->calls * sizeof(*plan->took));
	plan->buffer = memory(plan->bytes);
	for (size_t i = 0; i < plan->bytes; i++)
		plan->buffer[i] = draw(256);
}

int main(int argc, char **argv)
{
	struct plan plan = {};

	if (argc == 2) {
		if (!strcmp(argv[1], "ready"))
			MARK(0);
		else if (!strcmp(argv[1], "begin"))
			MARK(1);
		else
			MARK(2);
		return 0;
	}
	if (argc < 8) {
		fprintf(stderr, "calls: see bench/calls.c for its arguments\n");
		return 2;
	}
	read_arguments(&plan, argv);
	MARK(1);
	for (unsigned int i = 0; i < plan.calls; i++)
		plan.took[i] = one(&plan, i);
	MARK(2);
	print(plan.took, plan.calls);
	return 0;
}
