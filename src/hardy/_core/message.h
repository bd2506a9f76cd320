/* A message on its way into a queue, and one on its way out. */
#ifndef HDY_MESSAGE_H
#define HDY_MESSAGE_H

#include <stdint.h>
#include <sys/uio.h>

typedef struct {
    uint32_t kind;
    uint64_t size;
    const struct iovec *parts;
    int nparts;
    uint32_t unit; /* large: its extents, filled, in this process's hand */
    const char *records; /* else of all fields this one only: small messages, as in records.h; NULL: one message */
} hdy_message;

typedef struct {
    uint32_t kind;
    uint32_t pid;
    uint64_t size;
    char *small;   /* room for the small ones */
    uint64_t room; /* large: the size that the caller has made room for, */
    uint32_t room_kind; /* and the kind: another reader may have taken the one that it was made for */
    uint32_t unit; /* large: its extents, in this process's hand (0: the message is in `small`) */
    uint32_t as_records; /* in: whether small ones shall come with their records (records.h), several at once; */
    uint32_t used; /* then: bytes of these in `small`; */
    uint32_t more; /* whether messages were left that were to be had */
} hdy_got;

#endif
