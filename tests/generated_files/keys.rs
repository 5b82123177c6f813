//! Keys of JSON and what they mean: from the sources, so that each is said once.

use std::fs;

use taptool::counters::{COUNTERS, DROP_REASONS, Sides, Unit};

/// A key of a JSON object.
pub struct Key {
    pub name: String,
    pub kind: String,
    pub sentence: String,
}

/// The public fields of a structure in a file of `src`, by their documentation.
fn fields(file: &str, structure: &str) -> Vec<Key> {
    let text = fs::read_to_string(super::root().join("src").join(file)).unwrap();
    let begin = format!("\npub struct {structure} {{\n");
    let from = text.find(&begin).unwrap_or_else(|| panic!("{file} has no {structure}"));
    let body = &text[from + begin.len()..];
    let body = &body[..body.find("\n}").unwrap()];
    let (mut keys, mut sentence) = (Vec::new(), String::new());
    for line in body.lines().map(str::trim) {
        if let Some(doc) = line.strip_prefix("///") {
            sentence.push_str(doc);
        } else if let Some(field) = line.strip_prefix("pub ") {
            let (name, kind) = field.trim_end_matches(',').split_once(": ").unwrap();
            let name = if name == "role" { "type" } else { name };
            // `kick_fd' is `kickfd' where its serializer says so.
            let short = name.replace('_', "");
            let name = if text.contains(&format!("\"{short}\"")) { &short } else { name };
            let sentence = std::mem::take(&mut sentence).trim().replace("[`", "").replace("`]", "");
            keys.push(Key {
                name: name.to_owned(),
                kind: kind_of(kind),
                sentence: quotes(&sentence),
            });
        }
    }
    keys
}

/// Markdown's quotes as ours.
fn quotes(text: &str) -> String {
    let mut open = false;
    let turned = text.chars().map(|c| match c {
        '`' => {
            open = !open;
            if open { '`' } else { '\'' }
        }
        other => other,
    });
    turned.collect()
}

/// A Rust type as JSON shows it.
fn kind_of(kind: &str) -> String {
    if let Some(inner) = kind.strip_prefix("Option<") {
        return format!("{} or null", kind_of(inner.strip_suffix('>').unwrap()));
    }
    if let Some(inner) = kind.strip_prefix("Vec<") {
        let inner = inner.strip_suffix('>').unwrap();
        return match inner {
            "Queue" | "RingEntry" | "NodeRow" | "BridgeMember" | "SubInterface" => {
                "array of objects".into()
            }
            other => format!("array of {}s", kind_of(other)),
        };
    }
    match kind {
        "bool" => "boolean",
        "u8" | "BridgeDomainId" | "Mtu" | "u16" | "u32" | "u64" | "i32" | "InterfaceId"
        | "SwIfIndex" | "QueueIndex" | "RingSize" | "PollerIndex" => "number",
        "String" | "&'static str" | "Cow<'static, str>" | "IfName" | "Kind" | "BackendKind"
        | "State" | "Action" | "IpNet" | "MacAddr" | "Tag" | "RxMode" | "QueueState"
        | "Direction" | "Level" | "Delay" | "Share" | "BitRate" => "string",
        "CreateRequest" | "Impairment" => "object",
        "QueueSnapshot" => "",
        other => panic!("how does JSON show a {other}?"),
    }
    .into()
}

/// Keys of an interface.
pub fn interface() -> Vec<Key> {
    fields("api/interface.rs", "Interface")
}

/// Keys of a queue beside its counters.
pub fn queue() -> Vec<Key> {
    let mut keys = fields("api/queue.rs", "Queue");
    keys.retain(|key| key.name != "counters");
    let drops = Key {
        name: "drops".into(),
        kind: "object".into(),
        sentence: "Lost frames by reason; reasons that lost none are left out.".into(),
    };
    keys.push(drops);
    keys
}

/// What the objects of other commands have.
pub fn others() -> Vec<(&'static str, Vec<Key>)> {
    let rate = |name: &str, kind: &str, sentence: &str| Key {
        name: name.into(),
        kind: kind.into(),
        sentence: sentence.into(),
    };
    let rates = vec![
        rate("name", "string", "The interface."),
        rate("direction", "string", "`rx' or `tx'."),
        rate("queue", "number", "The queue."),
        rate("packets_per_second", "number", "Of `packets', since the last look."),
        rate("bytes_per_second", "number", "Of `bytes'."),
        rate("drops_per_second", "number", "Of all drops."),
        rate(
            "host_tx_dropped_per_second",
            "number",
            "Of `host_tx_dropped'; of the interface, so each of its queues says the same.",
        ),
    ];
    vec![
        ("show ... --rates", rates),
        ("show errors", fields("api/show.rs", "ErrorRow")),
        ("show bridge-domain", fields("api/bridge.rs", "BridgeDomain")),
        ("show bridge-domain: members", fields("api/bridge.rs", "BridgeMember")),
        ("show interface: sub_interfaces", fields("api/sub_interface.rs", "SubInterface")),
        ("show l2fib", fields("api/bridge.rs", "L2FibEntry")),
        ("show runtime", fields("api/process.rs", "PollerRow")),
        ("show runtime: nodes", fields("api/process.rs", "NodeRow")),
        ("show nsim", fields("api/nsim.rs", "Nsim")),
        ("show threads", fields("api/process.rs", "ThreadRow")),
        ("show logging, monitor", fields("api/process.rs", "LogRow")),
        ("show version", fields("api/process.rs", "Version")),
    ]
}

const fn sides(sides: Sides) -> &'static str {
    match sides {
        Sides::Rx => "rx",
        Sides::Tx => "tx",
        Sides::Both => "rx, tx",
    }
}

fn sentence(text: &str) -> String {
    let (word, _) = text.split_once(' ').unwrap();
    // The names of fields stay as they are.
    if word.contains('_') || word == "idx" {
        return format!("{text}.");
    }
    let (first, rest) = text.split_at(1);
    format!("{}{rest}.", first.to_uppercase())
}

/// The counters of a queue.
pub fn counters() -> Vec<Key> {
    let rows = COUNTERS.iter().filter(|row| row.name != "broken_reason");
    rows.map(|row| {
        let unit = match row.unit {
            Unit::Frames => "frames",
            Unit::Bytes => "bytes",
            Unit::Events => "events",
            Unit::Gauge => "now",
        };
        let kind = format!("{}; {unit}", sides(row.sides));
        Key { name: row.name.into(), kind, sentence: sentence(row.sentence) }
    })
    .collect()
}

/// Why a frame was lost.
pub fn drops() -> Vec<Key> {
    let rows = DROP_REASONS.iter().map(|row| {
        let kind = match (row.sides, row.after_enqueue) {
            (Sides::Tx, true) => "tx, after the ring",
            (Sides::Tx, false) => "tx, before the ring",
            (other, _) => sides(other),
        };
        Key { name: row.name.into(), kind: kind.into(), sentence: sentence(row.sentence) }
    });
    rows.collect()
}
