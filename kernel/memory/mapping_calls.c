/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/* The system calls that change the guest's memory. */
#include <errno.h>
#include <fcntl.h>
#include <linux/mman.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "files/fd_table.h"
#include "memory/address_space.h"
#include "memory/guest_copy.h"
#include "memory/memory_move.h"
#include "memory/task_memory.h"
#include "tasks/sandbox_state.h"
#include "tasks/task.h"

#define PROT_KNOWN (TG_PROT_READ | TG_PROT_WRITE | TG_PROT_EXEC)

/* Mappings with MAP_32BIT lie below this. */
#define LOW_TOP UINT64_C(0x80000000)

static uint64_t page_mask(const struct task *task)
{
    return task->sandbox->info.page_size - 1;
}

/* Rounds up to whole pages; 0 for an overflow. */
static uint64_t page_up(const struct task *task, uint64_t length)
{
    return (length + page_mask(task)) & ~page_mask(task);
}

/* A range that lies in user space: its length in whole pages, or a negative errno. */
static int64_t checked_length(const struct task *task, uint64_t addr, uint64_t length)
{
    const struct memory_map *map = &task->process->space->map;
    uint64_t rounded = page_up(task, length);

    if ((addr & page_mask(task)) || (length && !rounded))
        return -EINVAL;
    if (addr > map->highest || rounded > map->highest - addr)
        return -EINVAL;
    return (int64_t)rounded;
}

/* Where a mapping goes: the address wished for when it is free, else wherever there is room. */
static uint64_t choose_address(const struct task *task, uint64_t hint, uint64_t length, uint64_t flags)
{
    const struct memory_map *map = &task->process->space->map;
    uint64_t top = map->search_top;

    hint &= ~page_mask(task);
    if (hint && hint <= map->highest && length <= map->highest - hint && memory_map_is_free(map, hint, hint + length))
        return hint;
#ifdef MAP_32BIT
    if (flags & MAP_32BIT)
        top = LOW_TOP;
#else
    (void)flags;
#endif
    return memory_map_search(map, length, top);
}

static int fixed_address_error(const struct task *task, uint64_t addr, uint64_t length, uint64_t flags)
{
    const struct memory_map *map = &task->process->space->map;

    if (addr & page_mask(task))
        return -EINVAL;
    if (addr > map->highest || length > map->highest - addr)
        return -ENOMEM;
    if (addr < map->lowest)
        return -EPERM;
    if ((flags & MAP_FIXED_NOREPLACE) == MAP_FIXED_NOREPLACE && !memory_map_is_free(map, addr, addr + length))
        return -EEXIST;
    return 0;
}

/*
 * The object behind a mapping. Shared ones keep a descriptor, for mremap;
 * shared memory without a file gets one, so that fork and mremap can share it.
 */
static int make_object(struct task *task, uint64_t flags, int guest_fd, uint64_t length, struct memory_object **object,
                       int *fd)
{
    bool shared = (flags & MAP_TYPE) != MAP_PRIVATE;
    int own = -1;

    *object = NULL;
    *fd = -1;
    if (flags & MAP_ANONYMOUS) {
        if (!shared)
            return 0;
        own = memfd_create("shared", MFD_CLOEXEC);
        if (own < 0 || ftruncate(own, (off_t)length) != 0) {
            if (own >= 0)
                close(own);
            return -ENOMEM;
        }
        *fd = own;
    } else {
        *fd = fd_table_host_fd(task->process->fd_table, (uint32_t)guest_fd);
        if (*fd < 0)
            return *fd;
        if (shared)
            own = fcntl(*fd, F_DUPFD_CLOEXEC, 0);
        if (shared && own < 0)
            return -errno;
    }
    *object = memory_object_create(own, NULL);
    return *object ? 0 : -ENOMEM;
}

static uint32_t library_flags(uint64_t flags)
{
    uint32_t result = 0;

    if (flags & MAP_POPULATE)
        result |= TG_MAP_POPULATE;
    if (flags & MAP_NORESERVE)
        result |= TG_MAP_NORESERVE;
    return result;
}

