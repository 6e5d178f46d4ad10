// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Mapped devices: states, and the way of a bio through a table and back.
 *
 * As in the kernel, a bio that crosses a boundary has its first part mapped
 * and the rest submitted again; FLUSH goes to the targets before the data that
 * came with it; and whoever uses the live table (a bio on its way down, a
 * message, status) holds up whoever wants to suspend or replace it.
 */
#define DM_MSG_PREFIX "core"
#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "dm-core.h"
#include "shim-core.h"

/* A part of a bio that is on its way; ends when refs becomes 0. */
struct dm_io {
	struct mapped_device *md;
	struct bio *bio;
	struct bvec_iter iter;	/* the part, should it come to be repeated */
	blk_opf_t opf;
	atomic_t refs;
	blk_status_t status;
};

/* Lies directly before each clone, and before it the target's own data. */
struct dm_target_io {
	struct dm_io *io;
	struct dm_target *ti;
	unsigned int *len;	/* while map() runs: sectors of the part */
	unsigned int nr;
	u32 pad;
} __aligned(16);

static atomic_t next_minor;

static struct dm_target_io *tio_of(const struct bio *clone)
{
	return (struct dm_target_io *)clone - 1;
}

/* What a clone needs before it, multiple of all alignments. */
size_t dm_clone_pad(unsigned int per_io_data_size)
{
	return ALIGN(per_io_data_size, 16) + sizeof(struct dm_target_io);
}

void *dm_per_bio_data(struct bio *bio, size_t data_size)
{
	return (char *)tio_of(bio) - data_size;
}

struct bio *dm_bio_from_per_bio_data(void *data, size_t data_size)
{
	struct dm_target_io *tio = (void *)((char *)data + data_size);

	return (struct bio *)(tio + 1);
}

unsigned int dm_bio_get_target_bio_nr(const struct bio *bio)
{
	return tio_of(bio)->nr;
}

/* The live table and what is in flight */

static struct dm_table *get_live(struct mapped_device *md, bool for_bio)
{
	struct dm_table *t = NULL;
	unsigned long flags;

	spin_lock_irqsave(&md->lock, flags);
	if (!for_bio || !md->blocked)
		t = md->map;
	if (t)
		t->users++;
	spin_unlock_irqrestore(&md->lock, flags);
	return t;
}

static void put_live(struct dm_table *t)
{
	struct mapped_device *md = t->md;
	unsigned long flags;

	spin_lock_irqsave(&md->lock, flags);
	if (--t->users == 0)
		wake_up_all(&md->wait);
	spin_unlock_irqrestore(&md->lock, flags);
}

static void change_in_flight(struct mapped_device *md, int n)
{
	unsigned long flags;

	spin_lock_irqsave(&md->lock, flags);
	md->in_flight += n;
	if (md->in_flight == 0)
		wake_up_all(&md->wait);
	spin_unlock_irqrestore(&md->lock, flags);
}

unsigned int dm_host_in_flight(struct mapped_device *md)
{
	unsigned long flags;
	unsigned int n;

	spin_lock_irqsave(&md->lock, flags);
	n = md->in_flight;
	spin_unlock_irqrestore(&md->lock, flags);
	return n;
}

static bool table_unused(struct mapped_device *md, struct dm_table *t)
{
	unsigned long flags;
	bool unused;

	spin_lock_irqsave(&md->lock, flags);
	unused = t->users == 0;
	spin_unlock_irqrestore(&md->lock, flags);
	return unused;
}

/* Bios that are put off */

static void defer(struct mapped_device *md, struct bio *bio)
{
	unsigned long flags;

	spin_lock_irqsave(&md->lock, flags);
	bio_list_add(&md->deferred, bio);
	queue_work(md->wq, &md->work);
	spin_unlock_irqrestore(&md->lock, flags);
}

