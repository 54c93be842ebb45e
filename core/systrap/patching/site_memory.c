/* SPDX-License-Identifier: Apache-2.0 OR MIT */
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/systrap/patching/site_memory.h"

#define CALLS_KNOWN UINT32_MAX           /* calls: the site has been looked at */
#define USES_HALVE  (10 * NS_PER_SECOND) /* after this time a use counts half */

struct site_count {
    uint64_t offset;
    uint32_t calls; /* 0: nothing is counted here */
};

struct remembered_file {
    struct file_identity identity;
    uint64_t uses;
    int64_t used_at;
    uint32_t learned; /* site_memory.learned when the last site came */
    uint32_t site_count;
    struct remembered_site sites[SITES_REMEMBERED]; /* by offset */
    struct site_count counts[SITES_COUNTED];
};

void site_memory_init(struct site_memory *memory)
{
    *memory = (struct site_memory){.random = (uint64_t)clock_monotonic_ns() | 1};
    pthread_mutex_init(&memory->lock, NULL);
}

void site_memory_destroy(struct site_memory *memory)
{
    for (size_t i = 0; i < FILES_REMEMBERED; i++)
        free(memory->files[i]);
    pthread_mutex_destroy(&memory->lock);
}

/* Which one goes is no secret; it only must not be always the same. */
static uint32_t any_of(struct site_memory *memory, uint32_t n)
{
    memory->random = memory->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(memory->random >> 33) % n;
}

/* ---- files ---- */

static bool is_same(const struct file_identity *one, const struct file_identity *other)
{
    return one->inode == other->inode && one->device == other->device && one->size == other->size &&
           one->changed_s == other->changed_s && one->changed_ns == other->changed_ns;
}

static struct remembered_file *find_file(const struct site_memory *memory, const struct file_identity *identity)
{
    for (size_t i = 0; i < FILES_REMEMBERED; i++) {
        if (memory->files[i] && is_same(&memory->files[i]->identity, identity))
            return memory->files[i];
    }
    return NULL;
}

static uint64_t uses_now(const struct remembered_file *file, int64_t now)
{
    const int64_t halves = (now - file->used_at) / USES_HALVE;

    return halves < 64 ? file->uses >> halves : 0;
}

static void use(struct remembered_file *file)
{
    const int64_t now = clock_monotonic_ns();

    file->uses = uses_now(file, now) + 1;
    file->used_at = now;
}

/* Where a new file goes: a place that is free, or that of the least used one. */
static struct remembered_file **place_for_file(struct site_memory *memory)
{
    const int64_t now = clock_monotonic_ns();
    struct remembered_file **least = NULL;

    for (size_t i = 0; i < FILES_REMEMBERED; i++) {
        struct remembered_file **place = &memory->files[i];

        if (!*place)
            return place;
        if (!least || uses_now(*place, now) < uses_now(*least, now) ||
            (uses_now(*place, now) == uses_now(*least, now) && (*place)->used_at < (*least)->used_at))
            least = place;
    }
    return least;
}

/* NULL: there is no memory. */
static struct remembered_file *get_file(struct site_memory *memory, const struct file_identity *identity)
{
    struct remembered_file *file = find_file(memory, identity);
    struct remembered_file **place;

    if (file)
        return file;
    place = place_for_file(memory);
    if (!*place)
        *place = malloc(sizeof(**place));
    if (!*place)
        return NULL;
    memset(*place, 0, sizeof(**place));
    (*place)->identity = *identity;
    use(*place);
    return *place;
}

/* ---- calls that are counted ---- */

/* The site's own place, or else a free one, or any; its calls may be another site's. */
static struct site_count *place_of(struct site_memory *memory, struct remembered_file *file, uint64_t offset)
{
    struct site_count *unused = NULL;

    for (size_t i = 0; i < SITES_COUNTED; i++) {
        struct site_count *count = &file->counts[i];

        if (count->calls && count->offset == offset)
            return count;
        if (!count->calls)
            unused = count;
    }
    return unused ? unused : &file->counts[any_of(memory, SITES_COUNTED)];
}

static struct site_count *count_of(struct site_memory *memory, struct remembered_file *file, uint64_t offset)
{
    struct site_count *count = place_of(memory, file, offset);

    if (count->offset != offset)
        *count = (struct site_count){.offset = offset};
    return count;
}

static void count_anew(struct site_memory *memory, struct remembered_file *file, uint64_t offset)
{
    struct site_count *count = place_of(memory, file, offset);

    if (count->offset == offset)
        count->calls = 0;
}

bool site_memory_count(struct site_memory *memory, const struct file_identity *identity, uint64_t offset)
{
    struct remembered_file *file;
    struct site_count *count;
    bool worth = false;

    pthread_mutex_lock(&memory->lock);
    file = get_file(memory, identity);
    if (file) {
        count = count_of(memory, file, offset);
        worth = count->calls != CALLS_KNOWN && ++count->calls >= CALLS_REMEMBERED;
    }
    pthread_mutex_unlock(&memory->lock);
    return worth;
}

/* ---- sites ---- */

/* The first whose offset is not below this one. */
static uint32_t site_from(const struct remembered_file *file, uint64_t offset)
{
    uint32_t i = 0;

    while (i < file->site_count && file->sites[i].offset < offset)
        i++;
    return i;
}

static void remove_site(struct site_memory *memory, struct remembered_file *file, uint32_t index)
{
    struct remembered_site *site = &file->sites[index];

    count_anew(memory, file, site->offset);
    file->site_count--;
    memmove(site, site + 1, (file->site_count - index) * sizeof(*site));
}

static void add_site(struct site_memory *memory, struct remembered_file *file, const struct remembered_site *site)
{
    uint32_t index = site_from(file, site->offset);

    if (index < file->site_count && file->sites[index].offset == site->offset) {
        file->sites[index] = *site;
        return;
    }
    if (file->site_count == SITES_REMEMBERED) {
        remove_site(memory, file, any_of(memory, SITES_REMEMBERED));
        index = site_from(file, site->offset);
    }
    memmove(&file->sites[index + 1], &file->sites[index], (file->site_count - index) * sizeof(*site));
    file->sites[index] = *site;
    file->site_count++;
    file->learned = atomic_fetch_add(&memory->learned, 1) + 1;
}

void site_memory_learn(struct site_memory *memory, const struct file_identity *identity,
                       const struct remembered_site *site)
{
    struct remembered_file *file;

    pthread_mutex_lock(&memory->lock);
    file = get_file(memory, identity);
    if (file && site->starts)
        add_site(memory, file, site);
    if (file)
        count_of(memory, file, site->offset)->calls = CALLS_KNOWN;
    pthread_mutex_unlock(&memory->lock);
}

static size_t copy_sites(const struct remembered_file *from, const struct code_file *file,
                         struct remembered_site *sites)
{
    const uint32_t first = site_from(from, file->offset);
    const size_t n = site_from(from, file->offset + (file->end - file->start)) - first;

    memcpy(sites, &from->sites[first], n * sizeof(*sites));
    return n;
}

size_t site_memory_map(struct site_memory *memory, struct code_file *file, struct remembered_site *sites)
{
    struct remembered_file *from;
    size_t n = 0;

    pthread_mutex_lock(&memory->lock);
    from = find_file(memory, &file->identity);
    if (from && from->learned != file->learned) {
        use(from);
        n = copy_sites(from, file, sites);
        file->learned = from->learned;
    }
    pthread_mutex_unlock(&memory->lock);
    return n;
}

uint32_t site_memory_learned(const struct site_memory *memory)
{
    return atomic_load(&memory->learned);
}
