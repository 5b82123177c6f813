//! Linux tap interfaces on virtio rings, each served by the kernel's `/dev/vhost-net` or by a device
//! embedded in this process, with the commands of VPP's tapv2 over them.
//!
//! # Who runs where
//! One process, the *holder*, owns interfaces: its control thread (one tokio `current_thread`
//! runtime) answers requests, its poller threads move frames, and whatever blocks or has to be in
//! another namespace runs on a host thread of its own that ends with its work.
//!
//! # Layers
//! ```text
//!  words             meaning                    ownership                     bytes
//!  cli ──┐                              ┌─ host    privileged steps: tun, netlink, namespaces
//!        ├─> api ─> control ─> engine ──┤─ device  memory, backend {vhost-net | userspace} ── ring
//!  demo ─┘    ^                │        └─ action  {sink, respond, xconnect} ── frame
//!  render <───┴── counters (snapshots) <── written only by the poller that moves the frame
//! ```
//! Commands travel right, frames live at the bottom right, numbers travel left. An arrow that turns
//! back is refused by `tests/architecture.rs`, whose table this is:
//!
//! | place | what | may import |
//! |---|---|---|
//! | [`units`] | numbers and names as types, valid once they are parsed | |
//! | [`diag`] | [`diag::Failure`]: doing what, on what, cause, hint; exit codes | |
//! | [`sys`] | ioctls of tun and vhost by name, their structures, signals, user namespaces | |
//! | [`ring`] | split virtqueues, both sides, over memory that others may write | |
//! | [`counters`] | the one table of counters and drop reasons; cells of a queue; snapshots, ledger | |
//! | [`frame`] | the virtio header, the check of a frame, checksums | counters |
//! | [`host`] | everything that needs privilege; takes owned data and files, returns files and facts | sys |
//! | [`device`] | the two memory files, buffers, the backends | ring, sys, frame, counters |
//! | [`action`] | what becomes of a received frame; knows neither rings nor files | frame, counters |
//! | [`engine`] | pollers, placement, handoff between pollers | device, ring, action, frame, counters |
//! | [`api`] | a file per verb: request, reply, JSON | counters |
//! | [`control`] | the registry; create and delete as steps with undo; the watch over host sides | api, engine, device, host, action, counters |
//! | [`holder`] | the control socket: server, client, start and life of the process | control, api, sys |
//! | [`render`] | reply → text or JSON; no I/O | api, counters |
//! | [`cli`] | words → requests, scripts, `hold`, streams | api, render, holder, demo, doctor, sys |
//! | [`repl`] | the shell: a person's lines, completion, events; the only place that names rustyline | cli, api, render, holder, sys |
//! | [`demo`] | two namespaces, two taps, a wire, and traffic across it | api, control, host, render, counters, sys |
//! | [`doctor`] | what the machine offers; what one interface would drop | api, host, device, sys, counters |
//!
//! Every place may import [`units`] and [`diag`]. `unsafe` stands only in `sys`, `ring/shared.rs`
//! and `device/pool.rs`; only `cli`, `demo` and `main.rs` print, and none ends the process.
//!
//! # Glossary
//! | word | meaning |
//! |---|---|
//! | *host side* | the Linux net device (`tap0` in some namespace); every `host-*` option is about it |
//! | *interface* | our side of it: name, id, MAC, queues, action, counters; `sw_if_index` is its number, never used again while the process lives |
//! | *driver*, *device* | VIRTIO's words: taptool is the driver, the *backend* is the device |
//! | rx, tx | from taptool's view: rx is host side → interface, tx is interface → host side; inside the userspace backend the same bytes go *from_tap* and *to_tap* |
//! | kick, call | available-buffer and used-buffer notification: eventfds, or plain memory flags where driver and device share a thread |
//! | frame | one Ethernet frame (tap) or IP packet (tun) with its 12 bytes of `virtio_net_hdr_v1` in front |
//! | action | what an interface does with received frames: sink, respond, xconnect |
//! | poller, placement | a thread of the data plane, and which one owns which queue |
//! | holder | the process that owns interfaces |
//! | chain, head | descriptors that make up one buffer, and the first of them |
//!
//! Ring words are those of the specification: descriptor table, available ring, used ring,
//! `avail_idx`, `last_used_idx`, `used_event`, `avail_event`.
//!
//! # Specification
//! `[VIRTIO-1.3 §…]` means *Virtual I/O Device (VIRTIO) Version 1.3*, OASIS Committee Specification
//! 01 of 6 October 2023; the heading stands beside the number, so that a renumbering is noticed.
//! Kernel facts name the uapi header or the first kernel that has them.
//!
//! # Sizes
//! | what | size | where |
//! |---|---|---|
//! | memory that backends see | 64 GiB, sparse; `--memory` 16 MiB…1 TiB | [`device::MEMORY_BYTES`] |
//! | memory that only we see | 1/32 of that, at least 16 MiB, sparse | [`device::Memory`] |
//! | queues of a process | 32768 | [`device::RECORDS`] |
//! | ring | 256 entries; 64…32768, a power of two | [`units::RingSize`] |
//! | buffer | 2 KiB on vhost-net, 68 KiB on userspace | [`device::BufferClass`] |
//! | frame | 14…65553 bytes (tap), 20…65535 (tun), header not counted | [`units::Kind`] |
//! | chain | at most 64 segments | [`ring::MAX_SEGMENTS`] |
//! | ids | 0…8191 | [`units::InterfaceId`] |
//! | interface name | 1…15 bytes | [`units::IfName`] |

pub mod action;
pub mod api;
pub mod cli;
pub mod control;
pub mod counters;
pub mod demo;
pub mod device;
pub mod diag;
pub mod doctor;
pub mod engine;
pub mod frame;
pub mod holder;
pub mod host;
pub mod render;
pub mod repl;
pub mod ring;
pub mod sys;
pub mod units;
