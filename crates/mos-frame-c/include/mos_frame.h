/*
 * mos_frame.h: camera frames from the frame bus of mos-camera, without a copy.
 *
 * A stream is a camera's frames on the bus of this machine. Connect a subscriber to it, take frames, read them through
 * their file descriptors (a dma-buf, or a memfd in a development build), and let each go when you are done:
 *
 *     mos_subscriber *camera = NULL;
 *     mos_frame *frame = NULL;
 *     if (mos_subscriber_connect("front", NULL, &camera) != MOS_OK)
 *         fprintf(stderr, "%s\n", mos_last_error());
 *     while (mos_subscriber_next(camera, -1, &frame) == MOS_OK) {
 *         ...
 *         mos_frame_unref(frame);
 *     }
 *     mos_subscriber_close(camera);
 *
 * However slow you are, the camera and other subscribers don't notice: you get the newest frames of your window, and what
 * you hold is never overwritten.
 *
 * Results. Calls that can fail give a mos_status: MOS_OK, MOS_AGAIN (no frame yet), or a negative error. The words for an
 * error, with what to do about it, are mos_last_error() of the same thread. On an error results are not written, but for
 * pointers to handles, which become NULL.
 *
 * Pointers. NULL where a pointer is needed gives MOS_ERR_ARGUMENT; freeing NULL does nothing. Other invalid pointers, and
 * handles that were closed or let go, are as undefined as in the rest of C.
 *
 * Threads. Subscribers and frames may move between threads. Calls of one subscriber must not overlap: the second gets
 * MOS_ERR_BUSY. Calls with one frame may. mos_subscriber_close and the last mos_frame_unref must be the last use.
 *
 * Processes. After fork(2) the child may only call exec: a subscription belongs to the process that made it.
 *
 * Growth. Structures that start with struct_size are filled in or read as far as that size says, so that programs built
 * with an older header go on working. The soname libmos_frame.so.N stands for one binary interface.
 */

#ifndef MOS_FRAME_H
#define MOS_FRAME_H