static void submit_deferred(struct work_struct *work)
{
	struct mapped_device *md = container_of(work, struct mapped_device,
						work);
	unsigned long flags;
	struct bio *bio;

	for (;;) {
		spin_lock_irqsave(&md->lock, flags);
		bio = md->blocked ? NULL : bio_list_pop(&md->deferred);
		spin_unlock_irqrestore(&md->lock, flags);
		if (!bio)
			return;
		submit_bio_noacct(bio);
	}
}

/* Completion */

static void end_repeated(struct bio *clone)
{
	struct bio *bio = clone->bi_private;

	if (clone->bi_status)
		WRITE_ONCE(bio->bi_status, clone->bi_status);
	bio_put(clone);
	bio_endio(bio);
}

/* A part that was told to come again during a noflush suspend. */
static bool repeat(struct dm_io *io)
{
	struct mapped_device *md = io->md;
	unsigned long flags;
	struct bio *clone;
	bool ok;

	clone = bio_alloc_clone(&md->bdev, io->bio,
				GFP_NOWAIT | __GFP_NOFAIL, &fs_bio_set);
	clone->bi_iter = io->iter;
	clone->bi_opf = io->opf;
	clone->bi_private = io->bio;
	clone->bi_end_io = end_repeated;
	spin_lock_irqsave(&md->lock, flags);
	ok = md->noflush;
	if (ok)
		bio_list_add_head(&md->deferred, clone);
	spin_unlock_irqrestore(&md->lock, flags);
	if (!ok)
		bio_put(clone);
	return ok;
}

static void end_io(struct dm_io *io)
{
	struct mapped_device *md = io->md;
	struct bio *bio = io->bio;
	blk_status_t status = io->status;
	bool flushed = (io->opf & REQ_PREFLUSH) && io->iter.bi_size;

	if (status == BLK_STS_DM_REQUEUE) {
		if (repeat(io)) {
			kfree(io);
			change_in_flight(md, -1);
			return;
		}
		status = BLK_STS_IOERR;
	}
	kfree(io);
	if (flushed && !status) {
		/* The FLUSH is done; now the data. */
		bio->bi_opf &= ~REQ_PREFLUSH;
		change_in_flight(md, -1);
		defer(md, bio);
		return;
	}
	change_in_flight(md, -1);
	if (status)
		WRITE_ONCE(bio->bi_status, status);
	bio_endio(bio);
}

static void put_io(struct dm_io *io, blk_status_t status)
{
	if (status)
		WRITE_ONCE(io->status, status);
	if (atomic_dec_and_test(&io->refs))
		end_io(io);
}

static void end_clone(struct bio *clone)
{
	struct dm_target_io *tio = tio_of(clone);
	struct dm_io *io = tio->io;
	blk_status_t error = clone->bi_status;
	int what = DM_ENDIO_DONE;

	if (tio->ti->type->end_io)
		what = tio->ti->type->end_io(tio->ti, clone, &error);
	switch (what) {
	case DM_ENDIO_DONE:
		break;
	case DM_ENDIO_INCOMPLETE:
		return;
	case DM_ENDIO_REQUEUE:
	case DM_ENDIO_DELAY_REQUEUE:
		error = BLK_STS_DM_REQUEUE;
		break;
	default:
		shim_bug("unimplemented target endio return value %d", what);
	}
	bio_put(clone);
	put_io(io, error);
}

/* The way down */

static struct bio *make_clone(struct dm_io *io, struct dm_target *ti,
			      unsigned int *len, unsigned int nr)
{
	struct bio *clone;
	struct dm_target_io *tio;

	clone = bio_alloc_clone(&io->md->bdev, io->bio,
				GFP_NOIO | __GFP_NOFAIL, &ti->table->clones);
	clone->bi_end_io = end_clone;
	clone->bi_iter.bi_size = *len << SECTOR_SHIFT;
	tio = tio_of(clone);
	*tio = (struct dm_target_io) {
		.io = io, .ti = ti, .len = len, .nr = nr,
	};
	return clone;
}

