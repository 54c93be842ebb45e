/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include "files/lock_owners.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

static bool is_of(const struct lock_owner *owner, const struct stat *file)
{
    return owner->device == file->st_dev && owner->inode == file->st_ino;
}

const struct lock_owner *lock_owner_find(const struct lock_owner *first, const struct stat *file)
{
    while (first != NULL && !is_of(first, file))
        first = first->next;
    return first;
}

int lock_owner_add(struct lock_owner **first, const struct stat *file, int host_fd, int32_t pid)
{
    struct lock_owner *owner = malloc(sizeof(*owner));

    if (owner == NULL) {
        close(host_fd);
        return -ENOMEM;
    }
    *owner = (struct lock_owner){
        .next = *first, .device = file->st_dev, .inode = file->st_ino, .host_fd = host_fd, .pid = pid};
    *first = owner;
    return 0;
}

static void drop(struct lock_owner **link)
{
    struct lock_owner *owner = *link;

    *link = owner->next;
    close(owner->host_fd);
    free(owner);
}

void lock_owners_drop(struct lock_owner **first, int fd)
{
    struct stat file;

    /* Most processes lock nothing. */
    if (*first == NULL || fstat(fd, &file) != 0)
        return;
    while (*first != NULL && !is_of(*first, &file))
        first = &(*first)->next;
    if (*first != NULL)
        drop(first);
}

void lock_owners_drop_all(struct lock_owner **first)
{
    while (*first != NULL)
        drop(first);
}
