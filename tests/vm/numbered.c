// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Numbered sectors: each says where it belongs and which write it comes from, so
 * that after a crash it can be told whether any is torn, lost or out of order.
 *
 *	numbered write FILE MIB SEQ SECONDS
 *		Two writers, each in its half of the first MIB of FILE: one with
 *		O_DSYNC, one with fsync after some writes. What has been acknowledged
 *		is printed: "A SECTOR COUNT SEQ". SEQ: the first number to use.
 *	numbered verify FILE MIB [ACKS]
 *		No sector is torn, none is older than ACKS (such lines) says. Prints
 *		what each written sector holds, as such lines, and the largest number
 *		as "max SEQ".
 *	numbered epochs FILE MIB EPOCHS
 *		One writer; some writes, then fsync: an epoch. Prints all writes
 *		before they are made: "W SECTOR COUNT SEQ"; the upper bits of SEQ are
 *		the epoch.
 *	numbered order FILE MIB HISTORY
 *		With what "epochs" has printed: if FILE holds a write of an epoch, it
 *		holds all writes of earlier epochs, or newer ones over them.
 *	numbered load FILE MIB TOTAL WRITERS
 *		WRITERS at once, each in its part of the first MIB of FILE, make
 *		random writes, TOTAL MiB in all; then each reads its part, which must
 *		hold just what it wrote.
 *	numbered attempt FILE MIB SEQ COUNT WRITERS
 *		WRITERS at once, each in its part of the first MIB of FILE, make
 *		COUNT random writes in all, which may fail with EIO: "A" lines for
 *		those that are acknowledged, "E" lines for the others.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SECTOR		512
#define WORDS		(SECTOR / 8)
#define MAGIC		0x6e756d6265726564
#define EPOCH_SHIFT	20
#define COUNT_MAX	256
#define BATCH_MAX	12

typedef unsigned long long ull;

static uint64_t state = 0x2545f4914f6cdd1d;

static void die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fprintf(stderr, "numbered: ");
	vfprintf(stderr, fmt, args);
	fprintf(stderr, "\n");
	va_end(args);
	exit(2);
}

