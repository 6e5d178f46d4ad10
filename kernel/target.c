// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The Device-Mapper target: the only file that knows dm_target and dm_table.
 *
 * It opens and maps the devices, hands requests with sectors of the backing
 * device to the cache, and passes on what Device-Mapper asks.
 *
 * Two tables of one mapped device may know the same cache: the live one, and one that
 * is loaded. They share a binding; its owner is the target whose table was resumed
 * last. doc/design.rst, "Tables", has the whole picture.
 */
#include <linux/dax.h>
#include <linux/device-mapper.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "pcache.h"

#define DM_MSG_PREFIX	"pcache"

/**
 * struct mapping - the cache device in memory, from some place on to its end
 * @link: of a binding's list
 * @media: where
 * @vmapped: by vmap(), because its memory is not in one piece
 */
struct mapping {
	struct list_head link;
	void *media;
	bool vmapped;
};

/**
 * struct binding - a cache device and a backing device in use together
 * @whole: the cache device as it was at first
 * @grown: what it has got since
 * @live: it has been resumed
 * @refs: one for each target that has it (under bindings_lock)
 * @owner: the target whose table was resumed last; NULL: none, or that has gone.
 *	   Changes under bindings_lock
 * @pc: the cache
 */
struct binding {
	struct mapping whole;
	struct list_head grown;
	bool live;
	unsigned int refs;
	struct target *owner;
	struct pcache *pc;
};

/**
 * struct target - one target of a table
 * @ti: what Device-Mapper knows of it
 * @cache_dev: persistent memory
 * @backing_dev: what it is a cache of
 * @options: what its line says
 * @link: on the list of targets, if @claimed
 * @claimed: it is there
 * @b: its devices in use; NULL: not yet
 * @pc: the cache, @b has it
 */
struct target {
	struct dm_target *ti;
	struct dm_dev *cache_dev;
	struct dm_dev *backing_dev;
	struct pcache_options options;
	struct list_head link;
	bool claimed;
	struct binding *b;
	struct pcache *pc;
};

/*
 * All targets there are. What Device-Mapper claims is shared between all its users, so
 * this list decides who may have a device.
 */
static LIST_HEAD(targets);
static DEFINE_MUTEX(bindings_lock);

/*
 * What ti->error points to when it is not a constant. Device-Mapper logs it as
 * soon as the constructor returns; two that fail at once may mix up their texts.
 */
static char error_text[200];

static bool has_dev(const struct target *t, const struct dm_dev *dev)
{
	return t->cache_dev->bdev->bd_dev == dev->bdev->bd_dev ||
	       t->backing_dev->bdev->bd_dev == dev->bdev->bd_dev;
}

static bool same_cache_dev(const struct target *a, const struct target *b)
{
	return a->cache_dev->bdev->bd_dev == b->cache_dev->bdev->bd_dev;
}

static bool same_backing_dev(const struct target *a, const struct target *b)
{
	return a->backing_dev->bdev->bd_dev == b->backing_dev->bdev->bd_dev;
}

static void send_event(void *data)
{
	struct dm_target *ti = data;

	dm_table_event(ti->table);
}

static int grow_media(void *data, u64 from, void **media, u64 *device_bytes);

static struct pcache_config config_of(const struct target *t, void *media)
{
	struct dm_target *ti = t->ti;

	return (struct pcache_config) {
		.name = dm_table_device_name(ti->table),
		.media = media,
		.media_bytes = round_down(bdev_nr_bytes(t->cache_dev->bdev), PAGE_SIZE),
		.backing = t->backing_dev->bdev,
		.read_only = !(dm_table_get_mode(ti->table) & BLK_OPEN_WRITE),
		.options = t->options,
		.event = send_event,
		.grow = grow_media,
		.host = ti,
	};
}

/* May another cache device take this one's place? @suspended: nothing more is written. */
static int may_be_replaced(const struct binding *b, bool suspended, const char **error)
{
	if (pcache_may_go(b->pc, suspended))
		return 0;
	*error = "Another cache device can only replace a live one that is clean, in cache_mode writethrough or writearound";
	return -EBUSY;
}