static void map_clone(struct bio *clone)
{
	struct dm_target_io *tio = tio_of(clone);
	struct dm_target *ti = tio->ti;
	struct dm_io *io = tio->io;
	int what;

	atomic_inc(&io->refs);
	what = ti->type->map(ti, clone);
	switch (what) {
	case DM_MAPIO_SUBMITTED:
		break;
	case DM_MAPIO_REMAPPED:
		if (clone->bi_bdev == &io->md->bdev)
			shim_bug("remapped to the mapped device itself");
		submit_bio_noacct(clone);
		break;
	case DM_MAPIO_KILL:
	case DM_MAPIO_REQUEUE:
		bio_put(clone);
		put_io(io, what == DM_MAPIO_KILL ? BLK_STS_IOERR :
						   BLK_STS_DM_REQUEUE);
		break;
	default:
		shim_bug("unimplemented target map return value %d", what);
	}
	if (current->nr_held || in_atomic())
		shim_bug("a map function leaves something locked");
}

void dm_accept_partial_bio(struct bio *bio, unsigned int nr_sectors)
{
	struct dm_target_io *tio = tio_of(bio);

	if (!tio->len || nr_sectors > bio_sectors(bio) ||
	    (bio->bi_opf & REQ_PREFLUSH))
		shim_bug("dm_accept_partial_bio() of %u sectors", nr_sectors);
	*tio->len -= bio_sectors(bio) - nr_sectors;
	bio->bi_iter.bi_size = nr_sectors << SECTOR_SHIFT;
}

void dm_submit_bio_remap(struct bio *clone, struct bio *tgt_clone)
{
	submit_bio_noacct(tgt_clone ?: clone);
}

static void send_flush(struct dm_io *io, struct dm_table *t)
{
	unsigned int none = 0;

	for (unsigned int i = 0; i < t->nr_targets; i++) {
		struct dm_target *ti = &t->targets[i];

		for (unsigned int nr = 0; nr < ti->num_flush_bios; nr++) {
			struct bio *clone = make_clone(io, ti, &none, nr);

			clone->bi_opf = REQ_OP_WRITE | REQ_PREFLUSH | REQ_SYNC;
			clone->bi_iter.bi_sector = 0;
			map_clone(clone);
		}
	}
}

static unsigned int bios_of(const struct dm_target *ti, enum req_op op)
{
	switch (op) {
	case REQ_OP_DISCARD:
		return ti->num_discard_bios;
	case REQ_OP_WRITE_ZEROES:
		return ti->num_write_zeroes_bios;
	case REQ_OP_SECURE_ERASE:
		return ti->num_secure_erase_bios;
	default:
		return 1;
	}
}

static unsigned int part_length(struct dm_target *ti, struct bio *bio)
{
	sector_t offset = dm_target_offset(ti, bio->bi_iter.bi_sector);
	sector_t len = min((sector_t)bio_sectors(bio), ti->len - offset);

	switch (bio_op(bio)) {
	case REQ_OP_DISCARD:
		if (!ti->max_discard_granularity)
			return len;
		break;
	case REQ_OP_SECURE_ERASE:
	case REQ_OP_WRITE_ZEROES:
		return len;
	default:
		break;
	}
	if (!ti->max_io_len)
		return len;
	return min(len, ti->max_io_len - offset % ti->max_io_len);
}

/* Maps the first part of the bio; gives how much that was. */
static unsigned int send_part(struct dm_io *io, struct dm_table *t)
{
	struct bio *bio = io->bio;
	struct dm_target *ti = dm_table_find(t, bio->bi_iter.bi_sector);
	unsigned int n, nr, len;

	if (!ti) {
		put_io(io, BLK_STS_IOERR);
		return bio_sectors(bio);
	}
	len = part_length(ti, bio);
	n = bios_of(ti, bio_op(bio));
	if (!n)
		WRITE_ONCE(io->status, BLK_STS_NOTSUPP);
	for (nr = 0; nr < n; nr++) {
		struct bio *clone = make_clone(io, ti, &len, nr);

		map_clone(clone);
	}
	return len;
}

