/* See seisedge_frame.h. */
#include "seisedge_frame.h"

#include <string.h>

#define HEADER_BYTES 40u
#define CHANNEL_BYTES 12u
#define CRC_BYTES 4u

/* CRC-32C by nibbles: a table of 64 bytes, not 1024, for small flash. Reflected polynomial 0x82F63B78. */
static const uint32_t crc_table[16] = {
    0x00000000u, 0x105ec76fu, 0x20bd8edeu, 0x30e349b1u, 0x417b1dbcu, 0x5125dad3u, 0x61c69362u, 0x7198540du,
    0x82f63b78u, 0x92a8fc17u, 0xa24bb5a6u, 0xb21572c9u, 0xc38d26c4u, 0xd3d3e1abu, 0xe330a81au, 0xf36e6f75u};

uint32_t se_crc32c(const uint8_t *data, size_t bytes)
{
    uint32_t crc = 0xffffffffu;
    while (bytes--) {
        crc ^= *data++;
        crc = crc >> 4 ^ crc_table[crc & 15u];
        crc = crc >> 4 ^ crc_table[crc & 15u];
    }
    return ~crc;
}

static uint8_t *put16(uint8_t *out, uint32_t value)
{
    out[0] = (uint8_t)value;
    out[1] = (uint8_t)(value >> 8);
    return out + 2;
}

static uint8_t *put32(uint8_t *out, uint32_t value)
{
    return put16(put16(out, value & 0xffffu), value >> 16);
}

static uint8_t *put64(uint8_t *out, uint64_t value)
{
    return put32(put32(out, (uint32_t)value), (uint32_t)(value >> 32));
}

/* Whether a reader takes such a frame: what it drops is better found here. */
static int is_readable(const struct se_frame *frame)
{
    unsigned i;
    if (frame->channels < 1u || frame->channels > SE_FRAME_MAX_CHANNELS || frame->rate_den == 0u)
        return 0;
    if ((uint64_t)frame->rate_num * 10000u < frame->rate_den || frame->rate_num > (uint64_t)frame->rate_den * 1000000u)
        return 0;
    for (i = 0; i < frame->channels; i++) {
        char axis = frame->about[i].axis;
        if (!(axis >= 'A' && axis <= 'Z') && !(axis >= '0' && axis <= '9'))
            return 0;
    }
    return 1;
}

/* Write header and channels; NULL where the frame cannot be one. */
static uint8_t *put_head(const struct se_frame *frame, unsigned width, uint8_t *out, size_t room)
{
    uint32_t bytes = SE_FRAME_BYTES(frame->channels, frame->npts, width); /* a size_t of 16 bits would wrap */
    unsigned i;
    if (bytes > room || bytes > SE_FRAME_MAX_BYTES || !is_readable(frame))
        return NULL;
    *out++ = 'S';
    *out++ = 'F';
    *out++ = 1;
    *out++ = (uint8_t)width;
    *out++ = frame->channels;
    *out++ = frame->overrun ? 1 : 0;
    *out++ = frame->clock;
    *out++ = frame->clock_error;
    out = put64(out, frame->device_id);
    out = put32(out, frame->sequence);
    out = put16(out, frame->npts);
    out = put16(out, frame->saturated);
    out = put64(out, (uint64_t)frame->starttime_ns);
    out = put32(out, frame->rate_num);
    out = put32(out, frame->rate_den);
    for (i = 0; i < frame->channels; i++) {
        uint32_t scale;
        memcpy(&scale, &frame->about[i].scale, sizeof scale);
        *out++ = frame->about[i].unit;
        *out++ = (uint8_t)frame->about[i].axis;
        out = put16(out, 0);
        out = put32(out, scale);
        out = put32(out, (uint32_t)frame->about[i].offset);
    }
    return out;
}

static size_t put_crc(uint8_t *start, uint8_t *end)
{
    put32(end, se_crc32c(start, (size_t)(end - start)));
    return (size_t)(end - start) + CRC_BYTES;
}

size_t se_frame_write_i16(const struct se_frame *frame, const int16_t *samples, uint8_t *out, size_t room)
{
    size_t count = (size_t)frame->npts * frame->channels;
    uint8_t *end = put_head(frame, 2u, out, room);
    if (end == NULL)
        return 0;
    while (count--)
        end = put16(end, (uint16_t)*samples++);
    return put_crc(out, end);
}

size_t se_frame_write_i32(const struct se_frame *frame, const int32_t *samples, unsigned width, uint8_t *out,
                          size_t room)
{
    size_t count = (size_t)frame->npts * frame->channels;
    uint8_t *end;
    if (width != 3u && width != 4u)
        return 0;
    end = put_head(frame, width, out, room);
    if (end == NULL)
        return 0;
    while (count--) {
        int32_t sample = *samples++;
        if (width == 3u && (sample < -8388608 || sample > 8388607))
            return 0;
        end = put16(end, (uint32_t)sample & 0xffffu);
        *end++ = (uint8_t)((uint32_t)sample >> 16);
        if (width == 4u)
            *end++ = (uint8_t)((uint32_t)sample >> 24);
    }
    return put_crc(out, end);
}

size_t se_frame_stuff(const uint8_t *frame, size_t bytes, uint8_t *out, size_t room)
{
    uint8_t *code, *end = out;
    size_t left = bytes;
    uint8_t run = 1;
    if (bytes == 0u || room < SE_FRAME_STUFFED_BYTES(bytes))
        return 0;
    *end++ = 0;
    code = end++;
    while (left--) {
        uint8_t byte = *frame++;
        if (byte != 0) {
            *end++ = byte;
            run++;
        }
        if (byte == 0 || (run == 255u && left != 0u)) {
            *code = run;
            code = end++;
            run = 1;
        }
    }
    *code = run;
    *end++ = 0;
    return (size_t)(end - out);
}