/*
 * May @t use its devices beside @other? If both devices are live in the same mapped device,
 * @shared gets their binding.
 */
static int check_beside(const struct target *t, const struct target *other, bool suspended,
			struct binding **shared, const char **error)
{
	bool cache = has_dev(other, t->cache_dev), backing = has_dev(other, t->backing_dev);

	if (!cache && !backing)
		return 0;
	*error = cache ? "Cache device is in use by a pcache target" :
			 "Backing device is in use by a pcache target";
	if (dm_table_get_md(t->ti->table) != dm_table_get_md(other->ti->table) ||
	    t->ti->table == other->ti->table)
		return -EBUSY;
	if (!other->b || !other->b->live)
		return 0;
	if (same_cache_dev(t, other) && same_backing_dev(t, other)) {
		*shared = other->b;
		return 0;
	}
	if (same_backing_dev(t, other))
		return may_be_replaced(other->b, suspended, error);
	if (same_cache_dev(t, other))
		*error = "Cache device is live with another backing device";
	return -EBUSY;
}

/* The same beside all others. */
static int check_others(const struct target *t, bool suspended, struct binding **shared,
			const char **error)
{
	struct target *other;
	int r;

	lockdep_assert_held(&bindings_lock);
	*shared = NULL;
	list_for_each_entry(other, &targets, link) {
		r = other == t ? 0 : check_beside(t, other, suspended, shared, error);
		if (r)
			return r;
	}
	return 0;
}

/* Puts the target on the list, unless others are in its way; finds what it may share. */
static int claim_devices(struct target *t)
{
	const char *error = NULL;
	struct binding *shared;
	int r;

	mutex_lock(&bindings_lock);
	r = check_others(t, false, &shared, &error);
	if (!r && shared) {
		struct pcache_config config = config_of(t, NULL);

		r = pcache_reload_check(shared->pc, &config, &error);
	}
	if (r) {
		t->ti->error = (char *)error;
	} else {
		list_add(&t->link, &targets);
		t->claimed = true;
		t->b = shared;
		if (shared) {
			shared->refs++;
			t->pc = shared->pc;
		}
	}
	mutex_unlock(&bindings_lock);
	return r;
}

/* Off the list; true: nobody else has the binding. */
static bool release_devices(struct target *t)
{
	bool last = false;

	mutex_lock(&bindings_lock);
	if (t->claimed)
		list_del(&t->link);
	if (t->b) {
		last = --t->b->refs == 0;
		if (t->b->owner == t) {
			WRITE_ONCE(t->b->owner, NULL);
			if (!last)
				pcache_silence(t->pc);
		}
	}
	mutex_unlock(&bindings_lock);
	return last;
}

/* Maps memory that is not in one piece, page by page. */
static int map_pieces(struct target *t, struct mapping *m, pgoff_t start, long pages)
{
	struct dax_device *dax = t->cache_dev->dax_dev;
	struct page **page = kvmalloc_array(pages, sizeof(*page), GFP_KERNEL);
	long done = 0, n, i;
	void *addr;
	int r = -ENOMEM;

	if (!page)
		return r;
	while (done < pages) {
		n = dax_direct_access(dax, start + done, pages - done, DAX_ACCESS, &addr, NULL);
		r = n < 0 ? n : n == 0 ? -EIO : 0;
		if (r || !virt_addr_valid(addr)) {
			r = r ?: -EOPNOTSUPP;
			goto out;
		}
		for (i = 0; i < n && done < pages; i++)
			page[done++] = virt_to_page(addr + (i << PAGE_SHIFT));
		cond_resched();
	}
	m->media = vmap(page, pages, VM_MAP, PAGE_KERNEL);
	m->vmapped = m->media;
	r = m->media ? 0 : -ENOMEM;
out:
	kvfree(page);
	return r;
}