static void map_bio(struct mapped_device *md, struct dm_table *t,
		    struct bio *bio)
{
	struct dm_io *io = kzalloc(sizeof(*io), GFP_NOIO | __GFP_NOFAIL);
	unsigned int all = bio_sectors(bio), len;

	io->md = md;
	io->bio = bio;
	io->iter = bio->bi_iter;
	io->opf = bio->bi_opf;
	atomic_set(&io->refs, 1);
	change_in_flight(md, 1);
	if (bio->bi_opf & REQ_PREFLUSH) {
		send_flush(io, t);
		put_io(io, 0);
		return;
	}
	if (!all) {
		put_io(io, 0);
		return;
	}
	len = send_part(io, t);
	if (len < all) {
		io->iter.bi_size = len << SECTOR_SHIFT;
		bio_trim(bio, len, all - len);
		bio_inc_remaining(bio);
		put_io(io, 0);
		submit_bio_noacct(bio);
	} else {
		put_io(io, 0);
	}
}

static void submit_to_md(struct bio *bio)
{
	struct mapped_device *md = container_of(bio->bi_bdev,
						struct mapped_device, bdev);
	struct dm_table *t = get_live(md, true);

	if (t) {
		map_bio(md, t, bio);
		put_live(t);
	} else if (bio->bi_opf & REQ_NOWAIT) {
		bio_wouldblock_error(bio);
	} else if (bio->bi_opf & REQ_RAHEAD) {
		bio_io_error(bio);
	} else {
		defer(md, bio);
	}
}

/* States */

static bool is_quiet(struct mapped_device *md)
{
	return dm_host_in_flight(md) == 0;
}

static void set_blocked(struct mapped_device *md, bool blocked)
{
	unsigned long flags;

	spin_lock_irqsave(&md->lock, flags);
	md->blocked = blocked;
	if (!blocked)
		queue_work(md->wq, &md->work);
	spin_unlock_irqrestore(&md->lock, flags);
}

static void set_noflush(struct mapped_device *md, bool noflush)
{
	unsigned long flags;

	spin_lock_irqsave(&md->lock, flags);
	md->noflush = noflush;
	spin_unlock_irqrestore(&md->lock, flags);
}

static int do_suspend(struct mapped_device *md, bool noflush)
{
	struct dm_table *t = md->map;

	set_noflush(md, noflush);
	dm_table_presuspend(t);
	set_blocked(md, true);
	wait_event(md->wait, table_unused(md, t));
	flush_workqueue(md->wq);
	if (wait_event_interruptible(md->wait, is_quiet(md))) {
		set_noflush(md, false);
		set_blocked(md, false);
		dm_table_presuspend_undo(t);
		return -EINTR;
	}
	set_noflush(md, false);
	WRITE_ONCE(md->suspended, true);
	WRITE_ONCE(md->post_suspending, true);
	dm_table_postsuspend(t);
	WRITE_ONCE(md->post_suspending, false);
	return 0;
}

static int suspend_locked(struct mapped_device *md, bool noflush)
{
	int ret;

	lockdep_assert_held(&md->suspend_lock);
	if (READ_ONCE(md->suspended))
		return -EINVAL;
	shim_serve_io_begin();
	ret = do_suspend(md, noflush);
	shim_serve_io_end();
	return ret;
}

static int resume_locked(struct mapped_device *md)
{
	int ret;

	lockdep_assert_held(&md->suspend_lock);
	if (!md->map)
		return -EINVAL;
	shim_serve_io_begin();
	ret = dm_table_resume(md->map);
	shim_serve_io_end();
	if (ret)
		return ret;
	WRITE_ONCE(md->suspended, false);
	set_blocked(md, false);
	return 0;
}

