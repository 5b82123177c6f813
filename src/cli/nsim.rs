//! `set nsim …`, `nsim …`, in VPP's words.

use clap::{Args, Subcommand};

use super::words::quoted;
use super::{names, xconnect};
use crate::api::{InterfaceRef, NsimRequest, NsimSettings, Request};
use crate::diag::Failure;
use crate::units::{BitRate, Delay, IfName, Invalid, digits};

/// Impair wires as VPP's network delay simulator does; `set nsim' says how.
///
/// `xconnect' can do more, and each wire has settings of its own there.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  set nsim delay 10 ms bandwidth 1 gbit packet-size 1500 packets-per-drop 1000
  nsim cross-connect enable-disable tap1 tap2
  show nsim")]
pub(super) struct NsimArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// A wire between two interfaces that does what `set nsim' says.
    #[command(subcommand)]
    CrossConnect(Cross),
    /// Frames that wires send out of an interface.
    #[command(subcommand)]
    OutputFeature(Output),
}

#[derive(Debug, Subcommand)]
enum Cross {
    /// Make the wire, both ways, or take it away.
    #[command(after_help = "Example: nsim cross-connect enable-disable tap1 tap2")]
    EnableDisable {
        /// One end.
        #[arg(value_name = "A", add = names::interfaces())]
        a: IfName,
        /// The other end.
        #[arg(value_name = "B", add = names::interfaces())]
        b: IfName,
        /// Take the wire away.
        #[arg(long)]
        disable: bool,
    },
}

#[derive(Debug, Subcommand)]
enum Output {
    /// Have frames that come to the interface over plain wires impaired, or no more.
    ///
    /// Answers of our side are not delayed.
    #[command(after_help = "Example: nsim output-feature enable-disable tap1")]
    EnableDisable {
        /// The interface.
        #[arg(value_name = "NAME", add = names::interfaces())]
        name: IfName,
        /// No more.
        #[arg(long)]
        disable: bool,
    },
}

impl TryFrom<NsimArgs> for Request {
    type Error = Failure;
    fn try_from(args: NsimArgs) -> Result<Self, Failure> {
        Ok(Self::Nsim(match args.what {
            What::CrossConnect(Cross::EnableDisable { a, b, disable }) => {
                let (a, b) = xconnect::ends(a, b)?;
                NsimRequest::CrossConnect { a, b, disable }
            }
            What::OutputFeature(Output::EnableDisable { name, disable }) => {
                NsimRequest::OutputFeature { interface: InterfaceRef::Name(name), disable }
            }
        }))
    }
}

/// `set nsim`.
#[derive(Debug, Args)]
pub(super) struct Set {
    /// delay TIME, bandwidth RATE, packet-size BYTES [1500], packets-per-drop N, packets-per-reorder N;
    /// TIME in us, ms, sec, RATE in gbit, gbyte, gbps, mbps, kbps, bps.
    #[arg(value_name = "WORD", trailing_var_arg = true, required = true)]
    words: Vec<String>,
}

impl Set {
    /// What it sets.
    ///
    /// # Errors
    /// Exit code 2, in VPP's words.
    pub(super) fn settings(&self) -> Result<NsimSettings, Failure> {
        let (mut delay, mut bandwidth) = (None, None);
        let (mut packet_size, mut packets_per_drop, mut packets_per_reorder) = (1500, 0, 0);
        let mut words = self.words.iter().map(String::as_str).peekable();
        while let Some(word) = words.next() {
            let mut value = words.next().unwrap_or_default().to_owned();
            let is_number = value.bytes().all(|b| b.is_ascii_digit() || b == b'.');
            // VPP takes `10 ms' and `10ms'.
            if matches!(word, "delay" | "bandwidth") && is_number {
                value.push_str(words.next().unwrap_or_default());
            }
            let refused = |why: Invalid| Failure::usage(format!("{word} {value}"), why.0);
            let number = || digits(&value).ok_or_else(|| refused(Invalid("not a number".into())));
            match word {
                "delay" => delay = Some(value.parse::<Delay>().map_err(refused)?),
                "bandwidth" => bandwidth = Some(rate(&value).map_err(refused)?),
                "packet-size" => packet_size = number()?,
                "packets-per-drop" => packets_per_drop = number()?,
                "packets-per-reorder" => packets_per_reorder = number()?,
                _ => return Err(Failure::usage("", format!("unknown input {}", quoted(word)))),
            }
        }
        let missing = |what: &str| Failure::usage("", format!("invalid {what} 0.00"));
        Ok(NsimSettings {
            bandwidth: bandwidth.ok_or_else(|| missing("bandwidth"))?,
            delay: delay.ok_or_else(|| missing("delay"))?,
            packet_size,
            packets_per_drop,
            packets_per_reorder,
        })
    }
}

/// A rate as VPP spells it.
fn rate(text: &str) -> Result<BitRate, Invalid> {
    let at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let (unit, times) = match unit {
        "gbit" | "gbps" => ("Gbit", 1),
        "gbyte" => ("Gbit", 8),
        "mbps" => ("Mbit", 1),
        "kbps" => ("kbit", 1),
        "bps" => ("bit", 1),
        _ => return Err(Invalid("not a rate in gbit, gbyte, gbps, mbps, kbps or bps".into())),
    };
    let rate: BitRate = format!("{number}{unit}").parse()?;
    BitRate::new(rate.bits() * times)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(line: &str) -> Result<NsimSettings, String> {
        let words = line.split(' ').map(ToOwned::to_owned).collect();
        Set { words }.settings().map_err(|failure| failure.to_string())
    }

    #[test]
    fn lines_of_vpps_manual_are_read_with_and_without_a_space() {
        let set = settings("delay 10.0 ms bandwidth 5.5 gbit packet-size 128").unwrap();
        assert_eq!((set.delay.ns(), set.bandwidth.bits()), (10_000_000, 5_500_000_000));
        // 10 ms of 5.5 Gbit/s are 6875000 bytes.
        assert_eq!(set.limit(), 6_875_000 / 128 + 1);
        let set = settings("delay 1sec bandwidth 2gbyte packets-per-drop 100").unwrap();
        assert_eq!((set.delay.ns(), set.bandwidth.bits()), (1_000_000_000, 16_000_000_000));
        assert_eq!((set.packet_size, set.impairment().loss), (1500, "1%".parse().unwrap()));
        assert_eq!(settings("delay 1 ms").unwrap_err(), "invalid bandwidth 0.00");
        assert_eq!(settings("bandwidth 1 mbps").unwrap_err(), "invalid delay 0.00");
        assert!(settings("delay 5 bandwidth 1 gbit").is_err());
        assert!(settings("wifi").unwrap_err().contains("unknown input `wifi'"));
    }
}
