/* RWLock: many readers or one writer; both outlive whoever holds them.
 *
 *     readers: row.reading += 1 / -= 1     one store, the commit; a dead reader's row is freed whole
 *     writer:  writer = me / 0             one store, the commit
 *     queue:   row.queued                  while a living writer waits, no new reader is let in
 *
 * A dead writer is buried by whoever meets it: `recovered` names it, then `writer` is 0. Every
 * acquirer is told from then on, until a writer has released: only a writer can have mended the data.
 * The sums are derived anew by the repair.
 */
#ifndef HDY_SYNC_RW_H
#define HDY_SYNC_RW_H

#include "sync_lock.h"
#include "sync_party.h"

static inline void hdy_rw_settle(hdy_rw *w)
{
    w->reading = w->queued = 0;
    for (uint32_t i = 0; i < w->party.rows && i < HDY_RW_ROWS; i++) {
        if (w->row[i].identity == 0)
            continue;
        w->reading += w->row[i].reading;
        w->queued += w->row[i].queued;
    }
}

static void hdy_rw_repair(void *object)
{
    hdy_rw_settle(object);
    hdy_party_wake_all(&((hdy_rw *)object)->party);
}

/* The caller's row, or NULL when it has none and (make) none is to be had. */
static inline hdy_rw_row *hdy_rw_row_of(hdy_rw *w, int make)
{
    uint64_t me = hdy_self();
    uint32_t spare = HDY_RW_ROWS;
    for (uint32_t i = 0; i < w->party.rows && i < HDY_RW_ROWS; i++) {
        hdy_rw_row *row = &w->row[i];
        if (row->identity == me)
            return row;
        if (spare == HDY_RW_ROWS && (row->identity == 0 || (row->reading == 0 && row->queued == 0)))
            spare = i;
    }
    if (!make)
        return NULL;
    if (spare == HDY_RW_ROWS) {
        if (w->party.rows == HDY_RW_ROWS)
            return NULL;
        spare = hdy_party_add_row(&w->party);
    }
    HDY_FAILPOINT("rwlock.row.before_commit");
    hdy_store(&w->row[spare].reading, 0);
    hdy_store(&w->row[spare].queued, 0);
    hdy_store(&w->row[spare].identity, me);
    HDY_FAILPOINT("rwlock.row.after_commit");
    return &w->row[spare];
}

/* In: number, 1 when this thread reads already (a queued writer must not come between).
 * Out, on success: identity of a writer that died, or 0. */
static int hdy_rw_read(void *object, hdy_call *call)
{
    hdy_rw *w = object;
    if (w->writer || (w->queued && !call->number))
        return hdy_party_wait(&w->party, call);
    hdy_rw_row *row = hdy_rw_row_of(w, 1);
    if (!row)
        return hdy_party_wait(&w->party, call);
    HDY_FAILPOINT("rwlock.read.before_commit");
    hdy_store(&row->reading, row->reading + 1);
    HDY_FAILPOINT("rwlock.read.after_commit");
    w->reading++;
    call->identity = w->recovered;
    HDY_FAILPOINT("rwlock.read.before_unlock");
    return 0;
}

static int hdy_rw_read_end(void *object, hdy_call *call)
{
    hdy_rw *w = object;
    hdy_rw_row *row = hdy_rw_row_of(w, 0);
    if (!row || row->reading == 0)
        return -EPERM;
    HDY_FAILPOINT("rwlock.read_end.before_commit");
    hdy_store(&row->reading, row->reading - 1);
    HDY_FAILPOINT("rwlock.read_end.after_commit");
    w->reading--;
    if (w->reading == 0)
        hdy_party_wake(&w->party, call, INT32_MAX);
    HDY_FAILPOINT("rwlock.read_end.before_unlock");
    return 0;
}

static inline void hdy_rw_dequeue(hdy_rw *w, hdy_call *call)
{
    hdy_rw_row *row = call->ticket ? hdy_rw_row_of(w, 0) : NULL;
    call->ticket = 0;
    if (!row || row->queued == 0)
        return;
    hdy_store(&row->queued, row->queued - 1);
    HDY_FAILPOINT("rwlock.queue.after_leave");
    w->queued--;
}

