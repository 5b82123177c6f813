//! The description of `io.taptool` against the types, and the holder against a foreign client.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails; the lints' own exception ends at helper functions"
)]

mod common;

use std::collections::BTreeSet;

use common::live;
use serde_json::{Value, json};
use taptool::api::{
    BackendChoice, BridgeChange, BridgeRequest, BridgeSettings, ClearRequest, CreateRequest,
    DeleteRequest, Detail, GsoRequest, InterfaceRef, L2FibKind, L2FibRequest, MtuOf, NamespaceSpec,
    NsimRequest, NsimSettings, Request, SetInterface, SetRequest, ShowRequest, SubInterfaceRequest,
    XconnectRequest,
};
use taptool::holder::DESCRIPTION;
use taptool::units::{
    Encapsulation, HostOffload, Impairment, InnerTag, Kind, PollerIndex, QueueIndex, RxMode,
    SwIfIndex, TagRewrite, TagType, VlanId, VlanTag,
};
use varlink::{Connection, MethodCall, OrgVarlinkServiceClient, OrgVarlinkServiceInterface};
use varlink_parser::{IDL, VStruct, VStructOrEnum, VType, VTypeExt};

/// One with every setting.
fn impairment() -> Impairment {
    Impairment {
        loss: "1%".parse().unwrap(),
        duplicate: "1%".parse().unwrap(),
        corrupt: "1%".parse().unwrap(),
        rate: "1Mbit".parse().ok(),
        delay: "10ms".parse().unwrap(),
        jitter: "1ms".parse().unwrap(),
        reorder: "1%".parse().unwrap(),
        limit: Some(7),
        seed: Some(7),
    }
}

/// Panics unless `value` is of that type; every object has only keys that its type has, and all of
/// those that are not optional.
fn conforms(idl: &IDL<'_>, value: &Value, of: &VTypeExt<'_>, at: &str) {
    match (of, value) {
        (VTypeExt::Option(_), Value::Null) => {}
        (VTypeExt::Option(of), value) => conforms(idl, value, of, at),
        (VTypeExt::Array(of), Value::Array(all)) => {
            all.iter().for_each(|value| conforms(idl, value, of, at));
        }
        (VTypeExt::Dict(of), Value::Object(all)) => {
            all.values().for_each(|value| conforms(idl, value, of, at));
        }
        (VTypeExt::Plain(of), value) => plain(idl, value, of, at),
        (_, value) => panic!("{at}: {value} is of another shape"),
    }
}

fn plain(idl: &IDL<'_>, value: &Value, of: &VType<'_>, at: &str) {
    let fits = match of {
        VType::Bool => value.is_boolean(),
        VType::Int => value.is_i64() || value.is_u64(),
        VType::Float => value.is_number(),
        VType::String => value.is_string(),
        VType::Object => value.is_object(),
        VType::Enum(words) => words.elts.iter().any(|word| value == word),
        VType::Struct(of) => return object(idl, value, of, at),
        VType::Typename(name) => match &idl.typedefs[name].elt {
            VStructOrEnum::VStruct(of) => return object(idl, value, of, &format!("{at}.{name}")),
            VStructOrEnum::VEnum(words) => words.elts.iter().any(|word| value == word),
        },
    };
    assert!(fits, "{at}: {value} is of another type");
}

fn object(idl: &IDL<'_>, value: &Value, of: &VStruct<'_>, at: &str) {
    let Value::Object(keys) = value else { panic!("{at}: {value} is no object") };
    for key in keys.keys() {
        assert!(of.elts.iter().any(|field| field.name == key), "{at}: unknown key {key}");
    }
    for field in &of.elts {
        let value = keys.get(field.name).unwrap_or(&Value::Null);
        conforms(idl, value, &field.vtype, &format!("{at}.{}", field.name));
    }
}

fn keys(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap().keys().cloned().collect()
}

fn fields(of: &VStruct<'_>) -> BTreeSet<String> {
    of.elts.iter().map(|field| field.name.to_owned()).collect()
}

fn idl() -> IDL<'static> {
    IDL::try_from(DESCRIPTION).unwrap()
}

fn by_name(name: &str) -> InterfaceRef {
    InterfaceRef::Name(name.parse().unwrap())
}

