// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Ordered trees: a treap.  Each node's priority is a hash of its address, and
 * no node has a higher one than its parent; the tree is then as deep as one
 * built in random order, whatever the order of insertions.
 */
#include <linux/rbtree.h>

static u64 priority(const struct rb_node *node)
{
	u64 v = (unsigned long)node;

	v ^= v >> 31;
	v *= 0x9e3779b97f4a7c15ULL;
	v ^= v >> 29;
	v *= 0xbf58476d1ce4e5b9ULL;
	return v ^ (v >> 32);
}

static void replace_child(struct rb_root *root, struct rb_node *parent,
			  struct rb_node *old, struct rb_node *new)
{
	if (!parent)
		WRITE_ONCE(root->rb_node, new);
	else if (parent->rb_left == old)
		parent->rb_left = new;
	else
		parent->rb_right = new;
	if (new)
		new->shim_parent = parent;
}

/* @node, a child, changes places with its parent. */
static void rotate_up(struct rb_node *node, struct rb_root *root)
{
	struct rb_node *parent = node->shim_parent, *child;

	replace_child(root, parent->shim_parent, parent, node);
	if (parent->rb_left == node) {
		child = node->rb_right;
		parent->rb_left = child;
		node->rb_right = parent;
	} else {
		child = node->rb_left;
		parent->rb_right = child;
		node->rb_left = parent;
	}
	parent->shim_parent = node;
	if (child)
		child->shim_parent = parent;
}

void rb_insert_color(struct rb_node *node, struct rb_root *root)
{
	u64 prio = priority(node);

	while (node->shim_parent && priority(node->shim_parent) < prio)
		rotate_up(node, root);
}

void rb_erase(struct rb_node *node, struct rb_root *root)
{
	while (node->rb_left && node->rb_right)
		rotate_up(priority(node->rb_left) > priority(node->rb_right) ?
			  node->rb_left : node->rb_right, root);
	replace_child(root, node->shim_parent, node,
		      node->rb_left ?: node->rb_right);
}

/* The tree may be less well balanced where @new stands, but is in order. */
void rb_replace_node(struct rb_node *victim, struct rb_node *new,
		     struct rb_root *root)
{
	*new = *victim;
	replace_child(root, victim->shim_parent, victim, new);
	if (new->rb_left)
		new->rb_left->shim_parent = new;
	if (new->rb_right)
		new->rb_right->shim_parent = new;
}

static struct rb_node *leftmost(struct rb_node *node)
{
	while (node && node->rb_left)
		node = node->rb_left;
	return node;
}

static struct rb_node *rightmost(struct rb_node *node)
{
	while (node && node->rb_right)
		node = node->rb_right;
	return node;
}

struct rb_node *rb_first(const struct rb_root *root)
{
	return leftmost(root->rb_node);
}

struct rb_node *rb_last(const struct rb_root *root)
{
	return rightmost(root->rb_node);
}

struct rb_node *rb_next(const struct rb_node *node)
{
	if (RB_EMPTY_NODE(node))
		return NULL;
	if (node->rb_right)
		return leftmost(node->rb_right);
	while (node->shim_parent && node == node->shim_parent->rb_right)
		node = node->shim_parent;
	return node->shim_parent;
}

struct rb_node *rb_prev(const struct rb_node *node)
{
	if (RB_EMPTY_NODE(node))
		return NULL;
	if (node->rb_left)
		return rightmost(node->rb_left);
	while (node->shim_parent && node == node->shim_parent->rb_left)
		node = node->shim_parent;
	return node->shim_parent;
}

static struct rb_node *deepest_left(struct rb_node *node)
{
	while (node && (node->rb_left || node->rb_right))
		node = node->rb_left ?: node->rb_right;
	return node;
}

struct rb_node *rb_first_postorder(const struct rb_root *root)
{
	return deepest_left(root->rb_node);
}

struct rb_node *rb_next_postorder(const struct rb_node *node)
{
	struct rb_node *parent;

	if (!node)
		return NULL;
	parent = node->shim_parent;
	if (parent && node == parent->rb_left && parent->rb_right)
		return deepest_left(parent->rb_right);
	return parent;
}