/* Gives the table that is not live any more. */
static struct dm_table *swap_table(struct mapped_device *md,
				   struct dm_table *t)
{
	struct dm_table *old = md->map;
	unsigned long flags;

	if (old)
		WRITE_ONCE(old->live, false);
	spin_lock_irqsave(&md->lock, flags);
	md->map = t;
	spin_unlock_irqrestore(&md->lock, flags);
	if (old)
		wait_event(md->wait, table_unused(md, old));
	if (t) {
		WRITE_ONCE(t->live, true);
		WRITE_ONCE(md->bdev.nr_sectors, t->size);
		WRITE_ONCE(md->bdev.read_only, !(t->mode & BLK_OPEN_WRITE));
	}
	return old;
}

static int swap_loaded(struct mapped_device *md, struct dm_table **old)
{
	struct queue_limits limits;
	int ret;

	if (!READ_ONCE(md->suspended)) {
		ret = suspend_locked(md, false);
		if (ret)
			return ret;
	}
	ret = dm_table_limits(md->loaded, &limits);
	if (ret) {
		*old = md->loaded;
		md->loaded = NULL;
		return ret;
	}
	/* Bios that are being put off read them. */
	if (memcmp(&md->bdev.queue.limits, &limits, sizeof(limits)))
		md->bdev.queue.limits = limits;
	*old = swap_table(md, md->loaded);
	md->loaded = NULL;
	return 0;
}

int dm_host_resume(struct mapped_device *md)
{
	struct dm_table *old = NULL;
	int ret = 0;

	mutex_lock(&md->suspend_lock);
	if (md->loaded)
		ret = swap_loaded(md, &old);
	if (!ret && READ_ONCE(md->suspended))
		ret = resume_locked(md);
	mutex_unlock(&md->suspend_lock);
	if (old)
		dm_table_destroy(old);
	return ret;
}

int dm_host_suspend(struct mapped_device *md, bool noflush)
{
	int ret;

	mutex_lock(&md->suspend_lock);
	ret = suspend_locked(md, noflush);
	mutex_unlock(&md->suspend_lock);
	return ret;
}

struct mapped_device *dm_host_create(const char *name)
{
	struct mapped_device *md = kzalloc(sizeof(*md),
					   GFP_KERNEL | __GFP_NOFAIL);

	strscpy(md->name, name, sizeof(md->name));
	scnprintf(md->number, sizeof(md->number), "253:%d",
		  atomic_inc_return(&next_minor) - 1);
	mutex_init(&md->suspend_lock);
	spin_lock_init(&md->lock);
	init_waitqueue_head(&md->wait);
	bio_list_init(&md->deferred);
	INIT_WORK(&md->work, submit_deferred);
	md->suspended = true;
	md->blocked = true;
	md->bdev.name = md->name;
	md->bdev.submit = submit_to_md;
	blk_set_stacking_limits(&md->bdev.queue.limits);
	md->wq = alloc_workqueue("kdmflush/%s", WQ_MEM_RECLAIM, 0, md->number);
	BUG_ON(!md->wq);
	return md;
}

int dm_host_load(struct mapped_device *md, const char *table, bool read_only,
		 char *error, size_t error_size)
{
	blk_mode_t mode = read_only ? BLK_OPEN_READ :
				      BLK_OPEN_READ | BLK_OPEN_WRITE;
	struct dm_table *t, *old;
	int ret;

	ret = dm_table_create(md, table, mode, &t, error, error_size);
	if (ret)
		return ret;
	mutex_lock(&md->suspend_lock);
	old = md->loaded;
	md->loaded = t;
	mutex_unlock(&md->suspend_lock);
	if (old)
		dm_table_destroy(old);
	return 0;
}

void dm_host_clear(struct mapped_device *md)
{
	struct dm_table *old;

	mutex_lock(&md->suspend_lock);
	old = md->loaded;
	md->loaded = NULL;
	mutex_unlock(&md->suspend_lock);
	if (old)
		dm_table_destroy(old);
}