/* Maps the cache device from @from bytes on, a multiple of a page, to its end. */
static int map_media(struct target *t, struct mapping *m, u64 from)
{
	struct block_device *bdev = t->cache_dev->bdev;
	struct dax_device *dax = t->cache_dev->dax_dev;
	pgoff_t start = ((get_start_sect(bdev) << SECTOR_SHIFT) + from) >> PAGE_SHIFT;
	long pages = (bdev_nr_bytes(bdev) - from) >> PAGE_SHIFT, n;
	int id, r = 0;

	id = dax_read_lock();
	n = dax_direct_access(dax, start, pages, DAX_ACCESS, &m->media, NULL);
	if (n != pages) {
		m->media = NULL;
		r = n < 0 ? n : map_pieces(t, m, start, pages);
	}
	dax_read_unlock(id);
	return r;
}

/* The owner's cache has admin; nobody else changes the list. */
static int grow_media(void *data, u64 from, void **media, u64 *device_bytes)
{
	struct dm_target *ti = data;
	struct target *t = ti->private;
	struct mapping *m;
	int r;

	*device_bytes = round_down(bdev_nr_bytes(t->cache_dev->bdev), PAGE_SIZE);
	if (*device_bytes < from + PCACHE_SEG_BYTES)
		return 0;
	m = kzalloc(sizeof(*m), GFP_KERNEL);
	if (!m)
		return -ENOMEM;
	r = map_media(t, m, from);
	if (r) {
		kfree(m);
		return r;
	}
	list_add_tail(&m->link, &t->b->grown);
	*media = m->media;
	return 0;
}

static int check_devices(struct target *t)
{
	struct dm_target *ti = t->ti;
	struct block_device *cache = t->cache_dev->bdev, *backing = t->backing_dev->bdev;
	unsigned int block = bdev_logical_block_size(backing);

	if (cache->bd_dev == backing->bd_dev) {
		ti->error = "Cache device and backing device are the same";
		return -EINVAL;
	}
	if ((get_start_sect(cache) << SECTOR_SHIFT) % PAGE_SIZE) {
		ti->error = "Cache device is a partition that does not begin at a page";
		return -EINVAL;
	}
	if (!t->cache_dev->dax_dev) {
		ti->error = "Cache device is not a DAX device (persistent memory in fsdax mode)";
		return -EINVAL;
	}
	if (!dax_synchronous(t->cache_dev->dax_dev)) {
		ti->error = "Cache device does not persist synchronously";
		return -EINVAL;
	}
	if (block > SZ_4K || bdev_logical_block_size(cache) > block) {
		ti->error = "Logical block sizes: the backing device's must be at most 4096, and not smaller than the cache device's";
		return -EINVAL;
	}
	if (ti->len > bdev_nr_sectors(backing)) {
		ti->error = "Table is longer than the backing device";
		return -EINVAL;
	}
	if (bdev_nr_sectors(backing) >> 48) {
		ti->error = "Backing device is too large";
		return -EINVAL;
	}
	return 0;
}

static void put_devices(struct target *t)
{
	if (t->backing_dev)
		dm_put_device(t->ti, t->backing_dev);
	if (t->cache_dev)
		dm_put_device(t->ti, t->cache_dev);
}

static int get_devices(struct target *t, char **argv)
{
	blk_mode_t mode = dm_table_get_mode(t->ti->table);

	if (dm_get_device(t->ti, argv[0], mode, &t->cache_dev)) {
		t->ti->error = "Cache device cannot be opened";
		return -ENODEV;
	}
	if (dm_get_device(t->ti, argv[1], mode, &t->backing_dev)) {
		t->ti->error = "Backing device cannot be opened";
		return -ENODEV;
	}
	return check_devices(t);
}

static void destroy_binding(struct binding *b)
{
	struct mapping *m, *next;

	if (b->pc)
		pcache_destroy(b->pc);
	if (b->whole.vmapped)
		vunmap(b->whole.media);
	list_for_each_entry_safe(m, next, &b->grown, link) {
		if (m->vmapped)
			vunmap(m->media);
		kfree(m);
	}
	kfree(b);
}

/* Has the target's table been resumed, and no other one since? */
static bool owns(const struct target *t)
{
	return READ_ONCE(t->b->owner) == t;
}

/*
 * Device-Mapper suspends no table that it could resume in part only: then what runs runs
 * until here, or until another table comes.
 */
