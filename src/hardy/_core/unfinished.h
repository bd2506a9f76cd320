/* What of a JoinableQueue is not yet done with: task_done, and what the dead will never finish. */
#ifndef HDY_UNFINISHED_H
#define HDY_UNFINISHED_H

#include "users.h"

/* One item less to be done. 0, or -ERANGE: there was none. In the head's guard. */
static inline int hdy_ring_task_done(hdy_queue *q)
{
    hdy_ring *r = q->ring;
    uint64_t unfinished = hdy_unfinished(r);
    if (unfinished == 0)
        return -ERANGE;
    const hdy_end end = hdy_begin(&r->head);
    hdy_progress *n = hdy_progress_begin(r);
    n->done++;
    hdy_user_act(q, n, -1);
    if (unfinished == 1)
        hdy_wake(q, &r->head, HDY_DONE, INT_MAX);
    HDY_FAILPOINT("ring.task_done.before_commit");
    hdy_commit(&r->head, &end);
    HDY_FAILPOINT("ring.task_done.before_settle");
    hdy_user_settle(r);
    return 0;
}

/* Writes off what dead processes got and never finished. Returns the items of one such process and
 * its identity; 0: none. In the head's guard, by who waits in join. */
static inline uint32_t hdy_ring_write_off(hdy_queue *q, uint64_t *identity)
{
    hdy_ring *r = q->ring;
    hdy_user *table = hdy_users(r), *lost = NULL;
    for (uint32_t i = 0; i < HDY_USERS; i++) {
        if (!table[i].identity || !table[i].unfinished)
            continue;
        if (!hdy_alive(table[i].identity)) {
            if (table[i].unfinished > 0 && !lost)
                lost = &table[i];
        } else if (table[i].unfinished < 0) {
            return 0; /* it calls task_done for what others got: nobody can say what is lost */
        }
    }
    if (!lost)
        return 0;
    uint64_t unfinished = hdy_unfinished(r);
    const hdy_end end = hdy_begin(&r->head);
    hdy_progress *n = hdy_progress_begin(r);
    uint32_t items = (uint32_t)lost->unfinished;
    if (items > INT16_MAX)
        items = INT16_MAX;
    if (items > unfinished)
        items = (uint32_t)unfinished;
    *identity = lost->identity;
    n->done += items;
    n->stamp++;
    n->actor = (uint16_t)(lost - table + 1);
    n->delta = (int16_t)-(int32_t)items;
    if (unfinished == items)
        hdy_wake(q, &r->head, HDY_DONE, INT_MAX);
    HDY_FAILPOINT("ring.write_off.before_commit");
    hdy_commit(&r->head, &end);
    HDY_FAILPOINT("ring.write_off.before_settle");
    hdy_user_settle(r);
    if (items == 0)
        hdy_user_tally(lost, 0, hdy_progress_now(r)->stamp);
    return items;
}

#endif
