// SPDX-License-Identifier: GPL-2.0-or-later
/* Strings, numbers, bitmaps, sorting: what needs nothing of the host. */
#include <stdarg.h>

#include <linux/bitmap.h>
#include <linux/bsearch.h>
#include <linux/ctype.h>
#include <linux/kernel.h>
#include <linux/list_sort.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/string.h>

/* Strings */

int vscnprintf(char *buf, size_t size, const char *fmt, va_list args)
{
	int n = vsnprintf(buf, size, fmt, args);

	if (n < (int)size)
		return max(n, 0);
	return size ? size - 1 : 0;
}

int scnprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vscnprintf(buf, size, fmt, args);
	va_end(args);
	return n;
}

ssize_t strscpy(char *dst, const char *src, size_t size)
{
	size_t len;

	if (size == 0)
		return -E2BIG;
	len = strnlen(src, size);
	if (len == size) {
		memcpy(dst, src, size - 1);
		dst[size - 1] = '\0';
		return -E2BIG;
	}
	memcpy(dst, src, len + 1);
	return len;
}

ssize_t strscpy_pad(char *dst, const char *src, size_t size)
{
	ssize_t len = strscpy(dst, src, size);

	if (len >= 0)
		memset(dst + len, 0, size - len);
	return len;
}

void *memchr_inv(const void *p, int c, size_t len)
{
	const u8 *s = p;

	/* Each byte is as the one before it. */
	if (len && *s == (u8)c && !memcmp(s, s + 1, len - 1))
		return NULL;
	for (; len; s++, len--)
		if (*s != (u8)c)
			return (void *)s;
	return NULL;
}

char *skip_spaces(const char *s)
{
	while (isspace(*s))
		s++;
	return (char *)s;
}

char *strim(char *s)
{
	size_t len = strlen(s);

	while (len && isspace(s[len - 1]))
		s[--len] = '\0';
	return skip_spaces(s);
}

char *strreplace(char *s, char old, char new)
{
	for (char *p = s; *p; p++)
		if (*p == old)
			*p = new;
	return s;
}

bool sysfs_streq(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	if (*a == '\n' && !a[1])
		a++;
	if (*b == '\n' && !b[1])
		b++;
	return !*a && !*b;
}

int match_string(const char *const *array, size_t n, const char *string)
{
	for (size_t i = 0; i < n && array[i]; i++)
		if (strcmp(array[i], string) == 0)
			return i;
	return -EINVAL;
}

