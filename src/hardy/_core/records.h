/* Records made outside of the guard: as they will lie in a block, one behind the other. Many small messages then cost
 * the guard one copy, and the putter one header each. */
#ifndef HDY_RECORDS_H
#define HDY_RECORDS_H

#include "layout_ring.h"
#include "message.h"

typedef struct {
    char *bytes;
    size_t used;
    int count;
    uint32_t pid; /* of this process */
} hdy_records;

static inline uint32_t hdy_record_bytes(uint32_t size)
{
    return (uint32_t)sizeof(hdy_record) + ((size + 7) & ~7u);
}

static inline void hdy_records_add_word(hdy_records *b, uint32_t kind, int64_t word)
{
    hdy_record *rec = (hdy_record *)(b->bytes + b->used);
    rec->size = sizeof word;
    rec->meta = b->pid | kind << HDY_KIND_SHIFT;
    memcpy(rec + 1, &word, sizeof word);
    b->used += sizeof *rec + sizeof word;
    b->count++;
}

static inline void hdy_records_add(hdy_records *b, uint32_t kind, const struct iovec *parts, int nparts, uint32_t size)
{
    hdy_record *rec = (hdy_record *)(b->bytes + b->used);
    char *to = (char *)(rec + 1);
    rec->size = size;
    rec->meta = b->pid | kind << HDY_KIND_SHIFT;
    for (int i = 0; i < nparts; i++) {
        memcpy(to, parts[i].iov_base, parts[i].iov_len);
        to += parts[i].iov_len;
    }
    b->used += hdy_record_bytes(size);
    b->count++;
}

static inline uint32_t hdy_record_kind(const hdy_record *rec)
{
    return rec->meta >> HDY_KIND_SHIFT;
}

static inline uint32_t hdy_record_pid(const hdy_record *rec)
{
    return rec->meta & HDY_PID_MASK;
}

/* The record that follows `count` others. */
static inline const char *hdy_records_skip(const char *records, int count)
{
    while (count-- > 0)
        records += hdy_record_bytes(((const hdy_record *)records)->size);
    return records;
}

#endif