/// A create with every key.
fn everything() -> CreateRequest {
    let name = || Some("x".parse().unwrap());
    let mac = || Some("02:fe:00:00:00:01".parse().unwrap());
    CreateRequest {
        kind: Kind::Tap,
        name: name(),
        id: Some("7".parse().unwrap()),
        if_name: name(),
        mac_addr: mac(),
        host_if_name: name(),
        host_ns: NamespaceSpec::Path("/proc/self/ns/net".into()).open().unwrap(),
        host_mac_addr: mac(),
        host_bridge: name(),
        host_ip4_addr: vec!["10.9.0.1/24".parse().unwrap()],
        host_ip6_addr: vec!["fd00::1/64".parse().unwrap()],
        host_ip4_gw: Some("10.9.0.2".parse().unwrap()),
        host_ip6_gw: Some("fd00::2".parse().unwrap()),
        host_mtu_size: Some("1400".parse().unwrap()),
        host_txqueuelen: Some("77".parse().unwrap()),
        host_down: true,
        rx_ring_size: "512".parse().unwrap(),
        tx_ring_size: "512".parse().unwrap(),
        gso: true,
        consistent_qp: true,
        no_gso: true,
        csum_offload: true,
        gro_coalesce: true,
        persist: true,
        attach: true,
        packed: true,
        in_order: true,
        num_rx_queues: "4".parse().ok(),
        num_tx_queues: "2".parse().ok(),
        respond: vec!["10.9.0.2/24".parse().unwrap()],
        backend: BackendChoice::Userspace,
        owner: Some(1),
        group: Some(2),
        admin_down: true,
        dry_run: true,
    }
}

