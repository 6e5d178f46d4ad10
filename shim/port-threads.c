// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The back end of threads: a task is a pthread, a lock and a permit are
 * futexes, and devices are memory or files with threads that do the I/O.
 *
 * Persistent memory is private memory or a mapped file.  Where the file is on
 * a DAX file system (MAP_SYNC), stores are written back line by line and a
 * fence is one; elsewhere what is stored survives the process as soon as it is
 * stored, and nothing more is promised.
 */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/futex.h>

#include <linux/bio.h>
#include <linux/bitops.h>
#include <linux/blkdev.h>
#include <linux/dax.h>
#include <linux/kernel.h>
#include <shim/host.h>
#include <shim/threads.h>

#include "port.h"

/* Time, random numbers, the end */

static u64 clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

u64 port_now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

u64 port_real_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

void port_random(void *buf, size_t len)
{
	char *p = buf;

	while (len) {
		ssize_t n = getrandom(p, len, 0);

		if (n > 0) {
			p += n;
			len -= n;
		}
	}
}

void port_panic(void)
{
	fflush(NULL);
	abort();
}

/* Futexes.  A wake-up may come to a word that is no more: no harm is done. */

static void futex_wait(u32 *word, u32 value, u64 deadline_ns)
{
	struct timespec ts = {
		.tv_sec = deadline_ns / 1000000000,
		.tv_nsec = deadline_ns % 1000000000,
	};

	syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, value,
		deadline_ns == PORT_FOREVER ? NULL : &ts, NULL,
		FUTEX_BITSET_MATCH_ANY);
}

static void futex_wake(u32 *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1);
}

/* Locks: 0 free, 1 locked, 2 locked and someone may wait in the kernel */

#define SPINS 200

