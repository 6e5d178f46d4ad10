// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the tests in the machine need of block devices and is slow with
 * coreutils where each instruction is emulated.
 *
 *	blk sum FILE [MIB]		print a checksum of it, or of its beginning
 *	blk same FILE FILE [MIB]	do both (or their beginnings) say the same?
 *	blk write FILE COPY MIB COUNT MAX_KIB SEED
 *		COUNT random writes to the first MIB of FILE, and the same to COPY
 *	blk edit FILE [poke OFFSET BYTES VALUE | seal OFFSET BYTES]...
 *		poke: store a little-endian number of 1 to 8 bytes
 *		seal: store the CRC of a structure of a cache, which begins with it
 *	blk restore FILE COPY PAGE...
 *		bring pages of 4096 bytes back from a copy
 *	blk memory MIB PROCESSES ROUNDS
 *		processes that share so much memory change all pages in each round
 *		and check what they held
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHUNK	(1 << 20)

static void die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fprintf(stderr, "blk: ");
	vfprintf(stderr, fmt, args);
	fprintf(stderr, "\n");
	va_end(args);
	exit(2);
}

static int open_file(const char *path, int flags)
{
	int fd = open(path, flags | O_DIRECT);

	/* tmpfs knows no O_DIRECT. */
	if (fd < 0 && errno == EINVAL)
		fd = open(path, flags, 0644);
	if (fd < 0)
		die("%s: %m", path);
	return fd;
}

static void *chunk_memory(void)
{
	void *mem = aligned_alloc(4096, CHUNK);

	if (!mem)
		die("no memory");
	return mem;
}

/* Reads a chunk; returns less than CHUNK only at the end. */
static size_t read_chunk(int fd, const char *path, void *buf, uint64_t at, uint64_t limit)
{
	size_t want = limit - at < CHUNK ? limit - at : CHUNK, done = 0;
	ssize_t n;

	while (done < want) {
		n = pread(fd, (char *)buf + done, want - done, at + done);
		if (n < 0)
			die("%s: read at %llu: %m", path, (unsigned long long)at + done);
		if (n == 0)
			break;
		done += n;
	}
	return done;
}

static uint64_t limit_of(int argc, char **argv, int i)
{
	return argc > i ? strtoull(argv[i], NULL, 10) << 20 : UINT64_MAX;
}

static int cmd_sum(int argc, char **argv)
{
	uint64_t limit = limit_of(argc, argv, 3), at = 0, sum = 0x9e3779b97f4a7c15;
	uint64_t *buf = chunk_memory();
	int fd = open_file(argv[2], O_RDONLY);
	size_t n, i;

	while ((n = read_chunk(fd, argv[2], buf, at, limit))) {
		memset((char *)buf + n, 0, -n & 7);
		for (i = 0; i < (n + 7) / 8; i++)
			sum = ((sum ^ buf[i]) * 0xff51afd7ed558ccd) ^ (sum >> 29);
		at += n;
	}
	printf("%016llx-%llu\n", (unsigned long long)sum, (unsigned long long)at);
	return 0;
}

static int cmd_same(int argc, char **argv)
{
	uint64_t limit = limit_of(argc, argv, 4), at = 0;
	uint64_t *a = chunk_memory(), *b = chunk_memory();
	int fda = open_file(argv[2], O_RDONLY), fdb = open_file(argv[3], O_RDONLY);
	size_t n, i;

	while ((n = read_chunk(fda, argv[2], a, at, limit))) {
		if (read_chunk(fdb, argv[3], b, at, limit) != n)
			die("%s and %s differ in size", argv[2], argv[3]);
		for (i = 0; i < n / 8; i++)
			if (a[i] != b[i])
				break;
		if (i < n / 8 || memcmp(&a[i], &b[i], n % 8)) {
			printf("%s and %s differ at sector %llu, byte %llu\n", argv[2], argv[3],
			       (unsigned long long)(at + i * 8) / 512,
			       (unsigned long long)(at + i * 8) % 512);
			return 1;
		}
		at += n;
	}
	if (read_chunk(fdb, argv[3], b, at, limit))
		die("%s and %s differ in size", argv[2], argv[3]);
	return 0;
}

static uint64_t state;