/// A request of every form.
fn requests() -> Vec<Request> {
    let create = everything();
    let both = || vec![by_name("tap0"), InterfaceRef::Index(SwIfIndex(3))];
    let set = |change| Request::Set(SetRequest { interface: by_name("tap0"), change });
    let net = || "10.9.0.2/24".parse().unwrap();
    let mac = || "02:fe:00:00:00:01".parse().unwrap();
    let domain = || "7".parse().unwrap();
    let bridge = |change| Request::Bridge(BridgeRequest::Set { bd_id: domain(), change });
    vec![
        Request::Create(Box::new(create)),
        Request::Delete(DeleteRequest::Named(both())),
        Request::Delete(DeleteRequest::Destroy(both())),
        Request::Delete(DeleteRequest::All { destroy: false }),
        Request::Gso(GsoRequest { interface: by_name("tap0"), on: true }),
        Request::Xconnect(XconnectRequest {
            a: by_name("a"),
            b: by_name("b"),
            off: true,
            link_state: false,
            impairment: impairment(),
        }),
        Request::Nsim(NsimRequest::Configure(NsimSettings {
            delay: "10ms".parse().unwrap(),
            bandwidth: "1Gbit".parse().unwrap(),
            packet_size: 1500,
            packets_per_drop: 7,
            packets_per_reorder: 7,
        })),
        Request::Nsim(NsimRequest::CrossConnect {
            a: by_name("a"),
            b: by_name("b"),
            disable: true,
        }),
        Request::Nsim(NsimRequest::OutputFeature { interface: by_name("a"), disable: true }),
        set(SetInterface::State { up: true }),
        set(SetInterface::L2Xconnect { peer: by_name("b"), impairment: impairment() }),
        set(SetInterface::L2Bridge { bd_id: domain(), shg: 2 }),
        set(SetInterface::TagRewrite(TagRewrite {
            pop: 1,
            push: vec![VlanTag { kind: TagType::Dot1q, id: VlanId::new(10).unwrap() }],
        })),
        Request::SubInterface(SubInterfaceRequest::Create {
            interface: by_name("a"),
            first: 10,
            last: 10,
            encapsulation: Some(Encapsulation::Tagged {
                outer_type: TagType::Dot1ad,
                outer: VlanId::new(10).ok(),
                inner: Some(InnerTag::Any {}),
                exact_match: true,
            }),
        }),
        Request::SubInterface(SubInterfaceRequest::Delete { interface: by_name("a.10") }),
        set(SetInterface::L3 {}),
        set(SetInterface::NoGso { on: true }),
        set(SetInterface::Offload { host: HostOffload::Csum }),
        set(SetInterface::HostCarrier { up: false }),
        set(SetInterface::HostSpeed { mbps: 1000 }),
        set(SetInterface::AddAddress(net())),
        set(SetInterface::DelAddress(net())),
        set(SetInterface::DelAllAddresses {}),
        set(SetInterface::Name("up".parse().unwrap())),
        set(SetInterface::Tag("blue".parse().unwrap())),
        set(SetInterface::ClearTag {}),
        set(SetInterface::MacAddress("02:fe:00:00:00:01".parse().unwrap())),
        set(SetInterface::AddSecondaryMac("02:fe:00:00:00:01".parse().unwrap())),
        set(SetInterface::DelSecondaryMac("02:fe:00:00:00:01".parse().unwrap())),
        set(SetInterface::Promiscuous { on: true }),
        set(SetInterface::RxPlacement { queue: QueueIndex(1), poller: PollerIndex(2) }),
        set(SetInterface::RxMode { queue: Some(QueueIndex(1)), mode: RxMode::Polling }),
        set(SetInterface::TxQueue { queue: QueueIndex(1), threads: vec![PollerIndex(2)] }),
        set(SetInterface::Mtu { of: MtuOf::Ip4, mtu: "1400".parse().ok() }),
        set(SetInterface::HostMtu("1400".parse().unwrap())),
        Request::Show(ShowRequest::Overview(both())),
        Request::Show(ShowRequest::Tap { kind: Kind::Tap, interfaces: both(), descriptors: true }),
        Request::Show(ShowRequest::Interface(both())),
        Request::Show(ShowRequest::Errors { verbose: true }),
        Request::Show(ShowRequest::Addresses(both())),
        Request::Show(ShowRequest::RxPlacement(both())),
        Request::Show(ShowRequest::TxPlacement(both())),
        Request::Show(ShowRequest::Features(both())),
        Request::Show(ShowRequest::Tags(both())),
        Request::Show(ShowRequest::TagRewrites(both())),
        Request::Show(ShowRequest::SecondaryMacs(both())),
        Request::Show(ShowRequest::Hardware { interfaces: both(), detail: Detail::Verbose }),
        Request::Show(ShowRequest::Mode(both())),
        Request::Show(ShowRequest::RunningConfig {}),
        Request::Show(ShowRequest::Runtime { verbose: true }),
        Request::Show(ShowRequest::Nsim {}),
        Request::Show(ShowRequest::Threads {}),
        Request::Show(ShowRequest::Logging {}),
        Request::Show(ShowRequest::Version { verbose: true }),
        Request::Show(ShowRequest::BridgeDomains { bd_id: Some(domain()), detail: true }),
        Request::Show(ShowRequest::L2Fib {
            bd_id: Some(domain()),
            kind: L2FibKind::Learn,
            verbose: true,
        }),
        Request::Bridge(BridgeRequest::Create(BridgeSettings {
            tag: "blue".parse().ok(),
            mac_age: 5,
            ..BridgeSettings::new(domain())
        })),
        Request::Bridge(BridgeRequest::Delete { bd_id: domain(), members: true }),
        bridge(BridgeChange::Learn(true)),
        bridge(BridgeChange::Forward(true)),
        bridge(BridgeChange::UuFlood(true)),
        bridge(BridgeChange::Flood(true)),
        bridge(BridgeChange::MacAge(5)),
        Request::L2Fib(L2FibRequest::Add {
            mac: mac(),
            bd_id: domain(),
            interface: Some(by_name("tap0")),
            static_mac: true,
        }),
        Request::L2Fib(L2FibRequest::Del { mac: mac(), bd_id: domain() }),
        Request::L2Fib(L2FibRequest::FlushDomain(domain())),
        Request::L2Fib(L2FibRequest::FlushInterface(by_name("tap0"))),
        Request::L2Fib(L2FibRequest::FlushAll {}),
        Request::L2Fib(L2FibRequest::Clear {}),
        Request::Clear(ClearRequest::Interfaces(both())),
        Request::Clear(ClearRequest::Errors {}),
    ]
}