int dm_host_remove(struct mapped_device *md)
{
	struct dm_table *old;

	if (!is_quiet(md))
		return -EBUSY;
	dm_host_clear(md);
	mutex_lock(&md->suspend_lock);
	if (!READ_ONCE(md->suspended)) {
		dm_table_presuspend(md->map);
		WRITE_ONCE(md->suspended, true);
		WRITE_ONCE(md->post_suspending, true);
		dm_table_postsuspend(md->map);
	}
	old = swap_table(md, NULL);
	mutex_unlock(&md->suspend_lock);
	if (old)
		dm_table_destroy(old);
	destroy_workqueue(md->wq);
	WARN(!bio_list_empty(&md->deferred), "%s: bios are left\n",
	     md->number);
	mutex_destroy(&md->suspend_lock);
	kfree(md);
	return 0;
}

struct mapped_device *dm_host_start(const char *name, const char *table,
				    bool read_only, char *error,
				    size_t error_size)
{
	struct mapped_device *md = dm_host_create(name);

	if (dm_host_load(md, table, read_only, error, error_size) == 0 &&
	    dm_host_resume(md) == 0)
		return md;
	dm_host_remove(md);
	return NULL;
}

/* What a host may ask */

static int table_status(struct dm_table *t, status_type_t type, unsigned int flags,
			char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (unsigned int i = 0; i < t->nr_targets; i++) {
		struct dm_target *ti = &t->targets[i];

		used += scnprintf(buf + used, size - used, "%s%llu %llu %s ",
				  i ? "\n" : "", ti->begin, ti->len,
				  ti->type->name);
		if (!ti->type->status || used + 1 >= size)
			continue;
		buf[used] = '\0';
		shim_serve_io_begin();
		ti->type->status(ti, type, flags, buf + used, size - used);
		shim_serve_io_end();
		used += strlen(buf + used);
	}
	return used + 1 >= size ? -ENOSPC : 0;
}

int dm_host_status(struct mapped_device *md, status_type_t type,
		   unsigned int flags, char *buf, size_t size)
{
	struct dm_table *t = get_live(md, false);
	int ret;

	if (!t)
		return -ENXIO;
	ret = table_status(t, type, flags, buf, size);
	put_live(t);
	return ret;
}

int dm_host_status_loaded(struct mapped_device *md, status_type_t type,
			  char *buf, size_t size)
{
	int ret = -ENXIO;

	mutex_lock(&md->suspend_lock);
	if (md->loaded)
		ret = table_status(md->loaded, type, 0, buf, size);
	mutex_unlock(&md->suspend_lock);
	return ret;
}

static int send_message(struct dm_target *ti, int argc, char **argv, char *result,
			size_t size)
{
	int ret;

	if (!ti->type->message)
		return -EINVAL;
	shim_serve_io_begin();
	ret = ti->type->message(ti, argc, argv, result, size);
	shim_serve_io_end();
	return ret;
}

int dm_host_message(struct mapped_device *md, const char *message,
		    char *result, size_t size)
{
	char *copy = kstrdup(message, GFP_KERNEL | __GFP_NOFAIL);
	struct dm_table *t = get_live(md, false);
	struct dm_target *ti;
	int ret = -ENXIO, argc;
	char **argv;

	dm_split_args(&argc, &argv, copy);
	if (size)
		result[0] = '\0';
	ti = t ? dm_table_find(t, 0) : NULL;
	if (argc == 0)
		ret = -EINVAL;
	else if (ti)
		ret = send_message(ti, argc, argv, result, size);
	if (t)
		put_live(t);
	kfree(argv);
	kfree(copy);
	return ret;
}

struct block_device *dm_host_bdev(struct mapped_device *md)
{
	return &md->bdev;
}

