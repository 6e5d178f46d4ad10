// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Replays what dm-log-writes recorded.
 *
 *	replay-log count LOG
 *		Prints how many entries there are.
 *	replay-log replay LOG FROM TO FILE
 *		Makes the writes of entries FROM (inclusive) to TO (exclusive).
 *	replay-log crash LOG FROM TO FILE SEED
 *		The same, but of what no later FLUSH before TO made durable only a
 *		random part: a disk that loses power may have kept any of it.
 *
 * A log is a super-block in sector 0, then entries, each one sector with a
 * header, then the data of that write.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_MAGIC	0x6a736677736872
#define LOG_VERSION	1
#define FLAG_FLUSH	1
#define FLAG_FUA	2
#define FLAG_DISCARD	4
#define FLAG_MARK	8

struct log_super {
	uint64_t magic;
	uint64_t version;
	uint64_t nr_entries;
	uint32_t sector_bytes;
};

struct log_entry {
	uint64_t sector;
	uint64_t nr_sectors;
	uint64_t flags;
	uint64_t data_bytes;
};

struct log {
	const char *path;
	int fd;
	uint64_t entries;
	uint64_t sector_bytes;
	uint64_t at;	/* of the entry that is next, in bytes */
};

static void die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fprintf(stderr, "replay-log: ");
	vfprintf(stderr, fmt, args);
	fprintf(stderr, "\n");
	va_end(args);
	exit(2);
}

static void read_at(struct log *log, void *buf, size_t bytes, uint64_t at)
{
	if (pread(log->fd, buf, bytes, at) != (ssize_t)bytes)
		die("%s: read of %zu bytes at %llu: %m", log->path, bytes, (unsigned long long)at);
}

static void open_log(struct log *log, const char *path)
{
	struct log_super sb;

	log->path = path;
	log->fd = open(path, O_RDONLY);
	if (log->fd < 0)
		die("%s: %m", path);
	read_at(log, &sb, sizeof(sb), 0);
	if (le64toh(sb.magic) != LOG_MAGIC || le64toh(sb.version) != LOG_VERSION)
		die("%s: not a log of dm-log-writes", path);
	log->entries = le64toh(sb.nr_entries);
	log->sector_bytes = le32toh(sb.sector_bytes);
	log->at = log->sector_bytes;
}

/* Reads the next entry's header; @data: where its data is, if there is any. */
static struct log_entry next_entry(struct log *log, uint64_t *data)
{
	struct log_entry e;

	read_at(log, &e, sizeof(e), log->at);
	e.sector = le64toh(e.sector);
	e.nr_sectors = le64toh(e.nr_sectors);
	e.flags = le64toh(e.flags);
	e.data_bytes = le64toh(e.data_bytes);
	*data = log->at + log->sector_bytes;
	log->at = *data;
	if (!(e.flags & (FLAG_DISCARD | FLAG_MARK)))
		log->at += e.nr_sectors * log->sector_bytes;
	return e;
}

/* The last entry before @to with a FLUSH; 0: none. */
static uint64_t last_flush(struct log log, uint64_t to)
{
	uint64_t i, data, last = 0;

	for (i = 0; i < to; i++)
		if (next_entry(&log, &data).flags & FLAG_FLUSH)
			last = i;
	return last;
}

static void make_write(struct log *log, const struct log_entry *e, uint64_t data, int fd)
{
	static char buf[1 << 16];
	uint64_t left = e->nr_sectors * log->sector_bytes, at = e->sector * log->sector_bytes;

	while (left) {
		size_t n = left < sizeof(buf) ? left : sizeof(buf);

		if (e->flags & FLAG_DISCARD)
			memset(buf, 0, n);
		else
			read_at(log, buf, n, data);
		if (pwrite(fd, buf, n, at) != (ssize_t)n)
			die("write at %llu: %m", (unsigned long long)at);
		data += n;
		at += n;
		left -= n;
	}
}

static int replay(struct log *log, uint64_t from, uint64_t to, const char *path, bool crash,
		  uint64_t seed)
{
	uint64_t i, data, made = 0, left_out = 0, durable;
	int fd = open(path, O_WRONLY);

	if (fd < 0)
		die("%s: %m", path);
	if (to > log->entries)
		die("%s: there are %llu entries only", log->path, (unsigned long long)log->entries);
	durable = last_flush(*log, to);
	srand48(seed);
	for (i = 0; i < to; i++) {
		struct log_entry e = next_entry(log, &data);
		bool kept = i < durable || (e.flags & FLAG_FUA);

		if (i < from || (e.flags & FLAG_MARK) || !e.nr_sectors)
			continue;
		if (crash && !kept && lrand48() % 2) {
			left_out++;
			continue;
		}
		make_write(log, &e, data, fd);
		made++;
	}
	printf("%llu writes made, %llu left out\n", (unsigned long long)made,
	       (unsigned long long)left_out);
	return 0;
}

int main(int argc, char **argv)
{
	struct log log;

	if (argc < 3)
		die("expected count, replay or crash, and a log");
	open_log(&log, argv[2]);
	if (argc == 3 && !strcmp(argv[1], "count")) {
		printf("%llu\n", (unsigned long long)log.entries);
		return 0;
	}
	if (argc == 6 && !strcmp(argv[1], "replay"))
		return replay(&log, atoll(argv[3]), atoll(argv[4]), argv[5], false, 0);
	if (argc == 7 && !strcmp(argv[1], "crash"))
		return replay(&log, atoll(argv[3]), atoll(argv[4]), argv[5], true,
			      atoll(argv[6]));
	die("expected count, replay or crash");
}