#[test]
fn the_description_has_every_method_and_parameter_that_requests_have_and_no_other() {
    let idl = idl();
    assert_eq!(idl.name, "io.taptool");
    let mut seen: std::collections::BTreeMap<String, BTreeSet<String>> = Default::default();
    let mut changes = BTreeSet::new();
    for request in requests() {
        let call = serde_json::to_value(&request).unwrap();
        let method = call["method"].as_str().unwrap().strip_prefix("io.taptool.").unwrap();
        object(&idl, &call["parameters"], &idl.methods[method].input, method);
        seen.entry(method.to_owned()).or_default().extend(keys(&call["parameters"]));
        if let Some(change) = call["parameters"].get("change") {
            changes.extend(keys(change));
        }
        // It reads back as what it was; the file of a namespace travels beside it.
        let again: Request = serde_json::from_value(call.clone()).unwrap();
        assert_eq!(serde_json::to_value(&again).unwrap(), call);
    }
    // A stream, and no request.
    let methods = idl.methods.iter().filter(|(name, _)| **name != "Monitor");
    let described = methods.map(|(name, m)| ((*name).to_owned(), fields(&m.input)));
    assert_eq!(seen, described.collect());
    let change = idl.methods["Set"].input.elts.iter().find(|field| field.name == "change").unwrap();
    let VTypeExt::Plain(VType::Struct(change)) = &change.vtype else { panic!("not a struct") };
    assert_eq!(changes, fields(change));
}

#[test]
fn unknown_parameters_and_values_that_no_command_line_takes_are_refused() {
    for (method, parameters) in [
        ("Create", json!({ "kind": "tap", "no_such": 1 })),
        ("Create", json!({ "kind": "tup" })),
        ("Create", json!({ "kind": "tap", "name": "a/b" })),
        ("Create", json!({ "kind": "tap", "rx_ring_size": 100 })),
        ("Create", json!({ "kind": "tap", "num_rx_queues": 257 })),
        ("Create", json!({ "kind": "tap", "host_txqueuelen": 0 })),
        ("Create", json!({ "kind": "tap", "host_ip4_addr": ["10.0.0.1/33"] })),
        ("Create", json!({})),
        ("Show", json!({ "overview": [], "errors": {} })),
        ("Show", json!({ "no_such": {} })),
        ("Delete", json!({ "named": [{ "name": "x", "sw_if_index": 3 }] })),
        ("Gso", json!({ "interface": { "name": "tap0" } })),
    ] {
        let call = json!({ "method": format!("io.taptool.{method}"), "parameters": parameters });
        assert!(serde_json::from_value::<Request>(call.clone()).is_err(), "{call}");
    }
    // What types alone let through is refused by the check.
    for (key, value) in [
        ("respond", json!(["0.0.0.0/8"])),
        ("host_ip4_addr", json!(["10.0.0.1/0"])),
        ("owner", json!(u32::MAX)),
        ("host_ip4_gw", json!("10.0.0.2")),
    ] {
        let call = json!({ "method": "io.taptool.Create",
            "parameters": { "kind": "tap", key: value } });
        let request: Request = serde_json::from_value(call).unwrap();
        assert!(request.check().is_err(), "{key}");
    }
}

#[test]
fn absent_and_null_parameters_are_those_of_a_command_without_options() {
    let plain = CreateRequest::new(Kind::Tap, Default::default());
    let plain = serde_json::to_value(Request::Create(Box::new(plain))).unwrap();
    let mut nulls = serde_json::to_value(everything()).unwrap();
    for (key, value) in nulls.as_object_mut().unwrap() {
        if key != "kind" {
            *value = Value::Null;
        }
    }
    for parameters in [json!({ "kind": "tap" }), nulls] {
        let call = json!({ "method": "io.taptool.Create", "parameters": parameters });
        let request: Request = serde_json::from_value(call).unwrap();
        assert_eq!(serde_json::to_value(&request).unwrap(), plain);
    }
}

type Call = MethodCall<Value, Value, varlink::Error>;

