/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * The kernel says where the vDSO's code begins, and nothing of how long it is
 * and how many pages of data lie below it; that differs from kernel to kernel,
 * and there may be no /proc to tell. So each page is asked what it is, and each
 * mapping how long it is, by what the kernel refuses. All of this happens in a
 * copy of the embedder that is about to lose everything else.
 */
#include <errno.h>
#include <stdbool.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "arch/arch_vdso.h"
#include "core/stub_process.h"
#include "core/stub_vdso.h"

struct vdso_move {
    uint64_t page;
    uint64_t from; /* of the code */
    uint64_t to;
};

uint64_t stub_vdso_of_host(void)
{
    return getauxval(AT_SYSINFO_EHDR);
}

/* ---- what is there? ---- */

static int advise(uint64_t addr, uint64_t size, int advice)
{
    return syscall(SYS_madvise, addr, size, advice) ? -errno : 0;
}

/* The kernel's own, or a device's: mappings that never grow. */
static bool is_special(uint64_t addr, uint64_t page)
{
    return advise(addr, page, MADV_DODUMP) == -EINVAL;
}

/* Only to be asked of what cannot be written: there is nothing to punch a hole into. */
static bool has_no_file(uint64_t addr, uint64_t page)
{
    return advise(addr, page, MADV_REMOVE) == -EINVAL;
}

/* Nothing but the vDSO's data is special, can be read and never be written, and has no file. */
static bool is_data(uint64_t addr, uint64_t page)
{
    return is_special(addr, page) && !stub_process_protect(addr, addr + page, PROT_READ) &&
           stub_process_protect(addr, addr + page, PROT_READ | PROT_WRITE) == -EACCES && has_no_file(addr, page);
}

static bool is_code(uint64_t addr, uint64_t page)
{
    return is_special(addr, page) && !stub_process_protect(addr, addr + page, PROT_READ | PROT_EXEC) &&
           has_no_file(addr, page);
}

/* A filter may answer in the kernel's place. Of a page of the room the answers are known: it is anonymous memory. */
static bool kernel_answers(uint64_t room, uint64_t page)
{
    return !is_special(room, page) && has_no_file(room, page) &&
           !stub_process_protect(room, room + page, PROT_READ | PROT_WRITE) &&
           !stub_process_protect(room, room + page, PROT_NONE);
}

/* 0: none, or more than there is room for. */
static uint64_t count_data(const struct vdso_move *move)
{
    uint64_t n = 0;

    while (n <= STUB_VDSO_DATA_PAGES && is_data(move->from - (n + 1) * move->page, move->page))
        n++;
    return n <= STUB_VDSO_DATA_PAGES ? n : 0;
}

/* ---- moving it ---- */

/*
 * The kernel moves a mapping of its own as a whole or not at all, so what is
 * tried from the shortest up succeeds with its length. What cannot be moved
 * leaves a hole at its destination, which the longer one then covers.
 */
static bool try_move(uint64_t from, uint64_t to, uint64_t size)
{
    return syscall(SYS_mremap, from, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to) == (long)to;
}

static bool move_code(const struct vdso_move *move)
{
    for (uint64_t n = 1; n <= STUB_VDSO_CODE_PAGES; n++)
        if (try_move(move->from, move->to, n * move->page))
            return true;
    return false;
}

/* The mapping that ends so many pages below the code. How many pages it has; 0: it cannot be moved. */
static uint64_t move_data_mapping(const struct vdso_move *move, uint64_t below, uint64_t most)
{
    for (uint64_t n = 1; n <= most; n++) {
        const uint64_t distance = (below + n) * move->page;

        if (try_move(move->from - distance, move->to - distance, n * move->page))
            return n;
    }
    return 0;
}

/* There are one or two, and older kernels let each page go by itself. */
static bool move_data(const struct vdso_move *move, uint64_t pages)
{
    uint64_t done = 0;

    while (done < pages) {
        const uint64_t n = move_data_mapping(move, done, pages - done);

        if (!n)
            return false;
        done += n;
    }
    return true;
}

/* Whatever was moved there is gone. */
static int empty_room(uint64_t room, uint64_t page)
{
    return stub_process_map(room, STUB_VDSO_PAGES * page, PROT_NONE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

int stub_vdso_move(uint64_t host, uint64_t room, uint64_t page, uint64_t *moved)
{
    const struct vdso_move move = {.page = page, .from = host, .to = room + STUB_VDSO_DATA_PAGES * page};
    uint64_t data;

    *moved = 0;
    if (!kernel_answers(room, page))
        return 0;
    data = count_data(&move);
    if (!data || !is_code(host, page))
        return 0;
    if (!move_code(&move) || !move_data(&move, data))
        return empty_room(room, page);
    *moved = move.to;
    return 0;
}

/* ---- the library's own ---- */

int stub_vdso_put(uint64_t room, uint64_t page, uint64_t *put)
{
    const uint64_t code = room + STUB_VDSO_DATA_PAGES * page;
    const uint64_t size = (uint64_t)(tgi_arch_vdso->blob_end - tgi_arch_vdso->blob);
    const uint64_t end = code + (size + page - 1) / page * page;
    int err = stub_process_protect(code, end, PROT_READ | PROT_WRITE);

    if (err)
        return err;
    stub_process_copy(code, tgi_arch_vdso->blob, tgi_arch_vdso->blob_end);
    err = stub_process_protect(code, end, PROT_READ | PROT_EXEC);
    *put = code;
    return err;
}