static void target_free(struct target *t)
{
	if (t->b && owns(t))
		pcache_suspend(t->pc);
	if (release_devices(t))
		destroy_binding(t->b);
	put_devices(t);
	kfree(t);
}

/* A cache of devices that are live nowhere. It is seen by others when it is whole. */
static int make_binding(struct target *t)
{
	struct binding *b = kzalloc(sizeof(*b), GFP_KERNEL);
	struct pcache_config config;
	const char *error = NULL;
	int r;

	if (!b) {
		t->ti->error = "Cannot allocate memory for the target";
		return -ENOMEM;
	}
	INIT_LIST_HEAD(&b->grown);
	r = map_media(t, &b->whole, 0);
	if (r) {
		t->ti->error = "Cache device cannot be mapped (bad pages, or memory without struct page in pieces)";
	} else {
		config = config_of(t, b->whole.media);
		b->pc = pcache_create(&config, &error);
		if (IS_ERR(b->pc)) {
			t->ti->error = (char *)error;
			r = PTR_ERR(b->pc);
			b->pc = NULL;
		}
	}
	if (r) {
		destroy_binding(b);
		return r;
	}
	b->refs = 1;
	t->pc = b->pc;
	mutex_lock(&bindings_lock);
	t->b = b;
	mutex_unlock(&bindings_lock);
	return 0;
}

static int pcache_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct pcache_options options;
	struct target *t;
	int r;

	if (argc < 2) {
		ti->error = "Expected <cache_dev> <backing_dev> [<#words> [<option> <value>]...]";
		return -EINVAL;
	}
	if (pcache_parse_options(argc - 2, argv + 2, &options, error_text, sizeof(error_text))) {
		ti->error = error_text;
		return -EINVAL;
	}
	t = kzalloc(sizeof(*t), GFP_KERNEL);
	if (!t) {
		ti->error = "Cannot allocate memory for the target";
		return -ENOMEM;
	}
	t->ti = ti;
	t->options = options;
	r = get_devices(t, argv);
	if (!r)
		r = claim_devices(t);
	if (!r && !t->b)
		r = make_binding(t);
	if (!r)
		r = dm_set_target_max_io_len(ti, PCACHE_STRETCH_SECTORS);
	if (r) {
		target_free(t);
		return r;
	}
	ti->private = t;
	ti->num_flush_bios = 1;
	ti->flush_supported = true;
	/* The cache drops its own also where the backing device takes no discards. */
	ti->num_discard_bios = 1;
	ti->discards_supported = true;
	ti->num_write_zeroes_bios = 1;
	ti->limit_swap_bios = true;
	ti->per_io_data_size = sizeof(struct pcache_request);
	return 0;
}

static void pcache_dtr(struct dm_target *ti)
{
	target_free(ti->private);
}

/* Reads and writes are split before they come here, discards and write zeroes are not. */
static void accept_one_stretch(struct bio *bio)
{
	u32 at = bio->bi_iter.bi_sector & (PCACHE_STRETCH_SECTORS - 1);

	if (bio_sectors(bio) > PCACHE_STRETCH_SECTORS - at)
		dm_accept_partial_bio(bio, PCACHE_STRETCH_SECTORS - at);
}

static int pcache_map(struct dm_target *ti, struct bio *bio)
{
	struct target *t = ti->private;

	bio->bi_iter.bi_sector = dm_target_offset(ti, bio->bi_iter.bi_sector);
	accept_one_stretch(bio);
	pcache_submit(t->pc, dm_per_bio_data(bio, sizeof(struct pcache_request)), bio);
	return DM_MAPIO_SUBMITTED;
}

static void pcache_presuspend(struct dm_target *ti)
{
	struct target *t = ti->private;

	if (owns(t) && dm_noflush_suspending(ti))
		pcache_io_requeue(t->pc, BLK_STS_DM_REQUEUE);
}

static void pcache_presuspend_undo(struct dm_target *ti)
{
	struct target *t = ti->private;

	if (owns(t))
		pcache_io_requeue(t->pc, BLK_STS_OK);
}

static void pcache_postsuspend(struct dm_target *ti)
{
	struct target *t = ti->private;

	if (owns(t))
		pcache_suspend(t->pc);
}