#[test]
fn a_foreign_client_finds_the_description_and_every_answer_conforms_to_it() {
    live(|world| {
        world.netns("a");
        world.done("-q create tap0 --netns a --ip4 10.9.0.1/24 --respond 10.9.0.2/24");
        world.done("-q create tap1 --netns a");
        world.ping_answered("a", "10.9.0.2");
        world.done("set interface state tap1 down");
        world.ping_unanswered("a", "-I tap1 10.9.0.77");
        let address = format!("unix:{}", world.socket().display());
        let connection = Connection::with_address(&address).unwrap();
        let mut service = OrgVarlinkServiceClient::new(connection.clone());
        let info = service.get_info().unwrap();
        assert_eq!(info.product, "taptool");
        assert_eq!(info.version, env!("CARGO_PKG_VERSION"));
        assert!(info.interfaces.iter().any(|name| name == "io.taptool"));
        let described = service.get_interface_description("io.taptool").unwrap();
        assert_eq!(described.description.as_deref(), Some(DESCRIPTION));
        let itself = service.get_interface_description("org.varlink.service").unwrap();
        assert!(IDL::try_from(itself.description.unwrap().as_str()).is_ok());

        let idl = idl();
        let ask = |method: &'static str, parameters: Value| {
            Call::new(connection.clone(), format!("io.taptool.{method}"), parameters).call()
        };
        let answered = |method: &'static str, parameters: Value| {
            let answer = ask(method, parameters).unwrap();
            object(&idl, &answer, &idl.methods[method].output, method);
            answer
        };
        let tap = answered(
            "Show",
            json!({ "tap": { "kind": "tap", "interfaces": [{ "name": "tap0" }], "descriptors": true } }),
        );
        // Nothing that the description has is missing.
        let shown = &tap["interfaces"][0];
        let of = |name: &str| match &idl.typedefs[name].elt {
            VStructOrEnum::VStruct(of) => fields(of),
            VStructOrEnum::VEnum(_) => panic!("{name} is no struct"),
        };
        assert_eq!(keys(shown), of("Interface"));
        let (rx, tx) = (&shown["rx_queues"][0], &shown["tx_queues"][0]);
        assert_eq!(&keys(rx) | &keys(tx), of("Queue"));
        assert_eq!(keys(&rx["descriptors"][0]), of("RingEntry"));
        let errors = answered("Show", json!({ "errors": {} }));
        assert_eq!(keys(&errors["errors"][0]), of("ErrorRow"));
        answered("Show", json!({ "overview": [] }));
        for (view, parameters, list, kind) in [
            ("addresses", json!([]), "interfaces", "Interface"),
            ("rx_placement", json!([]), "interfaces", "Interface"),
            ("tx_placement", json!([]), "interfaces", "Interface"),
            ("features", json!([]), "interfaces", "Interface"),
            ("hardware", json!({ "detail": "verbose" }), "interfaces", "Interface"),
            ("mode", json!([{ "name": "tap0" }]), "interfaces", "Interface"),
            ("runtime", json!({}), "pollers", "Poller"),
            ("threads", json!({}), "threads", "Thread"),
            ("logging", json!({}), "events", "Event"),
            ("version", json!({ "verbose": true }), "versions", "Version"),
        ] {
            let answer = answered("Show", json!({ view: parameters }));
            assert_eq!(keys(&answer[list][0]), of(kind), "{view}");
            if view == "runtime" {
                assert_eq!(keys(&answer[list][0]["nodes"][0]), of("Node"));
            }
        }
        answered("Show", json!({ "interface": [{ "sw_if_index": 1 }] }));
        answered("Gso", json!({ "interface": { "name": "tap0" }, "on": true }));
        answered("Xconnect", json!({ "a": { "name": "tap0" }, "b": { "name": "tap1" } }));
        answered("Clear", json!({ "errors": {} }));
        let change = json!({ "add_address": "10.9.1.2/24" });
        answered("Set", json!({ "interface": { "name": "tap1" }, "change": change }));

        let refused = |method: &'static str, parameters: Value| {
            let error = ask(method, parameters).unwrap_err();
            match error.kind() {
                varlink::ErrorKind::VarlinkErrorReply(reply) => reply.clone(),
                varlink::ErrorKind::MethodNotFound(method) => {
                    varlink::Reply::error(format!("MethodNotFound {method}"), None)
                }
                varlink::ErrorKind::InvalidParameter(what) => {
                    varlink::Reply::error(format!("InvalidParameter {what}"), None)
                }
                other => varlink::Reply::error(format!("{other:?}"), None),
            }
        };
        let missing = refused("Delete", json!({ "named": [{ "name": "tap9" }] }));
        assert_eq!(missing.error.as_deref(), Some("io.taptool.NotFound"));
        let says = missing.parameters.unwrap();
        object(&idl, &says, &idl.errors["NotFound"].parm, "NotFound");
        assert_eq!(says["exit_code"], 3);
        let unknown = refused("Nonsense", json!({}));
        assert_eq!(unknown.error.as_deref(), Some("MethodNotFound io.taptool.Nonsense"));
        let wrong = refused("Gso", json!({ "interface": { "name": "tap0" } })).error.unwrap();
        assert!(wrong.starts_with("InvalidParameter"), "{wrong}");
        // A create without its namespace file changes nothing.
        let fileless = refused("Create", json!({ "kind": "tap" }));
        assert_eq!(fileless.error.as_deref(), Some("io.taptool.Usage"));

        // Events stream until the holder leaves.
        let listener = Connection::with_address(&address).unwrap();
        let mut events = Call::new(listener, "io.taptool.Monitor", json!({}));
        let events = events.more().unwrap();
        answered("Delete", json!({ "named": [{ "name": "tap1" }] }));
        let event = events.next().unwrap().unwrap();
        object(&idl, &event, &idl.methods["Monitor"].output, "Monitor");
        assert_eq!(event["events"][0]["name"], "tap1");
        let once = refused("Monitor", json!({}));
        assert_eq!(once.error.as_deref(), Some("org.varlink.service.ExpectedMore"));

        answered("Delete", json!({ "all": {} }));
        assert_eq!(events.next().unwrap().unwrap()["events"][0]["name"], "tap0");
        assert_eq!(events.next().unwrap().unwrap(), json!({}));
        assert!(events.next().is_none());
        drop(service);
        drop(connection);
        world.nothing_left();
    });
}