struct dm_target *dm_host_target(struct mapped_device *md, unsigned int nr)
{
	return md->map && nr < md->map->nr_targets ? &md->map->targets[nr] :
						     NULL;
}

unsigned int dm_host_events(struct mapped_device *md)
{
	return atomic_read(&md->events);
}

const char *dm_device_name(struct mapped_device *md)
{
	return md->number;
}

int dm_suspended(struct dm_target *ti)
{
	return READ_ONCE(ti->table->md->suspended);
}

int dm_post_suspending(struct dm_target *ti)
{
	return READ_ONCE(ti->table->md->post_suspending);
}

int dm_noflush_suspending(struct dm_target *ti)
{
	struct mapped_device *md = ti->table->md;
	unsigned long flags;
	int noflush;

	spin_lock_irqsave(&md->lock, flags);
	noflush = md->noflush;
	spin_unlock_irqrestore(&md->lock, flags);
	return noflush;
}

/* I/O for the host */

struct host_io {
	void (*done)(void *data, int error);
	void *data;
};

static bool carries_data(blk_opf_t op)
{
	return (op & REQ_OP_MASK) == REQ_OP_READ ||
	       (op & REQ_OP_MASK) == REQ_OP_WRITE;
}

/* A vector a page, or of as many pages as it takes to need no more than 256. */
static struct bio *make_bio(struct block_device *bdev, blk_opf_t op,
			    sector_t sector, void *buf, unsigned int sectors)
{
	size_t left = (size_t)sectors << SECTOR_SHIFT, piece;
	char *p = buf;
	struct bio *bio;

	bio = bio_kmalloc(BIO_MAX_VECS, GFP_KERNEL | __GFP_NOFAIL);
	bio_init(bio, bdev, (struct bio_vec *)(bio + 1), BIO_MAX_VECS, op);
	bio->bi_iter.bi_sector = sector;
	if (!carries_data(op)) {
		bio->bi_iter.bi_size = left;
		return bio;
	}
	piece = max(PAGE_SIZE, ALIGN(left / (BIO_MAX_VECS - 2), PAGE_SIZE));
	while (left) {
		size_t n = min(left, piece - offset_in_page(p));

		__bio_add_page(bio, virt_to_page(p), n, offset_in_page(p));
		p += n;
		left -= n;
	}
	return bio;
}

static void free_host_bio(struct bio *bio)
{
	bio_uninit(bio);
	kfree(bio);
}

static void end_host_io(struct bio *bio)
{
	struct host_io *io = bio->bi_private;

	io->done(io->data, blk_status_to_errno(bio->bi_status));
	kfree(io);
	free_host_bio(bio);
}

static bool refused(struct block_device *bdev, blk_opf_t op)
{
	return bdev_read_only(bdev) && op_is_write(op);
}

void dm_host_rw_async(struct block_device *bdev, blk_opf_t op, sector_t sector,
		      void *buf, unsigned int sectors,
		      void (*done)(void *data, int error), void *data)
{
	struct host_io *io;
	struct bio *bio;

	if (refused(bdev, op)) {
		done(data, -EROFS);
		return;
	}
	io = kmalloc(sizeof(*io), GFP_KERNEL | __GFP_NOFAIL);
	io->done = done;
	io->data = data;
	bio = make_bio(bdev, op, sector, buf, sectors);
	bio->bi_private = io;
	bio->bi_end_io = end_host_io;
	submit_bio(bio);
}

int dm_host_rw(struct block_device *bdev, blk_opf_t op, sector_t sector,
	       void *buf, unsigned int sectors)
{
	struct bio *bio;
	int ret;

	if (refused(bdev, op))
		return -EROFS;
	bio = make_bio(bdev, op, sector, buf, sectors);
	ret = submit_bio_wait(bio);
	free_host_bio(bio);
	return ret;
}

int dm_host_flush(struct block_device *bdev)
{
	return blkdev_issue_flush(bdev);
}