static int mmap_arguments_error(const struct task *task, const uint64_t args[6])
{
    uint64_t type = args[3] & MAP_TYPE;

    if (args[1] == 0 || (args[5] & page_mask(task)) || (args[2] & ~(uint64_t)PROT_KNOWN))
        return -EINVAL;
    if (type != MAP_PRIVATE && type != MAP_SHARED && type != MAP_SHARED_VALIDATE)
        return -EINVAL;
    if (type == MAP_SHARED_VALIDATE && (args[3] & MAP_ANONYMOUS))
        return -EINVAL;
    if (page_up(task, args[1]) == 0 || (args[3] & MAP_HUGETLB))
        return -ENOMEM;
    if (args[5] + args[1] < args[5])
        return -EOVERFLOW;
    return 0;
}

static int64_t do_mmap(struct task *task, const uint64_t args[6])
{
    uint64_t addr = args[0], flags = args[3];
    uint64_t length = page_up(task, args[1]);
    struct vma vma = {.prot = (uint32_t)args[2]};
    int fd, err = mmap_arguments_error(task, args);

    if (err)
        return err;
    if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
        err = fixed_address_error(task, addr, length, flags);
        if (err)
            return err;
    } else {
        addr = choose_address(task, addr, length, flags);
        if (!addr)
            return -ENOMEM;
    }
    err = make_object(task, flags, (int)args[4], length, &vma.object, &fd);
    if (err)
        return err;
    vma.start = addr;
    vma.end = addr + length;
    vma.offset = (flags & MAP_ANONYMOUS) ? 0 : args[5];
    vma.flags = (flags & MAP_TYPE) != MAP_PRIVATE ? VMA_SHARED : 0;
    err = address_space_map(task->process->space, &vma, library_flags(flags), fd);
    memory_object_put(vma.object);
    return err ? err : (int64_t)addr;
}

static int64_t do_munmap(struct task *task, const uint64_t args[6])
{
    int64_t length = checked_length(task, args[0], args[1]);

    if (length <= 0)
        return -EINVAL;
    return address_space_unmap(task->process->space, args[0], args[0] + (uint64_t)length);
}

static int64_t do_mprotect(struct task *task, const uint64_t args[6])
{
    int64_t length = checked_length(task, args[0], args[1]);

    if ((args[0] & page_mask(task)) || (args[2] & ~(uint64_t)PROT_KNOWN))
        return -EINVAL;
    if (length <= 0)
        return length ? -ENOMEM : 0;
    return address_space_protect(task->process->space, args[0], args[0] + (uint64_t)length, (uint32_t)args[2]);
}

/* The heap is whole pages: up to where the break, rounded up, lies. */
static int move_break(struct task *task, uint64_t old_end, uint64_t new_end)
{
    struct address_space *space = task->process->space;
    struct vma heap = {.start = old_end, .end = new_end, .prot = TG_PROT_READ | TG_PROT_WRITE, .flags = VMA_HEAP};

    if (new_end == old_end)
        return 0;
    if (new_end < old_end)
        return address_space_unmap(space, new_end, old_end);
    if (new_end > space->map.search_top || !memory_map_is_free(&space->map, old_end, new_end))
        return -ENOMEM;
    return address_space_map(space, &heap, 0, -1);
}

static int64_t do_brk(struct task *task, const uint64_t args[6])
{
    struct address_space *space = task->process->space;
    uint64_t wanted = args[0];

    if (wanted < space->brk_start || wanted > space->map.highest)
        return (int64_t)space->brk_end;
    if (move_break(task, page_up(task, space->brk_end), page_up(task, wanted)) == 0)
        space->brk_end = wanted;
    return (int64_t)space->brk_end;
}

/* Advice that concerns what this kernel does not do (core dumps, page merging, fork lists) or only speed. */
static bool advice_without_effect(int advice)
{
    switch (advice) {
    case MADV_NORMAL:
    case MADV_RANDOM:
    case MADV_SEQUENTIAL:
    case MADV_MERGEABLE:
    case MADV_UNMERGEABLE:
    case MADV_DODUMP:
    case MADV_DONTDUMP:
        return true;
    default:
        return false;
    }
}

