//! Values in JSON are checked by the same rules as values on a command line.

use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, Serializer};

use super::{
    BitRate, BridgeDomainId, Delay, IfName, InterfaceId, MacAddr, Mtu, QueueCount, RingSize, Share,
    Tag, TxQueueLength, VlanId,
};

/// A string that is parsed.
macro_rules! from_text {
    ($($unit:ty),*) => {$(
        impl<'de> Deserialize<'de> for $unit {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = String::deserialize(from)?;
                <$unit>::from_str(&text).map_err(|why| D::Error::custom(format_args!("{text}: {why}")))
            }
        }
    )*};
}

/// A value that is written as it is spelled.
macro_rules! to_text {
    ($($unit:ty),*) => {$(
        impl Serialize for $unit {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }
    )*};
}

/// A number that is checked.
macro_rules! from_number {
    ($($unit:ty),*) => {$(
        impl<'de> Deserialize<'de> for $unit {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let number = u64::deserialize(from)?;
                <$unit>::new(number).map_err(|why| D::Error::custom(format_args!("{number}: {why}")))
            }
        }
    )*};
}

from_text!(IfName, MacAddr, Tag, Delay, Share, BitRate);
to_text!(Delay, Share, BitRate);
from_number!(BridgeDomainId, QueueCount, RingSize, InterfaceId, Mtu, TxQueueLength, VlanId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_no_command_line_would_take_is_refused_from_json_too() {
        for bad in ["\"..\"", "\"a b\"", "\"\"", "7"] {
            assert!(serde_json::from_str::<IfName>(bad).is_err(), "{bad}");
        }
        assert!(serde_json::from_str::<RingSize>("100").is_err());
        assert!(serde_json::from_str::<InterfaceId>("8192").is_err());
        assert!(serde_json::from_str::<Mtu>("-1").is_err());
        assert!(serde_json::from_str::<MacAddr>("\"ff:ff:ff:ff:ff:ff\"").is_err());
        let same = |text: &str| serde_json::from_str::<IfName>(text).map(|n| n.to_string()).ok();
        assert_eq!(same("\"tap0\""), Some("tap0".into()));
    }
}