/* Made by cbindgen from crates/mos-frame-c/src; change it there. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Version of the header, to compare with `mos_version`.
#define MOS_VERSION_MAJOR 0

/// See `MOS_VERSION_MAJOR`.
#define MOS_VERSION_MINOR 1

/// See `MOS_VERSION_MAJOR`.
#define MOS_VERSION_PATCH 0

/// Done.
#define MOS_OK 0

/// No error: there was no frame before the time was up.
#define MOS_AGAIN 1

/// An argument is NULL or out of range.
#define MOS_ERR_ARGUMENT (-1)

/// Nobody publishes this stream.
#define MOS_ERR_NOT_FOUND (-2)

/// The socket's permissions keep this process out.
#define MOS_ERR_PERMISSION (-3)

/// The producer refused the subscription; `mos_last_reason` says why.
#define MOS_ERR_REFUSED (-4)

/// The producer did not answer in time.
#define MOS_ERR_TIMEOUT (-5)

/// The peer does not speak the bus's protocol, or broke it.
#define MOS_ERR_PROTOCOL (-6)

/// The kernel refused something.
#define MOS_ERR_IO (-7)

/// The producer is gone, and the subscriber was made with `MOS_NO_RECONNECT`. Close it.
#define MOS_ERR_DISCONNECTED (-8)

/// The producer cut this subscriber off; `mos_last_reason` says why. Close it.
#define MOS_ERR_EVICTED (-9)

/// As many frames are held as were asked for: let one go first. Nothing is lost by this error.
#define MOS_ERR_HOLD_LIMIT (-10)

/// This frame or this build can't do that.
#define MOS_ERR_UNSUPPORTED (-11)

/// Another thread is in a call of this subscriber.
#define MOS_ERR_BUSY (-12)

/// A fault in this library. Please report it with the text.
#define MOS_ERR_INTERNAL (-13)

/// No reason was given, or one that this version does not know.
#define MOS_REASON_OTHER 0

/// The producer's buffers don't suffice for one more subscriber with this window and hold; the text has the figures.
#define MOS_REASON_OVER_BUDGET 1

/// No common version of the protocol.
#define MOS_REASON_VERSION 2

/// The window or the hold is out of range.
#define MOS_REASON_BAD_REQUEST 3

/// A hold of 0 needs memory that subscribers can't write to.
#define MOS_REASON_HOLD_ZERO 4

/// The caller is not on the producer's allow list.
#define MOS_REASON_NOT_ALLOWED 5

/// The handshake took too long.
#define MOS_REASON_TIMEOUT 6

/// A message that makes no sense.
#define MOS_REASON_PROTOCOL 7

/// A lease word that no honest subscriber writes.
#define MOS_REASON_BAD_LEASE 8

/// More frames were held than agreed.
#define MOS_REASON_HOLD_EXCEEDED 9

/// The producer could not serve the subscriber: it is out of descriptors or memory.
#define MOS_REASON_RESOURCES 10

/// `mos_format.fourcc` of NV12, as `DRM_FORMAT_NV12`: 8-bit luma, then a plane of Cb and Cr in turns at half the size each way.
#define MOS_FOURCC_NV12 842094158

/// `mos_format.memory`: memory of the kernel (`memfd_create(2)`), in development builds.
#define MOS_MEMORY_MEMFD 1

/// `mos_format.memory`: a dma-buf, which devices can import.
#define MOS_MEMORY_DMABUF 2

/// Bytes of `mos_format.colorimetry`.
#define MOS_COLORIMETRY_SIZE 68

/// A time that is not known.
#define MOS_TIME_NONE UINT64_MAX

/// `mos_frame_info.flags`: frames are missing at the source between this one and the one before it.
#define MOS_FRAME_DISCONT 1

/// `mos_frame_info.flags`: the source said that the picture is damaged.
#define MOS_FRAME_CORRUPTED 2

/// `mos_frame_info.flags`: its times and those of the frame before do not compare: another clock, a clock that was set, or a
/// `capture_ns` that was held so as not to run backward.
#define MOS_FRAME_RETIMED 4

/// `mos_frame_info.clock_source`: it is not known what the capture time was taken from.
#define MOS_CLOCK_UNKNOWN 0

/// `mos_frame_info.clock_source`: the frame's arrival in this machine.
#define MOS_CLOCK_ARRIVAL 1

/// `mos_frame_info.clock_source`: the capture driver (V4L2's buffer time).
#define MOS_CLOCK_DRIVER 2

/// `mos_frame_info.clock_source`: the pipeline's clock and the buffer's presentation time.
#define MOS_CLOCK_PIPELINE 3

/// `mos_frame_info.clock_source`: NTP time that the camera sent.
#define MOS_CLOCK_NTP 4

/// `mos_frame_info.clock_source`: PTP time that the camera sent.
#define MOS_CLOCK_PTP 5

/// `mos_frame_info.clock_source`: NTP time that the camera sent, placed by the frames that took the shortest way here.
#define MOS_CLOCK_NTP_RELATIVE 6

/// `mos_frame_info.clock_source`: PTP time that the camera sent, placed by the frames that took the shortest way here.
#define MOS_CLOCK_PTP_RELATIVE 7

/// For `mos_subscriber_options.hold`: hold nothing beyond the window. A frame is yours only while it is in the window, which
/// costs the producer no buffer; read its pixels, then ask `mos_frame_is_valid` whether what you read counts.
#define MOS_HOLD_NONE UINT32_MAX

/// For `mos_subscriber_options.flags`: when the producer goes away give `MOS_ERR_DISCONNECTED` instead of waiting for it to
/// come back.
#define MOS_NO_RECONNECT 1

/// For `mos_subscriber_options.flags`: don't fail if nobody publishes the stream yet, but wait for it as for one that went
/// away. `mos_subscriber_connect` then returns at once.
#define MOS_AWAIT_STREAM 2

/// A frame of a camera. While you hold it nobody writes to its memory.
typedef struct mos_frame mos_frame;

#if defined(MOS_FRAME_CPU_ACCESS)
/// A frame that is mapped into this process for reading. It holds the frame by itself.
typedef struct mos_mapping mos_mapping;
#endif

/// Receives the frames of one stream.
typedef struct mos_subscriber mos_subscriber;

/// What a call came to: `MOS_OK`, `MOS_AGAIN`, or one of `MOS_ERR_...`, which are negative.
typedef int32_t mos_status;

/// What a frame is. Times are in nanoseconds.
typedef struct mos_frame_info {
  /// Set it to `sizeof(mos_frame_info)` before the call.
  size_t struct_size;
  /// Number of the frame, from 1, rising by one per published frame of a session: a gap is a frame that you missed.
  uint64_t seq;
  /// Number of the producer's session. A restarted producer has another, and `seq` starts anew.
  uint64_t session;
  /// Time of capture on `CLOCK_MONOTONIC`.
  uint64_t capture_ns;
  /// Time of publishing on `CLOCK_MONOTONIC`.
  uint64_t publish_ns;
  /// Presentation time of the source, or `MOS_TIME_NONE`.
  uint64_t pts_ns;
  /// Time of day of the capture since 1970 UTC where the camera gave it, or `MOS_TIME_NONE`.
  uint64_t wall_ns;
  /// Bound of the error of `capture_ns`; 0 if none is known.
  uint32_t clock_error_ns;
  /// What `capture_ns` was taken from, one of `MOS_CLOCK_...`.
  uint32_t clock_source;
  /// Counts the format changes of the session, from 1.
  uint32_t epoch;
  /// Number of the buffer within the session: the same memory has the same number, so imports can be kept.
  uint32_t buffer_id;
  /// `MOS_FRAME_DISCONT`, `MOS_FRAME_CORRUPTED`, `MOS_FRAME_RETIMED`.
  uint32_t flags;
  /// Number of planes, 1 to 4.
  uint32_t plane_count;
} mos_frame_info;

/// Format of a frame.
typedef struct mos_format {
  /// Set it to `sizeof(mos_format)` before the call.
  size_t struct_size;
  /// DRM format modifier; 0 is linear.
  uint64_t modifier;
  /// Width in pixels.
  uint32_t width;
  /// Height in pixels.
  uint32_t height;
  /// Pixel format as in `drm_fourcc.h`; `MOS_FOURCC_NV12` for all cameras of this service.
  uint32_t fourcc;
  /// Frames per second, numerator; 0 if it varies or is not known.
  uint32_t framerate_num;
  /// Frames per second, denominator; never 0.
  uint32_t framerate_den;
  /// `MOS_MEMORY_MEMFD` or `MOS_MEMORY_DMABUF`.
  uint32_t memory;
  /// 1 if the kernel keeps this process from writing to the pixels, else 0. Never write to them in any case.
  uint32_t read_only;
  /// Colorimetry as GStreamer writes it, such as "bt709"; empty if not known. With a NUL at its end.
  uint8_t colorimetry[MOS_COLORIMETRY_SIZE];
} mos_format;

/// Where a plane lies.
typedef struct mos_plane {
  /// Set it to `sizeof(mos_plane)` before the call.
  size_t struct_size;
  /// First byte, from the start of the descriptor's memory.
  uint64_t offset;
  /// Bytes that the plane covers.
  uint64_t size;
  /// Bytes from one row to the next.
  uint32_t stride;
  /// The memory: a dma-buf or a memfd. It belongs to the frame: don't close it; `dup(2)` it to keep it.
  int32_t fd;
  /// Which of the frame's descriptors that is, from 0; planes may share one.
  uint32_t fd_index;
  /// Always 0.
  uint32_t reserved;
} mos_plane;

/// How to subscribe. All zeroes are the defaults: `mos_subscriber_options options = {0};`
typedef struct mos_subscriber_options {
  /// `sizeof(mos_subscriber_options)`; 0 stands for the fields of version 0.1, which end with `flags`.
  size_t struct_size;
  /// Name that the producer's status shows, UTF-8; NULL: the program's.
  const char *name;
  /// How many of the newest frames wait for you, 1 to 64; older ones are skipped. 0: the default, 2.
  uint32_t window;
  /// Most frames held at once, 1 to 64, or `MOS_HOLD_NONE`. Each costs the camera a buffer. 0: the default, 1.
  uint32_t hold;
  /// Longest wait of `mos_subscriber_connect` in milliseconds. 0: the default, 5000.
  uint32_t timeout_ms;
  /// `MOS_NO_RECONNECT`, `MOS_AWAIT_STREAM`, both, or 0.
  uint32_t flags;
} mos_subscriber_options;

/// What a subscriber received so far.
typedef struct mos_subscriber_stats {
  /// Set it to `sizeof(mos_subscriber_stats)` before the call.
  size_t struct_size;
  /// Frames received.
  uint64_t received;
  /// Frames that were published in between and not received.
  uint64_t missed;
  /// Places where at least one frame was missed.
  uint64_t gaps;
  /// Producers that came back after the first.
  uint64_t reconnects;
} mos_subscriber_stats;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/// Version of the library in use as `major << 16 | minor << 8 | patch`.
uint32_t mos_version(void);

/// Version of the library in use as text, such as "0.1.0"; lives for ever.
const char *mos_version_text(void);

/// Whether the library in use can map frames for the CPU to read (a development build).
bool mos_has_cpu_access(void);

/// What went wrong in the newest call of this thread that failed, and what to do about it. Never NULL; empty before the first.
///
/// The text is UTF-8 without a newline at its end, and lives until the next failing call of this thread.
const char *mos_last_error(void);

/// Why the producer refused or cut off, one of `MOS_REASON_...`, for the newest call of this thread that failed.
uint32_t mos_last_reason(void);

/// Name of a status, such as `MOS_ERR_REFUSED`; never NULL, lives for ever.
const char *mos_status_name(mos_status status);

/// One more owner of a frame; each calls `mos_frame_unref`. Gives `frame` back; NULL for NULL.
struct mos_frame *mos_frame_ref(struct mos_frame *frame);

/// Lets a frame go. When its last owner has, the memory is the camera's again; that takes no system call. NULL does nothing.
void mos_frame_unref(struct mos_frame *frame);

/// Number, times and flags of a frame.
mos_status mos_frame_get_info(const struct mos_frame *frame, struct mos_frame_info *info);

/// Format of a frame: size, pixel format, memory.
mos_status mos_frame_get_format(const struct mos_frame *frame, struct mos_format *format);

/// Where plane `index` of a frame lies: luma is 0, chroma 1.
mos_status mos_frame_get_plane(const struct mos_frame *frame, uint32_t index, struct mos_plane *plane);

/// Whether the frame is still yours. False once the producer took it back: by the window if you subscribed with
/// `MOS_HOLD_NONE`, or because it cut this subscriber off. What was read before is good if this is true afterwards.
/// False for NULL.
bool mos_frame_is_valid(const struct mos_frame *frame);

#if defined(MOS_FRAME_CPU_ACCESS)
/// Maps a frame for the CPU to read; development builds only (`mos_has_cpu_access`).
///
/// Each call maps anew, which takes two system calls or more: read what you need through one mapping. `MOS_ERR_UNSUPPORTED`
/// for a subscription with `MOS_HOLD_NONE`: its frames can change while they are read.
mos_status mos_frame_map(struct mos_frame *frame,
                         struct mos_mapping **mapping);
#endif

#if defined(MOS_FRAME_CPU_ACCESS)
/// Bytes of plane `index`: `stride` bytes a row, `size` bytes altogether. Never write to them: that ends the process.
mos_status mos_mapping_get_plane(const struct mos_mapping *mapping, uint32_t index, const uint8_t **data, size_t *size);
#endif

#if defined(MOS_FRAME_CPU_ACCESS)
/// Ends a mapping, and its hold on the frame. NULL does nothing.
void mos_mapping_unmap(struct mos_mapping *mapping);
#endif

/// Subscribes to a stream and waits for the producer's answer.
///
/// `stream` is a stream's name, such as "front", or the path of its socket, with a '/'. Names are looked for in the folder
/// that `$MOS_FRAME_DIR` says, else the service's. `options` may be NULL for the defaults.
mos_status mos_subscriber_connect(const char *stream,
                                  const struct mos_subscriber_options *options,
                                  struct mos_subscriber **subscriber);

/// Ends a subscription. Frames in hand stay valid. NULL does nothing.
void mos_subscriber_close(struct mos_subscriber *subscriber);

/// The next frame in order; frames that left the window are skipped (`mos_frame_info.seq` has a gap then).
///
/// `timeout_ms` is as for poll(2): -1 waits as long as it takes, also while the producer is away; 0 does not wait. A signal
/// does not end the wait: use a time-out, or poll `mos_subscriber_fd`, where the program has to react to one. `MOS_AGAIN`:
/// none came in time.
mos_status mos_subscriber_next(struct mos_subscriber *subscriber,
                               int32_t timeout_ms,
                               struct mos_frame **frame);

/// As `mos_subscriber_next`, but the newest frame: older ones are skipped. What was given before is not given again.
mos_status mos_subscriber_latest(struct mos_subscriber *subscriber, int32_t timeout_ms, struct mos_frame **frame);

/// A descriptor for poll(2), epoll(7) or any event loop: once it is readable take frames with a time-out of 0 until
/// `MOS_AGAIN`. It stays the same over all reconnections and belongs to the subscriber; don't read from it or close it.
/// -1 for NULL.
///
/// Take frames until `MOS_AGAIN` before the first wait, too: only that asks the producer for the next wake-up.
int32_t mos_subscriber_fd(const struct mos_subscriber *subscriber);

/// Whether a producer is there now. False for NULL, or while another thread is in a call.
bool mos_subscriber_is_connected(const struct mos_subscriber *subscriber);

/// What was received so far.
mos_status mos_subscriber_get_stats(const struct mos_subscriber *subscriber, struct mos_subscriber_stats *stats);

/// What a producer does and who subscribes to it, as one JSON object, without subscribing. The keys are described in
/// docs/bindings/c.md; keys may be added. Free the text by `mos_string_free`.
mos_status mos_inspect(const char *stream, uint32_t timeout_ms, char **json);

/// Frees a text that a call of this library gave. NULL does nothing.
void mos_string_free(char *text);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* MOS_FRAME_H */
