/* Spinning before a sleep, and when not to.
 *
 * A sleep and its wake-up cost some 10 us, most of them the other side's. When that is at work on another processor it
 * commits within less. So a waiter first watches the other side's commit, without the GIL and without any guard:
 *  - only if this process may run on more than one processor;
 *  - for HDY_SPIN_MOST_NS at the most, once a call, not after a sleep;
 *  - as long as it pays: `luck` counts spins that ended with a commit against those that did not, and without luck only
 *    one wait in HDY_SPIN_PROBE tries again. Who waits on an idle queue spins once and then sleeps.
 *
 * A reader that put nothing into any queue since it last waited is nobody's partner in a round trip: it looks only
 * after HDY_SPIN_GATHER_NS, in which messages gather. To look at each one would fetch the tail's line from the putter
 * as often, and slow it down (measured: half the rate).
 */
#ifndef HDY_SPIN_H
#define HDY_SPIN_H

#include "commit.h"
#include <sched.h>

#define HDY_SPIN_MOST_NS 20000
#define HDY_SPIN_GATHER_NS 700
#define HDY_SPIN_PROBE 16
#define HDY_SPIN_LUCK 16 /* the most */
#define HDY_SPIN_LOOK_AT_CPUS 256 /* waits between two looks at the affinity mask */

/* Of this process: how many messages it put by single puts. With the GIL. */
__attribute__((unused)) static uint64_t hdy_puts_here;

/* Whether to spin before this sleep; with the GIL. */
static inline int hdy_spin_pays(hdy_queue *q, int what)
{
    static uint32_t waits, cpus;
    cpu_set_t set;
    if (waits++ % HDY_SPIN_LOOK_AT_CPUS == 0)
        cpus = sched_getaffinity(0, sizeof set, &set) == 0 ? (uint32_t)CPU_COUNT(&set) : 2;
    if (cpus < 2)
        return 0;
    return q->luck[what] > 0 || waits % HDY_SPIN_PROBE == 0;
}

/* Spins until the other side commits. `gather`: see above. Without the GIL. */
static inline void hdy_spin(hdy_queue *q, int what, int gather)
{
    const hdy_side *other = what == HDY_ITEMS ? &q->ring->tail : &q->ring->head;
    uint64_t looked = q->looked[what];
    int64_t now = hdy_now_ns(), look = now + (gather ? HDY_SPIN_GATHER_NS : 0), end = now + HDY_SPIN_MOST_NS;
    int luck = -1;
    while (now < look) {
        for (int i = 0; i < 8; i++)
            hdy_pause();
        now = hdy_now_ns();
    }
    for (; now < end && luck < 0; now = hdy_now_ns())
        for (int i = 0; i < 16 && luck < 0; i++) {
            if (hdy_load(&other->commits) != looked)
                luck = 2;
            else
                hdy_pause();
        }
    luck += q->luck[what];
    q->luck[what] = luck < 0 ? 0 : luck > HDY_SPIN_LUCK ? HDY_SPIN_LUCK : luck;
}

#endif