static uint64_t next_random(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* Half of the writes are small, a quarter up to 64 KiB. */
static uint32_t random_sectors(uint32_t max)
{
	uint32_t r = next_random() % 4;
	uint32_t bound = r < 2 ? 8 : r == 2 ? 128 : max;

	return 1 + next_random() % (bound < max ? bound : max);
}

static void write_all(int fd, const char *path, const void *buf, size_t bytes, uint64_t at)
{
	if (pwrite(fd, buf, bytes, at) != (ssize_t)bytes)
		die("%s: write of %zu bytes at %llu: %m", path, bytes, (unsigned long long)at);
}

static int cmd_write(int argc, char **argv)
{
	uint32_t mib, count, max, sectors, i;
	uint64_t *buf, at;
	int fd, copy;

	if (argc != 8)
		die("write: expected FILE COPY MIB COUNT MAX_KIB SEED");
	fd = open_file(argv[2], O_WRONLY);
	copy = open_file(argv[3], O_WRONLY | O_CREAT);
	mib = atoi(argv[4]);
	count = atoi(argv[5]);
	max = atoi(argv[6]) * 2;
	state = 0x2545f4914f6cdd1d * (strtoull(argv[7], NULL, 10) + 1);
	if (!mib || !max || max > CHUNK / 512)
		die("write: expected MIB and MAX_KIB from 1 to 1024");
	buf = chunk_memory();
	while (count--) {
		sectors = random_sectors(max);
		at = next_random() % (mib * 2048 - sectors + 1) * 512;
		for (i = 0; i < sectors * 64; i++)
			buf[i] = next_random();
		write_all(fd, argv[2], buf, sectors * 512, at);
		write_all(copy, argv[3], buf, sectors * 512, at);
	}
	return 0;
}

/* The block of 4096 bytes around @at; *@in: where in it. */
static uint8_t *read_block(int fd, const char *path, uint64_t at, size_t bytes, uint32_t *in)
{
	uint8_t *block = chunk_memory();

	*in = at % 4096;
	if (*in + bytes > 4096)
		die("%zu bytes at %llu cross a boundary of 4096", bytes, (unsigned long long)at);
	if (pread(fd, block, 4096, at - *in) != 4096)
		die("%s: read at %llu: %m", path, (unsigned long long)at);
	return block;
}

static void poke(int fd, char **argv)
{
	uint64_t at = strtoull(argv[1], NULL, 0), value = strtoull(argv[3], NULL, 0);
	uint32_t bytes = atoi(argv[2]), in, i;
	uint8_t *block = read_block(fd, "poke", at, bytes, &in);

	for (i = 0; i < bytes; i++)
		block[in + i] = value >> (8 * i);
	write_all(fd, "poke", block, 4096, at - in);
	free(block);
}

static uint32_t crc32c(uint32_t crc, const uint8_t *p, size_t bytes)
{
	int i;

	while (bytes--) {
		crc ^= *p++;
		for (i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return crc;
}

static void seal(int fd, char **argv)
{
	uint64_t at = strtoull(argv[1], NULL, 0);
	uint32_t bytes = atoi(argv[2]), in, crc, i;
	uint8_t *block = read_block(fd, "seal", at, bytes, &in);

	crc = crc32c(0x3b15a, block + in + 4, bytes - 4);
	for (i = 0; i < 4; i++)
		block[in + i] = crc >> (8 * i);
	write_all(fd, "seal", block, 4096, at - in);
	free(block);
}

static int cmd_edit(int argc, char **argv)
{
	int fd = open_file(argv[2], O_RDWR), i = 3;

	while (i < argc) {
		if (!strcmp(argv[i], "poke") && i + 3 < argc) {
			poke(fd, argv + i);
			i += 4;
		} else if (!strcmp(argv[i], "seal") && i + 2 < argc) {
			seal(fd, argv + i);
			i += 3;
		} else {
			die("edit: expected poke or seal, found %s", argv[i]);
		}
	}
	return 0;
}

static int cmd_restore(int argc, char **argv)
{
	int fd = open_file(argv[2], O_RDWR), copy = open_file(argv[3], O_RDONLY), i;
	uint8_t *block = chunk_memory();

	for (i = 4; i < argc; i++) {
		uint64_t at = strtoull(argv[i], NULL, 10) * 4096;

		if (pread(copy, block, 4096, at) != 4096)
			die("%s: read at %llu: %m", argv[3], (unsigned long long)at);
		write_all(fd, argv[2], block, 4096, at);
	}
	return 0;
}

/* One process of "memory". */
static void change_memory(uint32_t pages, uint32_t rounds)
{
	uint64_t *mem = mmap(NULL, (size_t)pages * 4096, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint32_t round, i;

	if (mem == MAP_FAILED)
		die("no memory");
	for (round = 0; round < rounds; round++) {
		/* The stride has no divisor in common with any number of pages here. */
		for (i = 0; i < pages; i++) {
			uint64_t page = (uint64_t)i * 1000003 % pages, *p = mem + page * 512;
			uint64_t was = round ? page * 0x9e3779b97f4a7c15 + round : 0;

			if (p[0] != was || p[511] != was || p[page % 512] != was)
				die("page %llu holds %llx in round %u, expected %llx",
				    (unsigned long long)page, (unsigned long long)p[0], round,
				    (unsigned long long)was);
			p[0] = p[511] = p[page % 512] = page * 0x9e3779b97f4a7c15 + round + 1;
		}
	}
}

static int cmd_memory(char **argv)
{
	uint32_t processes = atoi(argv[3]), i;
	int status, bad = 0;

	for (i = 0; i < processes; i++) {
		if (!fork()) {
			change_memory(atoi(argv[2]) * 256 / processes, atoi(argv[4]));
			exit(0);
		}
	}
	while (wait(&status) > 0)
		bad |= status;
	return bad ? 1 : 0;
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "sum"))
		return cmd_sum(argc, argv);
	if (argc > 3 && !strcmp(argv[1], "same"))
		return cmd_same(argc, argv);
	if (argc > 2 && !strcmp(argv[1], "write"))
		return cmd_write(argc, argv);
	if (argc > 3 && !strcmp(argv[1], "edit"))
		return cmd_edit(argc, argv);
	if (argc > 4 && !strcmp(argv[1], "restore"))
		return cmd_restore(argc, argv);
	if (argc == 5 && !strcmp(argv[1], "memory"))
		return cmd_memory(argv);
	die("expected sum, same, write, edit, restore or memory");
}