#[test]
fn what_the_command_line_refuses_is_refused_to_foreign_clients_too() {
    live(|world| {
        world.netns("a");
        world.done("-q create tap0 --netns a");
        let before = (world.links("a"), world.state());
        let connection =
            Connection::with_address(&format!("unix:{}", world.socket().display())).unwrap();
        let lacked = "not supported in this version";
        let bridged = "Please specify either host ip address or host bridge";
        let gateway = json!({ "host_ip4_addr": ["10.9.0.1/24"], "host_ip4_gw": "10.9.0.2",
            "host_down": true });
        for (options, on, cause) in [
            (
                json!({ "kind": "tun", "host_bridge": "br0" }),
                "host-bridge br0",
                "a tun has no Ethernet header and cannot be a bridge port",
            ),
            (
                json!({ "kind": "tun", "mac_addr": "02:fe:00:00:00:01" }),
                "hw-addr 02:fe:00:00:00:01",
                "a tun has no Ethernet address",
            ),
            (json!({ "gso": true, "gro_coalesce": true }), "gro-coalesce", lacked),
            (json!({ "attach": true }), "", "host_if_name is not provided"),
            (json!({ "packed": true }), "packed", lacked),
            (json!({ "in_order": true }), "in-order", lacked),
            (json!({ "packed": true, "in_order": true }), "packed, in-order", lacked),
            (gateway, "host-down", "a gateway needs the host side up"),
            (json!({ "host_bridge": "br0", "host_ip4_addr": ["10.9.0.1/24"] }), "", bridged),
        ] {
            let mut parameters = json!({ "kind": "tap" });
            parameters.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
            let asked = parameters.to_string();
            let error = Call::new(connection.clone(), "io.taptool.Create", parameters).call();
            let varlink::ErrorKind::VarlinkErrorReply(reply) = error.unwrap_err().kind().clone()
            else {
                panic!("{asked}: no error of taptool's")
            };
            assert_eq!(reply.error.as_deref(), Some("io.taptool.Usage"), "{asked}");
            let says = reply.parameters.unwrap();
            assert_eq!((says["on"].as_str(), says["cause"].as_str()), (Some(on), Some(cause)));
        }
        assert_eq!(world.links("a"), before.0);
        world.state().assert_same_as(&before.1, "after refused creates");
        drop(connection);
        world.done("delete tap0");
        world.nothing_left();
    });
}