static uint64_t next_random(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* Word @i of @sector as write @seq leaves it. */
static uint64_t word(uint64_t sector, uint64_t seq, uint32_t i)
{
	switch (i) {
	case 0:
		return MAGIC;
	case 1:
		return sector;
	case 2:
		return seq;
	default:
		return (sector * 0x9e3779b97f4a7c15 + seq) * (2 * i + 1) ^ seq << 32;
	}
}

static void fill(uint64_t *buf, uint64_t sector, uint32_t count, uint64_t seq)
{
	uint32_t s, i;

	for (s = 0; s < count; s++)
		for (i = 0; i < WORDS; i++)
			*buf++ = word(sector + s, seq, i);
}

/* The number that a sector holds; 0: never written. Torn ones end the program. */
static uint64_t number_of(const uint64_t *buf, uint64_t sector)
{
	uint64_t seq = buf[2];
	uint32_t i;

	for (i = 0; i < WORDS && !buf[i]; i++)
		;
	if (i == WORDS)
		return 0;
	for (i = 0; i < WORDS; i++) {
		if (buf[i] != word(sector, seq, i)) {
			printf("sector %llu is torn or foreign: word %u is %llx; it says sector %llu, number %llx\n",
			       (ull)sector, i, (ull)buf[i], (ull)buf[1], (ull)seq);
			exit(1);
		}
	}
	return seq;
}

static void *memory(size_t bytes)
{
	void *mem = aligned_alloc(4096, bytes);

	if (!mem)
		die("no memory");
	return mem;
}

static uint64_t *numbers_in(const char *path, uint64_t sectors)
{
	uint64_t *numbers = calloc(sectors, sizeof(*numbers));
	uint64_t *buf = memory(1 << 20), s, i;
	int fd = open(path, O_RDONLY);

	if (fd < 0 || !numbers)
		die("%s: %m", path);
	for (s = 0; s < sectors; s += 2048) {
		if (pread(fd, buf, 1 << 20, s * SECTOR) != 1 << 20)
			die("%s: read of 1 MiB at sector %llu: %m", path, (ull)s);
		for (i = 0; i < 2048; i++)
			numbers[s + i] = number_of(buf + i * WORDS, s + i);
	}
	close(fd);
	free(buf);
	return numbers;
}

struct write {
	uint64_t sector;
	uint32_t count;
	uint64_t seq;
};

/* Chooses sectors out of @sectors from @first on. */
static struct write choose(uint64_t first, uint64_t sectors, uint64_t seq)
{
	struct write w = { .seq = seq };

	w.count = 1 + next_random() % (next_random() % 8 ? 16 : COUNT_MAX);
	w.sector = first + next_random() % (sectors - w.count + 1);
	return w;
}

static void do_write(int fd, uint64_t *buf, const struct write *w)
{
	size_t bytes = w->count * SECTOR;

	fill(buf, w->sector, w->count, w->seq);
	if (pwrite(fd, buf, bytes, w->sector * SECTOR) != (ssize_t)bytes)
		die("write of %zu bytes at sector %llu: %m", bytes, (ull)w->sector);
}

/* One write call, so that lines of two writers do not mix. */
static void print_writes(char kind, const struct write *w, uint32_t nr)
{
	char text[BATCH_MAX * 64];
	int n = 0;
	uint32_t i;

	for (i = 0; i < nr; i++)
		n += sprintf(text + n, "%c %llu %u %llu\n", kind, (ull)w[i].sector, w[i].count,
			     (ull)w[i].seq);
	if (write(1, text, n) != n)
		die("stdout: %m");
}

static void writer(const char *path, bool dsync, uint64_t first, uint64_t sectors, uint64_t seq,
		   double seconds)
{
	int fd = open(path, O_WRONLY | O_DIRECT | (dsync ? O_DSYNC : 0));
	uint64_t *buf = memory(COUNT_MAX * SECTOR);
	double end = now() + seconds;
	struct write done[BATCH_MAX];
	uint32_t nr, i;

	if (fd < 0)
		die("%s: %m", path);
	state += seq * 0x9e3779b97f4a7c15 + first;
	while (now() < end) {
		nr = dsync ? 1 : 1 + next_random() % BATCH_MAX;
		for (i = 0; i < nr; i++) {
			done[i] = choose(first, sectors, seq++);
			do_write(fd, buf, &done[i]);
		}
		if (!dsync && fsync(fd))
			die("%s: fsync: %m", path);
		print_writes('A', done, nr);
	}
}

static int cmd_write(const char *path, uint64_t sectors, uint64_t seq, double seconds)
{
	int status, good = 0;

	if (!fork()) {
		writer(path, true, 0, sectors / 2, seq, seconds);
		exit(0);
	}
	if (!fork()) {
		writer(path, false, sectors / 2, sectors / 2, seq, seconds);
		exit(0);
	}
	while (wait(&status) > 0)
		good += status == 0;
	return good == 2 ? 0 : 1;
}

/* Applies lines of @kind to @numbers; @epoch_below: only writes of earlier epochs. */
static uint64_t read_writes(const char *path, char kind, uint64_t *numbers, uint64_t sectors,
			    uint64_t epoch_below)
{
	FILE *file = fopen(path, "r");
	ull sector, seq;
	uint32_t count, i;
	uint64_t lines = 0;
	char c;

	if (!file)
		die("%s: %m", path);
	while (fscanf(file, " %c %llu %u %llu", &c, &sector, &count, &seq) == 4) {
		if (c != kind || sector + count > sectors)
			die("%s: line '%c %llu %u %llu' is not expected", path, c, sector, count,
			    seq);
		if (seq >> EPOCH_SHIFT >= epoch_below)
			continue;
		lines++;
		for (i = 0; i < count; i++)
			if (numbers[sector + i] < seq)
				numbers[sector + i] = seq;
	}
	fclose(file);
	return lines;
}

static int cmd_verify(const char *path, uint64_t sectors, const char *acks)
{
	uint64_t *found = numbers_in(path, sectors), *wanted = calloc(sectors, sizeof(*wanted));
	uint64_t s, e, max = 0, lines = 0, written = 0;

	if (acks)
		lines = read_writes(acks, 'A', wanted, sectors, UINT64_MAX);
	for (s = 0; s < sectors; s++) {
		if (found[s] < wanted[s]) {
			printf("sector %llu holds write %llu, but %llu was acknowledged\n", (ull)s,
			       (ull)found[s], (ull)wanted[s]);
			return 1;
		}
		if (found[s] > max)
			max = found[s];
		written += found[s] != 0;
	}
	for (s = 0; s < sectors; s = e) {
		for (e = s + 1; e < sectors && found[e] == found[s]; e++)
			;
		if (found[s])
			printf("A %llu %u %llu\n", (ull)s, (uint32_t)(e - s), (ull)found[s]);
	}
	printf("max %llu\n", (ull)max);
	printf("verified: %llu sectors written, %llu lines of acknowledged writes\n", (ull)written,
	       (ull)lines);
	return 0;
}

static int cmd_epochs(const char *path, uint64_t sectors, uint64_t epochs)
{
	uint64_t *buf = memory(COUNT_MAX * SECTOR), epoch, seq;
	int fd = open(path, O_WRONLY | O_DIRECT);
	struct write w;
	uint32_t n;

	if (fd < 0)
		die("%s: %m", path);
	for (epoch = 1; epoch <= epochs; epoch++) {
		n = 1 + next_random() % (epoch % 16 ? 8 : 400);
		for (seq = epoch << EPOCH_SHIFT; n--; seq++) {
			w = choose(0, sectors, seq);
			print_writes('W', &w, 1);
			do_write(fd, buf, &w);
		}
		if (fsync(fd))
			die("%s: fsync: %m", path);
	}
	return 0;
}

static int cmd_order(const char *path, uint64_t sectors, const char *history)
{
	uint64_t *found = numbers_in(path, sectors), *wanted = calloc(sectors, sizeof(*wanted));
	uint64_t s, max = 0, behind = 0;

	for (s = 0; s < sectors; s++)
		if (found[s] > max)
			max = found[s];
	read_writes(history, 'W', wanted, sectors, max >> EPOCH_SHIFT);
	for (s = 0; s < sectors; s++) {
		if (found[s] < wanted[s]) {
			printf("epoch %llu has begun to be written, but sector %llu holds write %llx instead of %llx\n",
			       (ull)max >> EPOCH_SHIFT, (ull)s, (ull)found[s], (ull)wanted[s]);
			return 1;
		}
	}
	read_writes(history, 'W', wanted, sectors, UINT64_MAX);
	for (s = 0; s < sectors; s++)
		behind += found[s] < wanted[s];
	printf("in order: epoch %llu, %llu sectors older than the last write\n",
	       (ull)max >> EPOCH_SHIFT, (ull)behind);
	return 0;
}

/* Half of the writes up to 4 KiB, a quarter up to 64 KiB, a quarter up to 256 KiB. */
static uint32_t load_count(void)
{
	uint32_t r = next_random() % 4;

	return 1 + next_random() % (r < 2 ? 8 : r == 2 ? 128 : 2 * COUNT_MAX);
}

static void load_writer(const char *path, uint64_t first, uint64_t sectors, uint64_t total)
{
	uint64_t *buf = memory(1 << 20), seq, left, s, i, n;
	uint32_t *wanted = calloc(sectors, sizeof(*wanted));
	int fd = open(path, O_RDWR | O_DIRECT);
	struct write w;

	if (fd < 0 || !wanted)
		die("%s: %m", path);
	state += first * 0x9e3779b97f4a7c15;
	for (seq = 1, left = total; left; left -= w.count, seq++) {
		w.seq = seq;
		w.count = load_count();
		w.count = w.count < left ? w.count : left;
		w.sector = first + next_random() % (sectors - w.count + 1);
		do_write(fd, buf, &w);
		for (i = 0; i < w.count; i++)
			wanted[w.sector - first + i] = seq;
	}
	for (s = 0; s < sectors; s += n) {
		n = sectors - s < 2048 ? sectors - s : 2048;
		if (pread(fd, buf, n * SECTOR, (first + s) * SECTOR) != (ssize_t)(n * SECTOR))
			die("%s: read at sector %llu: %m", path, (ull)(first + s));
		for (i = 0; i < n; i++) {
			/* What was never written may hold anything. */
			if (wanted[s + i] && number_of(buf + i * WORDS, first + s + i) != wanted[s + i]) {
				printf("sector %llu holds write %llu, expected %u\n",
				       (ull)(first + s + i), (ull)buf[i * WORDS + 2], wanted[s + i]);
				exit(1);
			}
		}
	}
}

static int cmd_load(const char *path, uint64_t sectors, uint64_t total, uint32_t writers)
{
	uint64_t part = sectors / writers;
	uint32_t i;
	int status, bad = 0;

	for (i = 0; i < writers; i++) {
		if (!fork()) {
			load_writer(path, i * part, part, total / writers);
			exit(0);
		}
	}
	while (wait(&status) > 0)
		bad |= status;
	return bad ? 1 : 0;
}

static void attempt_writer(const char *path, uint64_t first, uint64_t sectors, uint64_t seq,
			   uint64_t count)
{
	int fd = open(path, O_WRONLY | O_DIRECT);
	uint64_t *buf = memory(COUNT_MAX * SECTOR);
	struct write w;
	ssize_t n;

	if (fd < 0)
		die("%s: %m", path);
	state += seq * 0x9e3779b97f4a7c15 + first;
	while (count--) {
		w = choose(first, sectors, seq++);
		fill(buf, w.sector, w.count, w.seq);
		n = pwrite(fd, buf, w.count * SECTOR, w.sector * SECTOR);
		if (n != w.count * SECTOR && !(n < 0 && errno == EIO))
			die("write of %u sectors at sector %llu: %zd: %m", w.count, (ull)w.sector,
			    n);
		print_writes(n < 0 ? 'E' : 'A', &w, 1);
	}
}

static int cmd_attempt(const char *path, uint64_t sectors, uint64_t seq, uint64_t count,
		       uint32_t writers)
{
	uint64_t part = sectors / writers;
	uint32_t i;
	int status, bad = 0;

	for (i = 0; i < writers; i++) {
		if (!fork()) {
			attempt_writer(path, i * part, part, seq, count / writers);
			exit(0);
		}
	}
	while (wait(&status) > 0)
		bad |= status;
	return bad ? 1 : 0;
}

int main(int argc, char **argv)
{
	uint64_t sectors = argc > 3 ? strtoull(argv[3], NULL, 10) * 2048 : 0;

	if (sectors && argc == 6 && !strcmp(argv[1], "write"))
		return cmd_write(argv[2], sectors, strtoull(argv[4], NULL, 10), atof(argv[5]));
	if (sectors && argc <= 5 && !strcmp(argv[1], "verify"))
		return cmd_verify(argv[2], sectors, argv[4]);
	if (sectors && argc == 5 && !strcmp(argv[1], "epochs"))
		return cmd_epochs(argv[2], sectors, strtoull(argv[4], NULL, 10));
	if (sectors && argc == 5 && !strcmp(argv[1], "order"))
		return cmd_order(argv[2], sectors, argv[4]);
	if (sectors && argc == 6 && !strcmp(argv[1], "load") && atoi(argv[5]) > 0)
		return cmd_load(argv[2], sectors, strtoull(argv[4], NULL, 10) * 2048,
				atoi(argv[5]));
	if (sectors && argc == 7 && !strcmp(argv[1], "attempt") && atoi(argv[6]) > 0)
		return cmd_attempt(argv[2], sectors, strtoull(argv[4], NULL, 10),
				   strtoull(argv[5], NULL, 10), atoi(argv[6]));
	die("expected write, verify, epochs, order, load or attempt, a file and a size");
}
