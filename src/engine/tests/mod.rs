//! Real pollers over doubles of the device: no taps, no privileges.

mod capture;
mod doubles;
mod drops;
mod frames;
mod half;
mod hostile;
mod hostile_random;
mod impair;
mod moved;
mod panics;
mod reset;
mod retire;
mod rig;
mod rx_mode;
mod sleep;
mod split;
mod stall;
mod trunk;
mod verdicts;
mod xconnect;