/*
 * The table is about to be live: takes the cache over from the one before, which is
 * suspended. What the constructor has found good may be so no more.
 */
static int take_over(struct target *t)
{
	struct pcache_config config = config_of(t, NULL);
	struct binding *shared;
	const char *error = NULL;
	int r;

	lockdep_assert_held(&bindings_lock);
	r = check_others(t, true, &shared, &error);
	if (!r && shared && shared != t->b) {
		error = "Its devices have become live since it was loaded: load it again";
		r = -EBUSY;
	}
	if (!r && t->b->live)
		r = pcache_reload_check(t->pc, &config, &error);
	if (r) {
		DMERR("%s: table cannot be resumed: %s", config.name, error);
		return r;
	}
	if (t->b->live)
		pcache_reload(t->pc, &config);
	WRITE_ONCE(t->b->owner, t);
	return 0;
}

static int pcache_preresume(struct dm_target *ti)
{
	struct target *t = ti->private;
	int r = 0;

	/* The one before may have been resumed in part, and so not been suspended. */
	if (!owns(t))
		pcache_suspend(t->pc);
	mutex_lock(&bindings_lock);
	if (!owns(t))
		r = take_over(t);
	if (!r)
		r = pcache_resume(t->pc);
	if (!r)
		t->b->live = true;
	mutex_unlock(&bindings_lock);
	if (!r)
		pcache_io_requeue(t->pc, BLK_STS_OK);
	return r;
}

static void pcache_status(struct dm_target *ti, status_type_t type, unsigned int status_flags,
			  char *result, unsigned int maxlen)
{
	struct target *t = ti->private;
	bool live = owns(t) || !READ_ONCE(t->b->live);
	unsigned int sz = 0;

	switch (type) {
	case STATUSTYPE_INFO:
		pcache_print_status(t->pc, result, maxlen);
		break;
	case STATUSTYPE_TABLE:
		DMEMIT("%s %s ", t->cache_dev->name, t->backing_dev->name);
		pcache_print_options(t->pc, &t->options, live, result + sz, maxlen - sz);
		break;
	case STATUSTYPE_IMA:
		DMEMIT_TARGET_NAME_VERSION(ti->type);
		DMEMIT(",cache_device=%s,backing_device=%s", t->cache_dev->name,
		       t->backing_dev->name);
		sz += pcache_print_ima(t->pc, &t->options, live,
				       !(dm_table_get_mode(ti->table) & BLK_OPEN_WRITE),
				       result + sz, maxlen - sz);
		DMEMIT(";");
		break;
	}
}

static int pcache_target_message(struct dm_target *ti, unsigned int argc, char **argv,
				 char *result, unsigned int maxlen)
{
	struct target *t = ti->private;

	return pcache_message(t->pc, argc, argv, result, maxlen);
}

static int pcache_iterate_devices(struct dm_target *ti, iterate_devices_callout_fn fn, void *data)
{
	struct target *t = ti->private;

	return fn(ti, t->backing_dev, 0, ti->len, data);
}

static void pcache_io_hints(struct dm_target *ti, struct queue_limits *limits)
{
	struct target *t = ti->private;

	if (bdev_max_discard_sectors(t->backing_dev->bdev))
		return;
	limits->max_hw_discard_sectors = PCACHE_STRETCH_SECTORS;
	limits->discard_granularity = limits->logical_block_size;
	limits->discard_alignment = 0;
}

static struct target_type pcache_target = {
	.name = "pcache",
	.version = { 1, 0, 0 },
	.module = THIS_MODULE,
	.ctr = pcache_ctr,
	.dtr = pcache_dtr,
	.map = pcache_map,
	.presuspend = pcache_presuspend,
	.presuspend_undo = pcache_presuspend_undo,
	.postsuspend = pcache_postsuspend,
	.preresume = pcache_preresume,
	.status = pcache_status,
	.message = pcache_target_message,
	.iterate_devices = pcache_iterate_devices,
	.io_hints = pcache_io_hints,
};
module_dm(pcache);

MODULE_DESCRIPTION(DM_NAME " persistent-memory cache target");
MODULE_LICENSE("GPL");
