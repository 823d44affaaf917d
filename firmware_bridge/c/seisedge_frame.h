/* Native frames of seisedge, written by firmware. C99; no allocation; nothing of libc but memcpy. docs/frame.md
 * describes the bytes. Licence: MIT, as the rest of seisedge. */
#ifndef SEISEDGE_FRAME_H
#define SEISEDGE_FRAME_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SE_FRAME_MAX_BYTES 16384u
#define SE_FRAME_MAX_CHANNELS 16u

/* Bytes of a bare frame, and of the buffer that se_frame_stuff needs for it. */
#define SE_FRAME_BYTES(channels, npts, width) (44u + 12u * (channels) + (uint32_t)(npts) * (channels) * (width))
#define SE_FRAME_STUFFED_BYTES(bytes) ((bytes) + (bytes) / 254u + 3u)

enum se_unit { SE_COUNTS = 0, SE_M_PER_S2 = 1, SE_M_PER_S = 2, SE_M = 3, SE_PA = 4 };
enum se_clock { SE_CLOCK_UNSET = 0, SE_CLOCK_HOLDOVER = 1, SE_CLOCK_NETWORK = 2, SE_CLOCK_SATELLITE = 3 };

/* One channel: its value in `unit` is (sample + offset) * scale. */
struct se_channel {
    char axis;      /* 'Z', 'N', 'E', '1', '2', '3': an upper-case letter or a digit */
    uint8_t unit;   /* enum se_unit */
    float scale;    /* IEEE 754 single */
    int32_t offset; /* counts that were taken off before sending */
};

struct se_frame {
    uint64_t device_id;
    int64_t starttime_ns;  /* of the first sample, since 1970-01-01T00:00:00 UTC */
    uint32_t sequence;     /* one more in each frame; wraps */
    uint32_t rate_num;     /* samples per second = rate_num / rate_den: 0.0001 to 1,000,000 */
    uint32_t rate_den;
    uint16_t npts;         /* samples of each channel */
    uint16_t saturated;    /* bit k: channel k */
    uint8_t channels;      /* 1 to 16 */
    uint8_t overrun;       /* not 0: samples before this frame were lost */
    uint8_t clock;         /* enum se_clock */
    uint8_t clock_error;   /* error of the clock as a power of two in ns, rounded up; 255: not known */
    const struct se_channel *about;
};

/* Write a bare frame of int16 samples (npts times channels, interleaved) to `out`, which has room for
 * SE_FRAME_BYTES(channels, npts, 2). Returns its bytes, or 0 where `room` is too small, a value does not fit, or a reader
 * would drop the frame: for its length, its rate or an axis. */
size_t se_frame_write_i16(const struct se_frame *frame, const int16_t *samples, uint8_t *out, size_t room);

/* The same with samples of 24 or 32 bits: `width` is 3 or 4. */
size_t se_frame_write_i32(const struct se_frame *frame, const int32_t *samples, unsigned width, uint8_t *out,
                          size_t room);

/* Stuff a bare frame for a serial line: a zero, COBS, a zero. `out` has room for SE_FRAME_STUFFED_BYTES(bytes) and is
 * not `frame`. Returns the bytes to send, or 0 where `room` is too small or there is no frame (`bytes` is 0). */
size_t se_frame_stuff(const uint8_t *frame, size_t bytes, uint8_t *out, size_t room);

/* CRC-32C of bytes; "123456789" gives 0xE3069283. */
uint32_t se_crc32c(const uint8_t *data, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif
