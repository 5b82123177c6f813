//! Linux tap interfaces on virtio rings, each served by the kernel's `/dev/vhost-net` or by a
//! device embedded in this process, with the commands of VPP's tapv2 over them.
//!
//! # Processes and threads
//! ```text
//!  taptool create … ──┐ clients: they open namespaces and scripts and send requests
//!  taptool (shell) ───┤ client of a holder, or owner of its own interfaces
//!                     ▼
//!  holder ── control thread: tokio `current_thread`; requests, events, signals
//!         ── poller threads: the rings of their queues, actions, counters
//!         ── host threads: enter a namespace or block in the kernel, and end with their work; a
//!            create has one for all its steps, and two that enter no namespace stay
//!         ── vhost-net workers: the kernel's
//! ```
//! The *holder* owns the interfaces. No long-lived thread changes its namespace. Calls that block run on
//! host threads, not on the control thread. The userspace device runs on the poller of its queues.
//!
//! # The path of a frame
//! ```text
//!  host side ─> device ─> rx ring ─> driver ─> action ─┬─> consumed or dropped (counted)
//!                                                      ├─> reply ─> own tx ring ─> device ─> host side
//!                                                      └─> peer ──> its tx ring ─> device ─> host side
//! ```
//! A poller visits its ready queues in a loop. It takes a burst from a receive ring, asks the action
//! about each frame, posts frames to transmit rings, and kicks each touched ring once per burst. A frame
//! to a peer is not copied: its buffers are lent to the peer's ring and return to their pool when the
//! peer's device has used them. A queue of another poller is reached through a handoff ring, and the
//! buffers return the same way.
//!
//! # Interfaces, queues, ports, peers
//! ```text
//!  interface ── rx queues, each ring + counters + record + buffers ─┐ each with one poller
//!            ── tx queues, each ring + counters + record ───────────┘
//!            ── backend ── a device half a queue
//!            ── port: a tap, with its files and all that is about its host side
//!            ── peer key: what actions of others name
//!
//!  poller ── its rx and tx queues ── core: peers, pools, ready list, timers, tables, output
//!         ── a peer is one tx queue of that interface: the poller's own, else another's
//! ```
//! Queues are made, placed and undone in a loop; this version makes one of each. An action gets a
//! context (interface, clock, tables, output) and names peers, not queues; the poller that forwards picks the
//! queue. Control keeps the life of an interface as one state machine (`control/life.rs`). What is about
//! queues, action, addresses and life needs no port; what is about a host side asks for it
//! (`control/port`). A backend gets the port's files and knows nothing else of it.
//!
//! # States of an interface
//! Of the states that apply, the first in this order is shown.
//!
//! | state | meaning | left by |
//! |---|---|---|
//! | `deleting` | off the data path; the kernel has not freed the device yet | the end of `delete` |
//! | `host-gone` | the Linux device is gone; backend stopped, configuration kept | `delete` |
//! | `broken` | a device broke a rule of its ring, or its poller panicked; all queues stopped, rings emptied | `set interface state NAME up`, `delete` |
//! | `admin-down` | set down by a command; each frame is dropped with `admin_down` | `set interface state NAME up`, `delete` |
//! | `up` | moves frames | any of the above |
//!
//! # Layers
//! ```text
//!  words             meaning                    ownership                     bytes
//!  cli ──┐                              ┌─ host    privileged steps: tun, netlink, namespaces
//!        ├─> api ─> control ─> engine ──┤─ device  memory, backend {vhost-net | userspace} ── ring
//!  demo ─┘    ^                │        └─ action  {sink, respond, xconnect, bridge} ── frame, offload
//!  render <───┴── counters (snapshots) <── written only by the poller that moves the frame
//! ```
//! Commands travel right, frames live at the bottom right, numbers travel left. An arrow that turns
//! back is refused by `tests/architecture.rs`, whose table this is:
//!
//! | place | what | may import |
//! |---|---|---|
//! | [`units`] | numbers and names as types, valid once they are parsed | |
//! | [`diag`] | [`diag::Failure`]: operation, object, cause, hint, or the place of a bug of ours; exit codes | |
//! | [`sync`] | the atomics whose order a model checker tries | |
//! | [`sys`] | ioctls of tun and vhost by name, their structures, signals, user namespaces | |
//! | [`ring`] | split virtqueues, both sides, over memory that others may write | |
//! | [`counters`] | the one table of counters, of drop reasons and of what breaks a queue; cells of a queue; snapshots, ledger | |
//! | [`frame`] | the virtio header, the check of a frame, checksums | counters |
//! | [`offload`] | splits and merges frames, completes checksums | frame |
//! | [`host`] | everything that needs privilege; takes owned data and files, returns files and facts | sys |
//! | [`device`] | the two memory files, buffers, the backends | ring, sys, frame, counters |
//! | [`action`] | the decision about a received frame; knows neither rings nor files | frame, counters |
//! | [`engine`] | pollers, placement, handoff between pollers | device, ring, action, offload, frame, counters |
//! | [`api`] | a file per verb: request, reply, JSON | counters |
//! | [`control`] | the registry; create and delete as steps with undo; the watch over host sides | api, engine, device, host, action, counters |
//! | [`holder`] | the control socket: server, client, start and life of the process | control, api, sys |
//! | [`render`] | reply → text or JSON; no I/O | api, counters |
//! | [`cli`] | words → requests, scripts, `hold`, streams | api, render, holder, demo, doctor, sys |
//! | [`repl`] | the shell: a person's lines, completion, events; the only place that names rustyline | cli, api, render, holder, doctor, sys |
//! | [`demo`] | two namespaces, two taps, a wire, and traffic across it | api, control, host, render, counters, sys |
//! | [`doctor`] | what the machine offers; what one interface would drop | api, host, device, sys, counters |
//! | [`program`] | the binary: starts what the command line was written against | cli, control, demo, device, repl, sys |
//!
//! Every place may import [`units`], [`diag`] and [`sync`]. `unsafe` stands only in `sys`, `ring/shared.rs`
//! and `device/pool.rs`; only `cli`, `demo` and `program` print, and none ends the process.
//!
//! # Design notes
//! What a user meets of the design, and why it is so.
//!
//! ## Memory
//! All interfaces of a holder share one file of memory that backends see. It holds rings and
//! buffers, 64 GiB by default, sparse: only pages that frames touched cost anything, and deleting
//! an interface gives its pages back. One region for all is a trade. A frame crosses a wire without
//! being copied; in exchange, a hostile backend could reach the buffers of other interfaces.
//! Shadows, buffer lists and counters are in a second file that no backend sees. A driver can be
//! rebuilt from the two files; neither yet holds the names and actions of interfaces.
//!
//! ## The backend is not trusted
//! Each entry of a used ring is checked against our shadow. A queue whose device breaks a rule
//! becomes `broken`, `show` names the rule, and the interface stops: frames in its rings are
//! counted as lost, and their buffers return to their pools. Other interfaces go on. `set interface
//! state NAME up` starts the interface again.
//!
//! ## A panic is confined
//! A panic on a poller's thread is a bug of ours. The poller notes what it works on; the queues that
//! a panic was about become `broken`, with their rings made whole and the frame on its way counted
//! as `torn`, and all others go on, on the same thread: a new one would have to be given queues that
//! nothing is wrong with. The report is on stderr, which is the log of a holder in the background.
//! The runtime of Rust itself ends the process where the kernel refuses a new thread's signal stack;
//! so no thread is started that need not be.
//!
//! ## Buffers
//! vhost-net gets a ring full of 2 KiB buffers, and spreads a frame over up to 33 of them. The
//! userspace device gets 32 buffers of 68 KiB and fills each with a whole frame in one `read`. They
//! are few, so that they stay in a core's cache (`show tap NAME descriptors` lists what is posted).
//! Up to 96 more, 512 where there are several pollers (of 2 KiB: 2048, or as many as the ring has
//! entries), may lie in the rings of peers. Beyond that, frames are dropped as `peer_stalled`, so that
//! one stuck peer does not starve
//! the others.
//!
//! ## What an action may do
//! An action sees one frame and gives one verdict: consume, forward, flood, hold, drop. What else it
//! wants is in its output: edits, frames of its own, decisions about held frames, a time to be
//! called at. A flooded frame lies in several transmit rings at once; its first buffer counts how
//! many, in the private file. Every further copy is in the ledger of the receive queue (`copies`),
//! so that a copy which is lost has a reason like any other frame: `received + copies = forwarded +
//! consumed + drops + held`. Copies that were sent are in `forwarded`, so at rest over the process
//! they need no term of their own.
//!
//! ## Capture points
//! A queue has four: received, about to be sent, sent, lost. Each is one branch while there is no reader
//! ([`engine::capture`]).
//!
//! ## `packets` of a tx queue
//! It counts frames that the backend took and did not refuse. On userspace a refused write is a
//! drop with its errno. vhost-net reports frames that the tap refused as used, so there they count
//! as sent; a frame that the kernel would refuse is dropped before the ring as `bad_header`,
//! `short_frame`, `oversize` or, for a host side that is down, `link_down`.
//!
//! ## What the host dropped
//! Frames that found the queue of the host side full were never here, so they are in no ledger. The
//! kernel counts them (`host_tx_dropped`); the number is asked for when it is shown, through a socket
//! in the staging namespace, and so keeps no namespace alive.
//!
//! ## Refusals
//! An address of ours is a host's that runs nothing: UDP gets port unreachable, TCP a reset, other
//! protocols protocol unreachable or a parameter problem. 100 in a second are sent, as routers limit
//! them; the rest is `rate_limited`.
//!
//! ## A plain tap takes large frames
//! Without `gso` the host sends us none, but a frame of 64 KiB from a peer with `gso` passes as it
//! is: the kernel's tap accepts it.
//!
//! With `no-gso` the host is promised neither large frames nor partial checksums. The poller of the
//! transmit queue splits and completes what others send, in a pool that the queue has for it, and
//! counts each further segment in `segments`.
//!
//! ## Addresses and routes of the host side
//! IPv6 addresses are set without duplicate address detection, which would keep them silent for a
//! second or two. A default route is never replaced, whatever its metric: the create ends with exit
//! code 4. Our default route always leads through our device. A gateway that the host side's own
//! addresses do not cover is refused; beside an address of 32 or 128 bits, which covers none, it is
//! taken as on the link.
//!
//! ## The host side is made elsewhere
//! A tun file keeps the namespace alive that it was opened in. So a device for another namespace is
//! made in a private staging namespace of the holder, under its final name, and then moved. What a
//! create needs in the target (the bridge, the name) is checked before its first step.
//!
//! ## Names
//! Ids end at 8191. Names are checked before the kernel sees them, because it would cut long names
//! and expand `%d`. Two interfaces of a holder may not share a name, even in different namespaces.
//!
//! ## The balance over the process
//! At rest, the sum of `forwarded`, `originated` and `segments` is that of `offered` over the
//! interfaces that exist. The frames that a deleted interface was offered leave the sum with it, and so do those
//! that `clear` of one end of a wire took for zero.
//!
//! ## Speed
//! It depends on the machine. `tests/bench/run` measures TCP through two cross-connected taps
//! against a veth pair, in alternating rounds, and prints the ratio. `tests/bench/start` measures
//! what a script waits for (`--version`, a first create, a show, a last delete) against the same
//! done with `ip`, and the CPU time of a holder with 100 idle taps.
//!
//! ## Files that are generated
//! `man/` and `completions/` are written from the command tree and the tables of the source by
//! `TAPTOOL_WRITE_FILES=1 cargo test --test generated_files`; that test fails while they are stale.
//! A completion script asks the `taptool` in `PATH` at each TAB, so that it offers the namespaces
//! and bridges of that moment. It understands both spellings and abbreviations, starts no holder,
//! and prints nothing where it knows nothing. README's transcripts are run by `tests/readme.rs`.
//!
//! # Glossary
//! | word | meaning |
//! |---|---|
//! | *host side* | the Linux net device (`tap0` in some namespace); every `host-*` option is about it |
//! | *interface* | our side of it: name, id, MAC, queues, action, counters; `sw_if_index` is its number, never used again while the process lives |
//! | *port* | what is behind an interface, where its frames come from and go to: a tap |
//! | *driver*, *device* | VIRTIO's words: taptool is the driver, the *backend* is the device |
//! | rx, tx | from taptool's view: rx is host side → interface, tx is interface → host side; inside the userspace backend the same bytes go *from_tap* and *to_tap* |
//! | kick, call | available-buffer and used-buffer notification: eventfds, or plain memory flags where driver and device share a thread |
//! | frame | one Ethernet frame (tap) or IP packet (tun) with its 12 bytes of `virtio_net_hdr_v1` in front |
//! | action | what an interface does with received frames: sink, respond, xconnect, bridge |
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
pub mod offload;
pub mod program;
pub mod render;
pub mod repl;
pub mod ring;
pub mod sync;
pub mod sys;
pub mod units;
