//! The one table of reasons that a queue is broken for: code, sentence.

use std::fmt;

macro_rules! reasons {
    ($($variant:ident $code:literal $sentence:literal;)*) => {
        /// Why a queue is broken: it moves nothing until its interface is set up again.
        ///
        /// As a number it is the value of [`Counter::BrokenReason`](super::Counter::BrokenReason),
        /// where 0 is a queue that is not broken. A number keeps its meaning: it stands in memory
        /// that a later version may read.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub enum BrokenReason { $(#[doc = $sentence] $variant = $code,)* }

        impl BrokenReason {
            /// A sentence for `show`.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)* }
            }

            /// The reason that was stored as `code`; none for 0, and for a code of no reason.
            pub const fn from_code(code: u64) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

// Numbers 1 to 4 are the ring's own rules, 5 and 6 those of a received frame.
reasons! {
    UsedIndexJumped 1 "used idx moved past the chains in flight";
    UsedIdOutOfRange 2 "used id is outside the ring";
    UsedIdNotInFlight 3 "used id is not in flight";
    UsedLengthTooLong 4 "used len is more than was posted";
    FrameWithoutHeader 5 "received frame is shorter than its header";
    BadBufferCount 6 "num_buffers of a received frame is impossible";
    DeviceError 7 "the backend reported an error on the queue";
    ReadFailed 8 "the tap refuses to be read";
    Unwatched 9 "the queue's files cannot be watched";
    OtherQueue 10 "stopped with another queue of the interface";
    PollerPanicked 11 "the poller panicked at it, which is a bug of taptool";
}

impl fmt::Display for BrokenReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_found_by_its_code_and_other_codes_are_no_reason() {
        for code in 1..=11 {
            let reason = BrokenReason::from_code(code).unwrap();
            assert_eq!(reason as u64, code);
            assert_eq!(reason.to_string(), reason.sentence());
        }
        for code in [0, 12, 256, 257, u64::MAX] {
            assert_eq!(BrokenReason::from_code(code), None);
        }
        let said = BrokenReason::OtherQueue.to_string();
        assert_eq!(said, "stopped with another queue of the interface");
    }
}
