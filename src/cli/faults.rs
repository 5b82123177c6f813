//! What a wire does to frames, as words of `xconnect` and of `set interface l2 xconnect`.

use clap::Args;

use super::names;
use crate::units::{BitRate, Delay, Impairment, Share};

#[derive(Debug, Args)]
#[group(skip)]
#[command(next_help_heading = "A wire that is not perfect; without these it is")]
pub(super) struct Faults {
    /// How long each frame is on the wire, up to 60s [units: s, ms, us, ns].
    ///
    /// Both directions have it, so a ping takes it twice. 128 MiB of frames may wait in a direction; what
    /// comes then is dropped, counted as hold_full.
    #[arg(long, value_name = "TIME", add = names::examples(&["1ms", "10ms", "100ms"]))]
    delay: Option<Delay>,
    /// How much longer or shorter the delay may be; frames keep their order.
    #[arg(long, value_name = "TIME", add = names::examples(&["100us", "1ms", "10ms"]))]
    jitter: Option<Delay>,
    /// Share of the frames that are lost, at random.
    ///
    /// They are counted as impaired_loss. A frame of many segments (GSO) is one frame.
    #[arg(long, value_name = "N%", add = names::examples(&["0.1%", "1%", "10%"]))]
    loss: Option<Share>,
    /// Share of the frames that arrive twice.
    #[arg(long, value_name = "N%", add = names::examples(&["0.1%", "1%", "10%"]))]
    duplicate: Option<Share>,
    /// Share of the frames that skip the delay, and so overtake others.
    #[arg(long, value_name = "N%", add = names::examples(&["0.1%", "1%", "10%"]))]
    reorder: Option<Share>,
    /// Share of the frames in which one bit is flipped.
    ///
    /// It is behind the Ethernet header; in a frame whose checksum the host left unfinished it is one of
    /// the IP addresses, since nothing else would be noticed.
    #[arg(long, value_name = "N%", add = names::examples(&["0.01%", "0.1%", "1%"]))]
    corrupt: Option<Share>,
    /// How fast the wire is, 1kbit-1000Gbit [units: Gbit, Mbit, kbit].
    ///
    /// Frames wait up to 100 ms for it, or as many as `limit' says; what comes then is dropped, counted
    /// as queue_full. It needs an interface with one receive queue.
    #[arg(long, value_name = "RATE", add = names::examples(&["10Mbit", "100Mbit", "1Gbit"]))]
    rate: Option<BitRate>,
    /// Most frames that wait for the delay and the rate.
    #[arg(long, value_name = "FRAMES", add = names::examples(&["100", "1000"]))]
    limit: Option<u32>,
    /// First state of the random numbers: with the same seed the same frames of a sequence are lost,
    /// doubled, damaged and so on.
    #[arg(long, value_name = "NUMBER", add = names::examples(&["1"]))]
    seed: Option<u64>,
}

impl From<Faults> for Impairment {
    fn from(faults: Faults) -> Self {
        Self {
            loss: faults.loss.unwrap_or_default(),
            duplicate: faults.duplicate.unwrap_or_default(),
            corrupt: faults.corrupt.unwrap_or_default(),
            rate: faults.rate,
            delay: faults.delay.unwrap_or_default(),
            jitter: faults.jitter.unwrap_or_default(),
            reorder: faults.reorder.unwrap_or_default(),
            limit: faults.limit,
            seed: faults.seed,
        }
    }
}