const char *kbasename(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Numbers, with the kernel's strictness */

static int digit(char c)
{
	if (isdigit(c))
		return c - '0';
	if (isxdigit(c))
		return tolower(c) - 'a' + 10;
	return 99;
}

/* No sign; a newline may end it. */
static int parse(const char *s, unsigned int base, u64 *res)
{
	bool any = false;
	u64 v = 0;

	if ((base == 0 || base == 16) && s[0] == '0' &&
	    (s[1] == 'x' || s[1] == 'X') && (base == 16 || digit(s[2]) < 16)) {
		base = 16;
		s += 2;
	} else if (base == 0) {
		base = s[0] == '0' ? 8 : 10;
	}
	for (; digit(*s) < (int)base; s++) {
		if (check_mul_overflow(v, (u64)base, &v) ||
		    check_add_overflow(v, (u64)digit(*s), &v))
			return -ERANGE;
		any = true;
	}
	if (*s == '\n')
		s++;
	if (*s || !any)
		return -EINVAL;
	*res = v;
	return 0;
}

int kstrtoull(const char *s, unsigned int base, unsigned long long *res)
{
	return parse(*s == '+' ? s + 1 : s, base, res);
}

int kstrtoll(const char *s, unsigned int base, long long *res)
{
	bool minus = *s == '-';
	u64 v;
	int ret;

	ret = minus ? parse(s + 1, base, &v) : kstrtoull(s, base, &v);
	if (ret)
		return ret;
	if (v > (u64)S64_MAX + minus)
		return -ERANGE;
	*res = minus ? (s64)(0 - v) : (s64)v;
	return 0;
}

#define narrow(name, wide, wide_type, type)				\
int name(const char *s, unsigned int base, type *res)			\
{									\
	wide_type v;							\
	int ret = wide(s, base, &v);					\
									\
	if (ret)							\
		return ret;						\
	if (v != (wide_type)(type)v)					\
		return -ERANGE;						\
	*res = v;							\
	return 0;							\
}

narrow(kstrtoul, kstrtoull, unsigned long long, unsigned long)
narrow(kstrtol, kstrtoll, long long, long)
narrow(kstrtouint, kstrtoull, unsigned long long, unsigned int)
narrow(kstrtoint, kstrtoll, long long, int)
narrow(kstrtou16, kstrtoull, unsigned long long, u16)
narrow(kstrtou8, kstrtoull, unsigned long long, u8)

int kstrtobool(const char *s, bool *res)
{
	if (!s)
		return -EINVAL;
	switch (tolower(s[0])) {
	case 'y':
	case 't':
	case '1':
		*res = true;
		return 0;
	case 'n':
	case 'f':
	case '0':
		*res = false;
		return 0;
	case 'o':
		if (tolower(s[1]) == 'n' || tolower(s[1]) == 'f') {
			*res = tolower(s[1]) == 'n';
			return 0;
		}
	}
	return -EINVAL;
}

unsigned long int_sqrt(unsigned long x)
{
	unsigned long root = 0, bit = 1UL << 62;

	while (bit > x)
		bit >>= 2;
	for (; bit; bit >>= 2) {
		if (x >= root + bit) {
			x -= root + bit;
			root = (root >> 1) + bit;
		} else {
			root >>= 1;
		}
	}
	return root;
}

/* Bitmaps */

unsigned long shim_find_bit(const unsigned long *addr, unsigned long size,
			    unsigned long from, unsigned long invert)
{
	unsigned long word, i;

	if (from >= size)
		return size;
	i = BIT_WORD(from);
	word = (READ_ONCE(addr[i]) ^ invert) & (~0UL << (from % BITS_PER_LONG));
	while (!word) {
		if (++i * BITS_PER_LONG >= size)
			return size;
		word = READ_ONCE(addr[i]) ^ invert;
	}
	return min(i * BITS_PER_LONG + __ffs(word), size);
}

unsigned long find_last_bit(const unsigned long *addr, unsigned long size)
{
	for (unsigned long i = size; i-- > 0; )
		if (test_bit(i, addr))
			return i;
	return size;
}

unsigned long *bitmap_alloc(unsigned int nbits, gfp_t gfp)
{
	return kmalloc_array(BITS_TO_LONGS(nbits), sizeof(unsigned long), gfp);
}

unsigned long *bitmap_zalloc(unsigned int nbits, gfp_t gfp)
{
	return bitmap_alloc(nbits, gfp | __GFP_ZERO);
}

void bitmap_free(const unsigned long *map)
{
	kfree(map);
}

unsigned int bitmap_weight(const unsigned long *map, unsigned int nbits)
{
	unsigned int n = 0, i;

	for (i = 0; i < nbits / BITS_PER_LONG; i++)
		n += hweight64(READ_ONCE(map[i]));
	if (nbits % BITS_PER_LONG)
		n += hweight64(READ_ONCE(map[i]) &
			       GENMASK(nbits % BITS_PER_LONG - 1, 0));
	return n;
}

void bitmap_set(unsigned long *map, unsigned int start, unsigned int len)
{
	while (len--)
		__set_bit(start++, map);
}

void bitmap_clear(unsigned long *map, unsigned int start, unsigned int len)
{
	while (len--)
		__clear_bit(start++, map);
}

void bitmap_zero(unsigned long *map, unsigned int nbits)
{
	memset(map, 0, BITS_TO_LONGS(nbits) * sizeof(*map));
}

void bitmap_fill(unsigned long *map, unsigned int nbits)
{
	memset(map, 0xff, BITS_TO_LONGS(nbits) * sizeof(*map));
}

void bitmap_copy(unsigned long *dst, const unsigned long *src,
		 unsigned int nbits)
{
	memcpy(dst, src, BITS_TO_LONGS(nbits) * sizeof(*dst));
}

/* Sorting */

struct sorter {
	char *base;
	size_t size;
	cmp_r_func_t cmp;
	swap_r_func_t exchange;
	const void *priv;
};

static void swap_bytes(char *a, char *b, size_t size)
{
	while (size--) {
		char c = *a;

		*a++ = *b;
		*b++ = c;
	}
}

static void swap_items(const struct sorter *s, size_t i, size_t j)
{
	char *a = s->base + i * s->size, *b = s->base + j * s->size;

	if (s->exchange)
		s->exchange(a, b, s->size, s->priv);
	else
		swap_bytes(a, b, s->size);
}

static int compare(const struct sorter *s, size_t i, size_t j)
{
	return s->cmp(s->base + i * s->size, s->base + j * s->size, s->priv);
}

static void sift_down(const struct sorter *s, size_t i, size_t n)
{
	size_t child;

	while ((child = 2 * i + 1) < n) {
		if (child + 1 < n && compare(s, child, child + 1) < 0)
			child++;
		if (compare(s, i, child) >= 0)
			return;
		swap_items(s, i, child);
		i = child;
	}
}

void sort_r(void *base, size_t num, size_t size, cmp_r_func_t cmp,
	    swap_r_func_t swap_func, const void *priv)
{
	struct sorter s = { base, size, cmp, swap_func, priv };

	for (size_t i = num / 2; i-- > 0; )
		sift_down(&s, i, num);
	for (size_t n = num; n-- > 1; ) {
		swap_items(&s, 0, n);
		sift_down(&s, 0, n);
	}
}

struct plain {
	cmp_func_t cmp;
	swap_func_t exchange;
};

static int plain_cmp(const void *a, const void *b, const void *priv)
{
	return ((const struct plain *)priv)->cmp(a, b);
}

static void plain_swap(void *a, void *b, int size, const void *priv)
{
	((const struct plain *)priv)->exchange(a, b, size);
}

void sort(void *base, size_t num, size_t size, cmp_func_t cmp,
	  swap_func_t swap_func)
{
	struct plain plain = { cmp, swap_func };

	sort_r(base, num, size, plain_cmp, swap_func ? plain_swap : NULL,
	       &plain);
}

void *bsearch(const void *key, const void *base, size_t num, size_t size,
	      cmp_func_t cmp)
{
	while (num) {
		const char *mid = (const char *)base + num / 2 * size;
		int c = cmp(key, mid);

		if (c == 0)
			return (void *)mid;
		if (c > 0) {
			base = mid + size;
			num--;
		}
		num /= 2;
	}
	return NULL;
}

static void merge(void *priv, struct list_head *to, struct list_head *a,
		  struct list_head *b, list_cmp_func_t cmp)
{
	while (!list_empty(a) && !list_empty(b))
		list_move_tail(cmp(priv, a->next, b->next) <= 0 ? a->next :
								  b->next, to);
	list_splice_tail_init(a, to);
	list_splice_tail_init(b, to);
}

void list_sort(void *priv, struct list_head *head, list_cmp_func_t cmp)
{
	size_t half = list_count_nodes(head) / 2;
	LIST_HEAD(a);
	LIST_HEAD(b);

	if (half == 0)
		return;
	list_splice_init(head, &b);
	while (half--)
		list_move_tail(b.next, &a);
	list_sort(priv, &a, cmp);
	list_sort(priv, &b, cmp);
	merge(priv, head, &a, &b, cmp);
}
