//! The steps of the demo: taps, wire, ping, TCP, counters.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde_json::{Value, json};

use super::ground::Ground;
use super::place::Place;
use super::screen::Screen;
use super::stop::Stop;
use super::{ledger, ping, transfer};
use crate::api::{CreateRequest, Interface, InterfaceRef, Reply, Request, Submit, XconnectRequest};
use crate::control::Control;
use crate::diag::{Code, Failure};
use crate::render;
use crate::units::Impairment;
use crate::units::Kind;

/// How long the transfer sends.
const TRANSFER: Duration = Duration::from_secs(2);

/// Addresses of the two ends. The namespaces are new, so they collide with nothing.
const IP4: [Ipv4Net; 2] = [
    Ipv4Net::new_assert(std::net::Ipv4Addr::new(10, 9, 0, 1), 24),
    Ipv4Net::new_assert(std::net::Ipv4Addr::new(10, 9, 0, 2), 24),
];
const IP6: [Ipv6Net; 2] = [
    Ipv6Net::new_assert(std::net::Ipv6Addr::new(0xfd00, 9, 0, 0, 0, 0, 0, 1), 64),
    Ipv6Net::new_assert(std::net::Ipv6Addr::new(0xfd00, 9, 0, 0, 0, 0, 0, 2), 64),
];

/// The state of the demo.
pub(super) struct Scene {
    pub(super) control: Control,
    pub(super) place: Place,
    pub(super) stop: Stop,
    pub(super) screen: Screen,
    pub(super) ground: Ground,
}

impl Scene {
    /// Runs the steps. What they made remains afterwards, also after a failure.
    ///
    /// # Errors
    /// The first thing that failed; a signal.
    pub(super) async fn play(&mut self) -> Result<Value, Failure> {
        self.screen.line("world", &format!("namespaces A and B, without names{}", self.ground))?;
        let a = self.create(0).await?;
        self.screen.line("backend", &backend(&a))?;
        let b = self.create(1).await?;
        let ends = [(&a, 0), (&b, 1)].map(|(tap, at): (&Interface, usize)| {
            format!("{} in {}, {}", tap.name, self.place.rooms[at].label, IP4[at])
        });
        self.screen.line("wire", &ends.join("  <->  "))?;
        let [name_a, name_b] = [&a, &b].map(|tap| InterfaceRef::Name(tap.name.clone()));
        let wire = XconnectRequest {
            a: name_a,
            b: name_b,
            off: false,
            link_state: false,
            impairment: Impairment::default(),
        };
        self.submit(Request::Xconnect(wire)).await?;

        let pings = self.pings().await?;
        let tcp = self.transfer().await?;
        let rest = ledger::at_rest(&self.control, &self.place);
        let (reply, frames) = self.stop.unless(rest).await?;
        self.screen.block(&render::text(&reply, None))?;
        self.screen.line("rx", &frames.rx())?;
        self.screen.line("tx", &frames.tx())?;
        self.screen.line("ledger", "every frame accounted for; the kernel counted the same")?;
        Ok(json!([{
            "user_namespace": self.ground == Ground::UserNamespace,
            "backend": a.backend.word(),
            "backend_reason": a.backend_reason,
            "ping": pings,
            "tcp": tcp,
            "frames": frames.to_json(),
            "ledger_balances": true,
            "interfaces": reply.to_json(),
        }]))
    }

    /// Carries out a whole request. A signal is handled before it starts.
    async fn submit(&mut self, request: Request) -> Result<Reply, Failure> {
        self.stop.check().await?;
        // The notice says why this backend was chosen; our own line says so too.
        Ok(self.control.submit(request).await?.reply)
    }

    async fn create(&mut self, at: usize) -> Result<Interface, Failure> {
        let mut request = CreateRequest::new(Kind::Tap, self.place.rooms[at].namespace()?);
        request.host_ip4_addr = vec![IP4[at]];
        if self.place.no_ipv6.is_none() {
            request.host_ip6_addr = vec![IP6[at]];
        }
        request.gso = true;
        match self.submit(Request::Create(Box::new(request))).await? {
            Reply::Created(tap) => Ok(*tap),
            other => Err(Failure::new(Code::Failed, "create", format!("answered {other:?}"))),
        }
    }

    async fn pings(&mut self) -> Result<Vec<Value>, Failure> {
        let mut all = Vec::new();
        for (label, to) in [("ping", IpNet::from(IP4[1])), ("ping6", IpNet::from(IP6[1]))] {
            let to: IpAddr = to.addr();
            if let (true, Some(why)) = (to.is_ipv6(), &self.place.no_ipv6) {
                self.screen.line(label, &format!("left out: {why}"))?;
                continue;
            }
            let ping = self.stop.unless(ping::ping(&self.place.rooms[0], to)).await?;
            self.screen.line(label, &format!("A -> B: {ping}"))?;
            all.push(ping.to_json());
        }
        Ok(all)
    }

    async fn transfer(&mut self) -> Result<Value, Failure> {
        let ([a, b], screen) = (&self.place.rooms, &mut self.screen);
        let transfer = async {
            let ends = transfer::connect(a, b, IP4[1].addr()).await?;
            transfer::run(ends, TRANSFER, |so_far| screen.progress(so_far)).await
        };
        let tcp = self.stop.unless(transfer).await?;
        self.screen.line("tcp", &format!("A -> B: {tcp}"))?;
        Ok(tcp.to_json())
    }
}

/// The backend, and why it is this one.
fn backend(tap: &Interface) -> String {
    match &tap.backend_reason {
        Some(reason) => format!("{} ({})", tap.backend.word(), render::escape(reason)),
        None => tap.backend.word().to_owned(),
    }
}