static bool advice_for_the_host(int advice)
{
    switch (advice) {
    case MADV_DONTNEED:
    case MADV_WILLNEED:
    case MADV_FREE:
    case MADV_HUGEPAGE:
    case MADV_NOHUGEPAGE:
    case MADV_REMOVE:
    case MADV_COLD:
    case MADV_PAGEOUT:
    case MADV_POPULATE_READ:
    case MADV_POPULATE_WRITE:
        return true;
    default:
        return false;
    }
}

static int64_t do_madvise(struct task *task, const uint64_t args[6])
{
    int64_t length = checked_length(task, args[0], args[1]);
    tg_mem_op op = {.size = sizeof(op), .kind = TG_MEM_ADVISE, .addr = args[0], .advice = (int32_t)args[2]};

    if (length < 0 || (!advice_without_effect(op.advice) && !advice_for_the_host(op.advice)))
        return -EINVAL;
    if (length == 0)
        return 0;
    if (!memory_map_is_covered(&task->process->space->map, args[0], args[0] + (uint64_t)length))
        return -ENOMEM;
    if (advice_without_effect(op.advice))
        return 0;
    op.length = (uint64_t)length;
    int err = tg_subprocess_apply(task_memory(task), &op, 1, NULL);
    return err == -EOPNOTSUPP ? -EINVAL : err;
}

/* Which pages are present is the host's business; mapped ones count as present. */
static int64_t do_mincore(struct task *task, const uint64_t args[6])
{
    unsigned char present[256];
    int64_t length = checked_length(task, args[0], args[1]);
    uint64_t pages, done = 0;

    if (args[0] & page_mask(task))
        return -EINVAL;
    if (length < 0 ||
        (length > 0 && !memory_map_is_covered(&task->process->space->map, args[0], args[0] + (uint64_t)length)))
        return -ENOMEM;
    memset(present, 1, sizeof(present));
    pages = (uint64_t)length / task->sandbox->info.page_size;
    while (done < pages) {
        uint64_t chunk = pages - done < sizeof(present) ? pages - done : sizeof(present);
        int err = guest_write(task_memory(task), args[2] + done, present, chunk);
        if (err)
            return err;
        done += chunk;
    }
    return 0;
}

/* Shared mappings are the host's page cache: what the guest wrote is in the file already. */
static int64_t do_msync(struct task *task, const uint64_t args[6])
{
    int64_t length = checked_length(task, args[0], args[1]);
    uint64_t known = MS_ASYNC | MS_SYNC | MS_INVALIDATE;

    if ((args[0] & page_mask(task)) || (args[2] & ~known) || (args[2] & (MS_ASYNC | MS_SYNC)) == (MS_ASYNC | MS_SYNC))
        return -EINVAL;
    if (length < 0)
        return -ENOMEM;
    if (length > 0 && !memory_map_is_covered(&task->process->space->map, args[0], args[0] + (uint64_t)length))
        return -ENOMEM;
    return 0;
}

static int64_t do_mremap(struct task *task, const uint64_t args[6])
{
    struct memory_move move = {.old_start = args[0], .flags = args[3], .new_start = args[4]};
    int64_t old_length = checked_length(task, args[0], args[1]);
    uint64_t new_length = page_up(task, args[2]);

    if (old_length <= 0 || new_length == 0 || (args[3] & ~(uint64_t)(MREMAP_MAYMOVE | MREMAP_FIXED)))
        return -EINVAL;
    if ((args[3] & MREMAP_FIXED) && (!(args[3] & MREMAP_MAYMOVE) || (args[4] & page_mask(task))))
        return -EINVAL;
    move.old_length = (uint64_t)old_length;
    move.new_length = new_length;
    return memory_move(task->process->space, &move);
}

const struct syscall_entry memory_syscalls[] = {
    {SYS_mmap, "mmap", do_mmap},    {SYS_munmap, "munmap", do_munmap},    {SYS_mprotect, "mprotect", do_mprotect},
    {SYS_brk, "brk", do_brk},       {SYS_madvise, "madvise", do_madvise}, {SYS_mincore, "mincore", do_mincore},
    {SYS_msync, "msync", do_msync}, {SYS_mremap, "mremap", do_mremap},
};
const size_t memory_syscalls_count = sizeof(memory_syscalls) / sizeof(memory_syscalls[0]);