/* In and out: ticket, 1 while the caller stands in the queue. Out, on success: identity as above. */
static int hdy_rw_write(void *object, hdy_call *call)
{
    hdy_rw *w = object;
    if (w->writer || w->reading) {
        hdy_rw_row *row = call->ticket ? NULL : hdy_rw_row_of(w, 1);
        if (row) {
            HDY_FAILPOINT("rwlock.queue.before_enter");
            hdy_store(&row->queued, row->queued + 1);
            HDY_FAILPOINT("rwlock.queue.after_enter");
            w->queued++;
            call->ticket = 1;
        }
        return hdy_party_wait(&w->party, call);
    }
    HDY_FAILPOINT("rwlock.write.before_commit");
    hdy_store(&w->writer, hdy_self());
    HDY_FAILPOINT("rwlock.write.after_commit");
    w->thread = hdy_thread_key();
    hdy_rw_dequeue(w, call);
    call->identity = w->recovered;
    HDY_FAILPOINT("rwlock.write.before_unlock");
    return 0;
}

/* Timed out or interrupted: readers that the queue held back may go on. */
static int hdy_rw_give_up(void *object, hdy_call *call)
{
    hdy_rw *w = object;
    hdy_rw_dequeue(w, call);
    if (w->queued == 0)
        hdy_party_wake(&w->party, call, INT32_MAX);
    HDY_FAILPOINT("rwlock.queue.before_unlock");
    return 0;
}

/* In: number, 1 to leave `recovered` as it is (the caller was told and has mended nothing). */
static int hdy_rw_write_end(void *object, hdy_call *call)
{
    hdy_rw *w = object;
    if (w->writer == 0 || w->writer != hdy_self())
        return -EPERM;
    HDY_FAILPOINT("rwlock.write_end.before_clear");
    w->thread = 0;
    if (!call->number)
        w->recovered = 0;
    HDY_FAILPOINT("rwlock.write_end.before_commit");
    hdy_store(&w->writer, 0);
    HDY_FAILPOINT("rwlock.write_end.after_commit");
    hdy_party_wake(&w->party, call, INT32_MAX);
    HDY_FAILPOINT("rwlock.write_end.before_unlock");
    return 0;
}

/* Without the guard: a dead process that holds or waits. Row: where, HDY_RW_ROWS for the writer. */
static inline int hdy_rw_find_dead(hdy_rw *w, hdy_call *call)
{
    call->identity = hdy_load(&w->writer);
    call->row = HDY_RW_ROWS;
    if (call->identity && !hdy_alive(call->identity))
        return 1;
    uint32_t rows = hdy_load(&w->party.rows);
    for (uint32_t i = 0; i < rows && i < HDY_RW_ROWS; i++) {
        call->identity = hdy_load(&w->row[i].identity);
        call->row = i;
        int holds = hdy_load(&w->row[i].reading) || hdy_load(&w->row[i].queued);
        if (call->identity && holds && !hdy_alive(call->identity))
            return 1;
    }
    return 0;
}

static int hdy_rw_bury(void *object, hdy_call *call)
{
    hdy_rw *w = object;
    if (call->row == HDY_RW_ROWS) {
        if (w->writer != call->identity)
            return 0;
        HDY_FAILPOINT("rwlock.bury.before_recovered");
        hdy_store(&w->recovered, call->identity);
        w->thread = 0;
        HDY_FAILPOINT("rwlock.bury.before_commit");
        hdy_store(&w->writer, 0);
        HDY_FAILPOINT("rwlock.bury.after_commit");
    } else {
        if (w->row[call->row].identity != call->identity)
            return 0;
        HDY_FAILPOINT("rwlock.bury_row.before_commit");
        hdy_store(&w->row[call->row].identity, 0);
        HDY_FAILPOINT("rwlock.bury_row.after_commit");
        hdy_rw_settle(w);
    }
    hdy_party_wake(&w->party, call, INT32_MAX);
    HDY_FAILPOINT("rwlock.bury.before_unlock");
    return 0;
}

/* Number: read locks held by all; turn: by this process; ticket: whether this thread writes. */
static int hdy_rw_look(void *object, hdy_call *call)
{
    hdy_rw *w = object;
    hdy_rw_row *row = hdy_rw_row_of(w, 0);
    call->number = (int32_t)w->reading;
    call->turn = row ? row->reading : 0;
    call->identity = w->writer;
    call->ticket = w->writer != 0 && w->writer == hdy_self() && w->thread == hdy_thread_key();
    return 0;
}

static inline int hdy_rw_start(hdy_rw *w)
{
    return hdy_party_start(&w->party, HDY_RW_ROWS);
}

#endif
