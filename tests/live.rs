//! Taps in namespaces of their own, driven through `taptool hold`.

use vhost::VhostBackend;
use vhost::vhost_kern::net::Net;
use vm_memory::{GuestAddress, GuestMemoryMmap};

#[test]
fn features() {
    let memory: GuestMemoryMmap = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 4096)]).unwrap();
    let net = Net::new(&memory).unwrap();
    println!("features {:#x}", net.get_features().unwrap());
}