bool port_trylock(struct port_lock *lock)
{
	u32 free = 0;

	return __atomic_compare_exchange_n(&lock->word, &free, 1, false,
					   __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

void port_lock(struct port_lock *lock, bool spin)
{
	if (port_trylock(lock))
		return;
	for (int i = 0; spin && i < SPINS; i++) {
#if defined(__x86_64__)
		__builtin_ia32_pause();
#endif
		if (!port_lock_is_locked(lock) && port_trylock(lock))
			return;
	}
	while (__atomic_exchange_n(&lock->word, 2, __ATOMIC_ACQUIRE))
		futex_wait(&lock->word, 2, PORT_FOREVER);
}

void port_unlock(struct port_lock *lock)
{
	if (__atomic_exchange_n(&lock->word, 0, __ATOMIC_RELEASE) == 2)
		futex_wake(&lock->word);
}

/* Permits: 0 absent, 1 there, 2 absent and the task waits in the kernel */

void port_park(u64 deadline_ns)
{
	u32 *word = &current->port_word, absent = 0;

	if (__atomic_compare_exchange_n(word, &absent, 2, false,
					__ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE))
		futex_wait(word, 2, deadline_ns);
	__atomic_exchange_n(word, 0, __ATOMIC_ACQUIRE);
}

void port_unpark(struct task_struct *task)
{
	u32 *word = &task->port_word;

	if (__atomic_exchange_n(word, 1, __ATOMIC_RELEASE) == 2)
		futex_wake(word);
}

void port_yield(void)
{
}

void port_unpinned(void)
{
}

/* Tasks */

struct thread {
	pthread_t thread;
	struct task_struct *task;
	void (*fn)(void *arg);
	void *arg;
};

static void *run_thread(void *arg)
{
	struct thread *t = arg;

	shim_task = t->task;
	t->fn(t->arg);
	return NULL;
}

void port_task_start(struct task_struct *task, void (*fn)(void *), void *arg)
{
	struct thread *t = malloc(sizeof(*t));

	BUG_ON(!t);
	*t = (struct thread) { .task = task, .fn = fn, .arg = arg };
	task->port = t;
	if (pthread_create(&t->thread, NULL, run_thread, t))
		shim_bug("no thread can be created");
	pthread_setname_np(t->thread, task->comm);
}

void port_task_join(struct task_struct *task)
{
	struct thread *t = task->port;

	pthread_join(t->thread, NULL);
	free(t);
}

void port_task_adopt(struct task_struct *task)
{
}

/* Memory, and allocations that fail */

void *port_mem_get(size_t size, size_t align)
{
	void *p;

	if (align <= 16)
		p = malloc(size);
	else if (posix_memalign(&p, align, size))
		p = NULL;
	if (!p)
		shim_bug("no memory for %zu bytes", size);
	return p;
}

void port_mem_put(void *p)
{
	free(p);
}

size_t port_mem_size(const void *p)
{
	return malloc_usable_size((void *)p);
}

static bool (*alloc_failure)(gfp_t gfp, size_t size);

void port_set_alloc_failure(bool (*fails)(gfp_t gfp, size_t size))
{
	__atomic_store_n(&alloc_failure, fails, __ATOMIC_RELEASE);
}

bool port_alloc_fails(gfp_t gfp, size_t size)
{
	bool (*fails)(gfp_t gfp, size_t size) =
		__atomic_load_n(&alloc_failure, __ATOMIC_ACQUIRE);

	return fails && fails(gfp, size);
}

/* Devices */

#define MAX_FAULTS 16
#define LINE 64

struct fault {
	unsigned int ops;
	sector_t sector, sectors;
	int times;
	blk_status_t status;
};

struct device {
	struct block_device bdev;
	struct dax_device dax;
	int fd;
	char *memory;
	bool pmem;
	u64 bytes;

	pthread_mutex_t lock;		/* all below, and memory's content */
	pthread_cond_t wake;
	struct bio_list queue;
	bool stop, hold, gone;
	u64 latency_ns;
	struct fault faults[MAX_FAULTS];
	unsigned int nr_faults;
	struct port_bdev_stats stats;

	unsigned int nr_tasks;
	struct task_struct *tasks[16];

	unsigned long *poison;		/* a bit a line; NULL: never any */
	bool heal_by_store;
	bool map_sync;
};

static struct device *device_of(struct block_device *bdev)
{
	return container_of(bdev, struct device, bdev);
}

/* Persistent memory */

#define MAX_REGIONS 32

/* Those that loads and stores must look at: poisoned or to be written back. */
static struct device *special[MAX_REGIONS];
static int nr_special;

static void make_special(struct device *dev)
{
	for (int i = 0; i < MAX_REGIONS; i++)
		if (special[i] == dev)
			return;
	for (int i = 0; i < MAX_REGIONS; i++) {
		struct device *none = NULL;

		if (__atomic_compare_exchange_n(&special[i], &none, dev, false,
						__ATOMIC_RELEASE,
						__ATOMIC_RELAXED)) {
			__atomic_fetch_add(&nr_special, 1, __ATOMIC_RELAXED);
			return;
		}
	}
	shim_bug("more than %d regions of persistent memory", MAX_REGIONS);
}

static void make_plain(struct device *dev)
{
	for (int i = 0; i < MAX_REGIONS; i++)
		if (__atomic_load_n(&special[i], __ATOMIC_ACQUIRE) == dev) {
			__atomic_store_n(&special[i], NULL, __ATOMIC_RELEASE);
			__atomic_fetch_sub(&nr_special, 1, __ATOMIC_RELAXED);
		}
}

static struct device *special_at(const void *addr)
{
	if (likely(!__atomic_load_n(&nr_special, __ATOMIC_RELAXED)))
		return NULL;
	for (int i = 0; i < MAX_REGIONS; i++) {
		struct device *dev = __atomic_load_n(&special[i],
						     __ATOMIC_ACQUIRE);

		if (dev && (char *)addr >= dev->memory &&
		    (char *)addr < dev->memory + dev->bytes)
			return dev;
	}
	return NULL;
}

static void write_back(const void *addr, size_t n)
{
#if defined(__x86_64__)
	const char *end = (const char *)addr + n;

	for (char *p = PTR_ALIGN_DOWN((char *)addr, LINE); p < end; p += LINE)
		__asm__ __volatile__("clflush %0" : "+m"(*p));
#endif
}

static void heal_lines(struct device *dev, const void *addr, size_t n)
{
	u64 start = (char *)addr - dev->memory, end = start + n;
	unsigned long *poison = __atomic_load_n(&dev->poison, __ATOMIC_ACQUIRE);

	if (!poison)
		return;
	for (u64 line = DIV_ROUND_UP(start, LINE); line < end / LINE; line++)
		clear_bit(line, poison);
}

void port_pmem_store(void *dst, const void *src, size_t n)
{
	struct device *dev = special_at(dst);

	memcpy(dst, src, n);
	if (!dev)
		return;
	if (READ_ONCE(dev->heal_by_store))
		heal_lines(dev, dst, n);
	if (dev->map_sync)
		write_back(dst, n);
}

void port_page_copy(void *dst, const void *src)
{
	struct device *dev = special_at(dst);

	memcpy(dst, src, PAGE_SIZE);
	if (dev && READ_ONCE(dev->heal_by_store))
		heal_lines(dev, dst, PAGE_SIZE);
}

void port_pmem_flush(const void *addr, size_t n)
{
	struct device *dev = special_at(addr);

	if (dev && dev->map_sync)
		write_back(addr, n);
}

void port_pmem_fence(void)
{
	smp_mb();
}

size_t port_pmem_load(void *dst, const void *src, size_t n)
{
	struct device *dev = special_at(src);
	unsigned long *poison;
	size_t good = n;

	poison = dev ? __atomic_load_n(&dev->poison, __ATOMIC_ACQUIRE) : NULL;
	if (poison && n) {
		u64 start = (char *)src - dev->memory;
		u64 end = DIV_ROUND_UP(min(start + n, dev->bytes), LINE);
		u64 bad = find_next_bit(poison, end, start / LINE);

		if (bad < end)
			good = max(bad * LINE, start) - start;
	}
	memcpy(dst, src, good);
	return n - good;
}

void port_pmem_poison(struct block_device *bdev, u64 offset, u64 bytes)
{
	struct device *dev = device_of(bdev);

	BUG_ON(!dev->pmem || offset + bytes > dev->bytes);
	if (!dev->poison) {
		unsigned long *map = calloc(BITS_TO_LONGS(dev->bytes / LINE),
					    sizeof(long));

		BUG_ON(!map);
		__atomic_store_n(&dev->poison, map, __ATOMIC_RELEASE);
		make_special(dev);
	}
	for (u64 line = offset / LINE; line * LINE < offset + bytes; line++)
		set_bit(line, dev->poison);
}

void port_pmem_heal(struct block_device *bdev, u64 offset, u64 bytes)
{
	struct device *dev = device_of(bdev);

	heal_lines(dev, dev->memory + offset, bytes);
}

void port_pmem_heal_by_store(struct block_device *bdev, bool heal)
{
	WRITE_ONCE(device_of(bdev)->heal_by_store, heal);
}

/* Requests */

static unsigned int kind_of(const struct bio *bio)
{
	return op_is_write(bio->bi_opf) ? PORT_FAULT_WRITE : PORT_FAULT_READ;
}

/* Under the lock. */
static blk_status_t fault_of(struct device *dev, unsigned int kind,
			     sector_t sector, sector_t sectors)
{
	if (dev->gone)
		return BLK_STS_OFFLINE;
	for (unsigned int i = 0; i < dev->nr_faults; i++) {
		struct fault *f = &dev->faults[i];

		if (!f->times || !(f->ops & kind))
			continue;
		if (kind != PORT_FAULT_FLUSH &&
		    (sector >= f->sector + f->sectors ||
		     f->sector >= sector + sectors))
			continue;
		if (f->times > 0)
			f->times--;
		return f->status;
	}
	return BLK_STS_OK;
}

static blk_status_t sync_file(struct device *dev)
{
	return dev->fd >= 0 && !dev->pmem && fdatasync(dev->fd) ?
	       BLK_STS_IOERR : BLK_STS_OK;
}

static bool file_io(struct device *dev, bool write, char *p, size_t n, u64 pos)
{
	while (n) {
		ssize_t done = write ? pwrite(dev->fd, p, n, pos) :
				       pread(dev->fd, p, n, pos);

		if (done <= 0 && errno != EINTR)
			return false;
		if (done > 0) {
			p += done;
			pos += done;
			n -= done;
		}
	}
	return true;
}

static bool move(struct device *dev, bool write, char *p, size_t n, u64 pos)
{
	if (!dev->memory)
		return file_io(dev, write, p, n, pos);
	pthread_mutex_lock(&dev->lock);
	if (write)
		memcpy(dev->memory + pos, p, n);
	else
		memcpy(p, dev->memory + pos, n);
	pthread_mutex_unlock(&dev->lock);
	return true;
}

static blk_status_t zero_range(struct device *dev, u64 pos, u64 n)
{
	static char zeroes[65536];

	while (n) {
		size_t part = min(n, (u64)sizeof(zeroes));

		if (!move(dev, true, zeroes, part, pos))
			return BLK_STS_IOERR;
		pos += part;
		n -= part;
	}
	return BLK_STS_OK;
}

static blk_status_t do_data(struct device *dev, struct bio *bio)
{
	u64 pos = bio->bi_iter.bi_sector << SECTOR_SHIFT;
	bool write = op_is_write(bio->bi_opf);
	struct bvec_iter iter;
	struct bio_vec bv;

	if (!bio_has_data(bio))
		return zero_range(dev, pos, bio->bi_iter.bi_size);
	bio_for_each_bvec(bv, bio, iter) {
		if (!move(dev, write, bvec_virt(&bv), bv.bv_len, pos))
			return BLK_STS_IOERR;
		pos += bv.bv_len;
	}
	return BLK_STS_OK;
}

/* Under the lock: counts the request and says whether it shall fail. */
static blk_status_t begin(struct device *dev, struct bio *bio)
{
	struct port_bdev_stats *stats = &dev->stats;
	unsigned int sectors = bio_sectors(bio);
	blk_status_t status = BLK_STS_OK;

	if (bio->bi_opf & REQ_PREFLUSH) {
		stats->flushes++;
		status = fault_of(dev, PORT_FAULT_FLUSH, 0, 0);
	}
	if (!sectors)
		return status;
	if (!status)
		status = fault_of(dev, kind_of(bio), bio->bi_iter.bi_sector,
				  sectors);
	switch (bio_op(bio)) {
	case REQ_OP_READ:
		stats->reads++;
		stats->read_sectors += sectors;
		break;
	case REQ_OP_WRITE:
		stats->writes++;
		stats->write_sectors += sectors;
		stats->fuas += !!(bio->bi_opf & REQ_FUA);
		break;
	default:
		stats->discards++;
	}
	return status;
}

static void serve(struct device *dev, struct bio *bio)
{
	blk_status_t status = begin(dev, bio);

	dev->stats.failed += status != BLK_STS_OK;
	pthread_mutex_unlock(&dev->lock);
	if (!status && (bio->bi_opf & REQ_PREFLUSH))
		status = sync_file(dev);
	if (!status && bio_sectors(bio))
		status = do_data(dev, bio);
	if (!status && (bio->bi_opf & REQ_FUA))
		status = sync_file(dev);
	bio->bi_status = status;
	pthread_mutex_lock(&dev->lock);
	dev->stats.in_flight--;
	pthread_mutex_unlock(&dev->lock);
	shim_irq_enter();
	bio_endio(bio);
	shim_irq_exit();
	pthread_mutex_lock(&dev->lock);
}

/* When the first of the queue is due; the time of its arrival is in the bio. */
static u64 due_at(struct device *dev)
{
	return (u64)dev->queue.head->shim_port + dev->latency_ns;
}

static void wait_until(struct device *dev, u64 ns)
{
	struct timespec ts = {
		.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000,
	};

	pthread_cond_timedwait(&dev->wake, &dev->lock, &ts);
}

static void io_task(void *arg)
{
	struct device *dev = arg;

	pthread_mutex_lock(&dev->lock);
	while (!dev->stop) {
		if (bio_list_empty(&dev->queue) || dev->hold)
			pthread_cond_wait(&dev->wake, &dev->lock);
		else if (dev->latency_ns && due_at(dev) > port_now_ns())
			wait_until(dev, due_at(dev));
		else
			serve(dev, bio_list_pop(&dev->queue));
	}
	pthread_mutex_unlock(&dev->lock);
}

void port_bio_submit(struct bio *bio)
{
	struct device *dev = device_of(bio->bi_bdev);

	bio->shim_port = (void *)port_now_ns();
	pthread_mutex_lock(&dev->lock);
	bio_list_add(&dev->queue, bio);
	dev->stats.in_flight++;
	pthread_cond_signal(&dev->wake);
	pthread_mutex_unlock(&dev->lock);
}

/* Opening and closing */

static bool map_file(struct device *dev, bool read_only)
{
	int prot = read_only ? PROT_READ : PROT_READ | PROT_WRITE;
	void *p;

	p = mmap(NULL, dev->bytes, prot, MAP_SHARED_VALIDATE | MAP_SYNC,
		 dev->fd, 0);
	dev->map_sync = p != MAP_FAILED;
	if (p == MAP_FAILED)
		p = mmap(NULL, dev->bytes, prot, MAP_SHARED, dev->fd, 0);
	if (p == MAP_FAILED)
		return false;
	dev->memory = p;
	return true;
}

static bool open_file(struct device *dev, const struct port_bdev_config *c)
{
	off_t end;

	dev->fd = open(c->path, (c->read_only ? O_RDONLY : O_RDWR | O_CREAT) |
		       O_CLOEXEC, 0600);
	if (dev->fd < 0)
		return false;
	end = lseek(dev->fd, 0, SEEK_END);
	if (end < 0 || (!end && !c->bytes))
		return false;
	if (c->bytes > (u64)end && ftruncate(dev->fd, c->bytes))
		return false;
	dev->bytes = c->bytes ?: (u64)end;
	return !c->pmem || map_file(dev, c->read_only);
}

static bool get_memory(struct device *dev, const struct port_bdev_config *c)
{
	void *p;

	dev->bytes = c->bytes;
	p = mmap(NULL, c->bytes, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return false;
	dev->memory = p;
	return true;
}

static void set_limits(struct queue_limits *lim,
		       const struct port_bdev_config *c)
{
	unsigned int block = c->block_size ?: SECTOR_SIZE;

	*lim = (struct queue_limits) {
		.logical_block_size = block,
		.physical_block_size = block,
		.io_min = block,
		.max_sectors = 2560,
		.max_hw_sectors = UINT_MAX,
		.max_segments = 128,
		.max_segment_size = UINT_MAX,
		.dma_alignment = 511,
		.features = BLK_FEAT_NOWAIT,
	};
	if (c->write_cache)
		lim->features |= BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA;
	if (c->pmem)
		lim->features |= BLK_FEAT_DAX | BLK_FEAT_SYNCHRONOUS;
	if (c->discard) {
		lim->max_hw_discard_sectors = UINT_MAX >> SECTOR_SHIFT;
		lim->max_user_discard_sectors = UINT_MAX >> SECTOR_SHIFT;
		lim->max_discard_sectors = UINT_MAX >> SECTOR_SHIFT;
		lim->max_write_zeroes_sectors = UINT_MAX >> SECTOR_SHIFT;
		lim->discard_granularity = block;
	}
}

static void free_device(struct device *dev)
{
	if (dev->memory)
		munmap(dev->memory, dev->bytes);
	if (dev->fd >= 0)
		close(dev->fd);
	free(dev->poison);
	free(dev);
}

static void start_tasks(struct device *dev, unsigned int nr)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&dev->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&dev->wake, &attr);
	pthread_condattr_destroy(&attr);
	dev->nr_tasks = min_t(unsigned int, nr ?: 2, ARRAY_SIZE(dev->tasks));
	for (unsigned int i = 0; i < dev->nr_tasks; i++)
		dev->tasks[i] = shim_spawn("io", io_task, dev);
}

struct block_device *port_bdev_open(const struct port_bdev_config *c)
{
	struct device *dev = calloc(1, sizeof(*dev));

	BUG_ON(!dev);
	dev->fd = -1;
	dev->pmem = c->pmem;
	if (c->path ? !open_file(dev, c) : !get_memory(dev, c)) {
		int saved = errno;

		free_device(dev);
		errno = saved ?: EINVAL;
		return NULL;
	}
	dev->bdev.name = c->name;
	dev->bdev.nr_sectors = dev->bytes >> SECTOR_SHIFT;
	dev->bdev.read_only = c->read_only;
	set_limits(&dev->bdev.queue.limits, c);
	if (c->pmem) {
		dev->dax.name = c->name;
		dev->dax.base = dev->memory;
		dev->dax.nr_pages = dev->bytes >> PAGE_SHIFT;
		dev->dax.synchronous = true;
		dev->bdev.dax = &dev->dax;
	}
	if (dev->map_sync)
		make_special(dev);
	start_tasks(dev, c->threads);
	return &dev->bdev;
}

void port_bdev_close(struct block_device *bdev)
{
	struct device *dev = device_of(bdev);

	pthread_mutex_lock(&dev->lock);
	if (dev->stats.in_flight)
		shim_bug("%s is closed with %u requests in flight", bdev->name,
			 dev->stats.in_flight);
	dev->stop = true;
	pthread_cond_broadcast(&dev->wake);
	pthread_mutex_unlock(&dev->lock);
	for (unsigned int i = 0; i < dev->nr_tasks; i++)
		shim_join(dev->tasks[i]);
	make_plain(dev);
	pthread_cond_destroy(&dev->wake);
	pthread_mutex_destroy(&dev->lock);
	free_device(dev);
}

void *port_bdev_memory(struct block_device *bdev)
{
	return device_of(bdev)->memory;
}

/* Faults */

void port_bdev_fault(struct block_device *bdev, unsigned int ops,
		     sector_t sector, sector_t sectors, int times,
		     blk_status_t status)
{
	struct device *dev = device_of(bdev);
	unsigned int i = 0;

	pthread_mutex_lock(&dev->lock);
	while (i < dev->nr_faults && dev->faults[i].times)
		i++;
	BUG_ON(i == MAX_FAULTS);
	dev->faults[i] = (struct fault) { ops, sector, sectors, times, status };
	dev->nr_faults = max(dev->nr_faults, i + 1);
	pthread_mutex_unlock(&dev->lock);
}

void port_bdev_clear_faults(struct block_device *bdev)
{
	struct device *dev = device_of(bdev);

	pthread_mutex_lock(&dev->lock);
	dev->nr_faults = 0;
	pthread_mutex_unlock(&dev->lock);
}

void port_bdev_set_gone(struct block_device *bdev, bool gone)
{
	struct device *dev = device_of(bdev);

	pthread_mutex_lock(&dev->lock);
	dev->gone = gone;
	pthread_mutex_unlock(&dev->lock);
}

void port_bdev_set_latency(struct block_device *bdev, u64 ns)
{
	struct device *dev = device_of(bdev);

	pthread_mutex_lock(&dev->lock);
	dev->latency_ns = ns;
	pthread_cond_broadcast(&dev->wake);
	pthread_mutex_unlock(&dev->lock);
}

void port_bdev_hold(struct block_device *bdev, bool hold)
{
	struct device *dev = device_of(bdev);

	pthread_mutex_lock(&dev->lock);
	dev->hold = hold;
	pthread_cond_broadcast(&dev->wake);
	pthread_mutex_unlock(&dev->lock);
}

void port_bdev_get_stats(struct block_device *bdev,
			 struct port_bdev_stats *stats)
{
	struct device *dev = device_of(bdev);

	pthread_mutex_lock(&dev->lock);
	*stats = dev->stats;
	pthread_mutex_unlock(&dev->lock);
}
