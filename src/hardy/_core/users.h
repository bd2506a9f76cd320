/* Who uses a queue: one entry a process, claimed at its first put, get or close, or by
 * the parent that gives it the queue; in the guard.
 *
 * Entries answer two questions that only matter after somebody closed or died: can anybody still
 * put (the end of the stream, as of a pipe whose writers have all closed), and which dead process
 * held items for which `task_done` will never come.
 */
#ifndef HDY_USERS_H
#define HDY_USERS_H

#include "ring.h"

static inline hdy_user *hdy_users(hdy_ring *r)
{
    return (hdy_user *)((char *)r + HDY_USERS_OFFSET);
}

/* unfinished and stamp, as one store. */
static inline void hdy_user_tally(hdy_user *p, int32_t unfinished, uint32_t stamp)
{
    uint64_t both;
    int32_t u = unfinished;
    memcpy(&both, &u, 4);
    memcpy((char *)&both + 4, &stamp, 4);
    hdy_store((uint64_t *)&p->unfinished, both);
}

/* Books the current state's delta with its actor, once. */
static inline void hdy_user_settle(hdy_ring *r)
{
    const hdy_state *s = hdy_current(r);
    if (!s->actor || s->actor > HDY_USERS)
        return;
    hdy_user *p = &hdy_users(r)[s->actor - 1];
    if (p->stamp != s->stamp)
        hdy_user_tally(p, p->unfinished + s->delta, s->stamp);
}

/* The entry of a process; NULL when all entries belong to living processes. */
static inline hdy_user *hdy_user_of(hdy_queue *q, uint64_t identity)
{
    hdy_user *table = hdy_users(q->ring), *spare = NULL;
    for (uint32_t i = 0; i < HDY_USERS; i++) {
        if (table[i].identity == identity)
            return &table[i];
        if (!table[i].identity && !spare)
            spare = &table[i];
    }
    for (uint32_t i = 0; i < HDY_USERS && !spare; i++)
        if (!table[i].unfinished && !hdy_alive(table[i].identity))
            spare = &table[i];
    if (!spare)
        return NULL;
    HDY_FAILPOINT("ring.user.before_commit");
    spare->identity = 0;
    spare->flags = spare->waiting = 0;
    hdy_user_tally(spare, 0, hdy_current(q->ring)->stamp);
    hdy_store(&spare->identity, identity);
    HDY_FAILPOINT("ring.user.after_commit");
    return spare;
}

/* This process's own entry; found once and kept. */
static inline hdy_user *hdy_user_own(hdy_queue *q)
{
    hdy_user *own;
    if (q->forks == hdy_rt->forks && q->user)
        return &hdy_users(q->ring)[q->user - 1];
    own = hdy_user_of(q, hdy_self());
    q->user = own ? (uint32_t)(own - hdy_users(q->ring)) + 1 : 0;
    q->user_flags = own ? own->flags : 0;
    q->forks = hdy_rt->forks;
    return own;
}

/* Before the commit of a joinable queue's get (+n) or task_done (-1): names the actor. */
static inline void hdy_user_act(hdy_queue *q, hdy_state *n, int delta)
{
    hdy_user *p = hdy_user_own(q);
    n->stamp++;
    n->actor = p ? (uint16_t)(p - hdy_users(q->ring) + 1) : 0;
    n->delta = (int16_t)delta;
}

/* One item less to be done. 0, or -ERANGE: there was none. In the guard. */
static inline int hdy_ring_task_done(hdy_queue *q)
{
    hdy_ring *r = q->ring;
    if (hdy_current(r)->unfinished == 0)
        return -ERANGE;
    hdy_state *n = hdy_begin(r);
    n->unfinished--;
    hdy_user_act(q, n, -1);
    if (n->unfinished == 0)
        hdy_wake(q, HDY_DONE, INT_MAX);
    HDY_FAILPOINT("ring.task_done.before_commit");
    hdy_commit(r);
    HDY_FAILPOINT("ring.task_done.before_settle");
    hdy_user_settle(r);
    return 0;
}

/* Writes off what dead processes got and never finished. Returns the items of one such process and
 * its identity; 0: none. In the guard, by who waits in join. */
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
    hdy_state *n = hdy_begin(r);
    uint32_t items = (uint32_t)lost->unfinished;
    if (items > INT16_MAX)
        items = INT16_MAX;
    if (items > n->unfinished)
        items = (uint32_t)n->unfinished;
    *identity = lost->identity;
    n->unfinished -= items;
    n->stamp++;
    n->actor = (uint16_t)(lost - table + 1);
    n->delta = (int16_t)-(int32_t)items;
    if (n->unfinished == 0)
        hdy_wake(q, HDY_DONE, INT_MAX);
    HDY_FAILPOINT("ring.write_off.before_commit");
    hdy_commit(r);
    HDY_FAILPOINT("ring.write_off.before_settle");
    hdy_user_settle(r);
    if (items == 0)
        hdy_user_tally(lost, 0, hdy_current(r)->stamp);
    return items;
}

#endif
