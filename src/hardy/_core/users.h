/* Who uses a queue: one entry a process, claimed at its first put, get or close, or by
 * the parent that gives it the queue; in the head's guard.
 *
 * Entries answer two questions that only matter after somebody closed or died: can anybody still
 * put (the end of the stream, as of a pipe whose writers have all closed), and which dead process
 * held items for which `task_done` will never come.
 */
#ifndef HDY_USERS_H
#define HDY_USERS_H

#include "commit.h"

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

/* The progress that holds, and a copy of it to change, as hdy_current and hdy_begin. In the head's guard; the copy
 * is begun before each commit of the head of a joinable queue. */
static inline hdy_progress *hdy_progress_now(hdy_ring *r)
{
    return &r->progress[hdy_load_relaxed(&r->head.commits) & 1];
}

static inline hdy_progress *hdy_progress_begin(hdy_ring *r)
{
    uint64_t holds = hdy_load_relaxed(&r->head.commits) & 1;
    r->progress[!holds] = r->progress[holds];
    return &r->progress[!holds];
}

/* Messages put and not done with. In the head's guard. */
static inline uint64_t hdy_unfinished(hdy_ring *r)
{
    hdy_end tail;
    hdy_peek(&r->tail, &tail);
    return tail.seq - hdy_progress_now(r)->done;
}

/* Books the delta of the progress that holds with its actor, once. */
static inline void hdy_user_settle(hdy_ring *r)
{
    const hdy_progress *s = hdy_progress_now(r);
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
    hdy_user_tally(spare, 0, hdy_progress_now(q->ring)->stamp);
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
static inline void hdy_user_act(hdy_queue *q, hdy_progress *n, int delta)
{
    hdy_user *p = hdy_user_own(q);
    n->stamp++;
    n->actor = p ? (uint16_t)(p - hdy_users(q->ring) + 1) : 0;
    n->delta = (int16_t)delta;
}

#endif
