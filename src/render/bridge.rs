//! `show bridge-domain` and `show l2fib` in VPP's layouts.

use super::escape;
use super::pad::{centred, trimmed};
use crate::api::{BridgeDomain, L2FibEntry};

/// Most MACs of a domain, as `show l2fib` says it.
const LEARN_LIMIT: usize = crate::units::MACS_MAX;

/// `show bridge-domain`.
pub(super) fn domains(all: &[BridgeDomain], detail: bool) -> String {
    if all.is_empty() {
        return "no bridge-domains in use\n".into();
    }
    let row = |cells: [&str; 10]| {
        let widths = [8, 7, 4, 9, 9, 9, 11, 9, 9, 11];
        cells.iter().zip(widths).map(|(cell, w)| centred(cell, w)).collect::<Vec<_>>().join(" ")
    };
    let mut lines = vec![row([
        "BD-ID", "Index", "BSN", "Age(min)", "Learning", "U-Forwrd", "UU-Flood", "Flooding",
        "ARP-Term", "BVI-Intf",
    ])];
    let on = |on| if on { "on" } else { "off" };
    for domain in all {
        let id = domain.bd_id.to_string();
        let age = match domain.mac_age {
            0 => "off".to_owned(),
            minutes => minutes.to_string(),
        };
        lines.push(row([
            &id,
            &id,
            &domain.flushes.to_string(),
            &age,
            on(domain.learn),
            on(domain.forward),
            if domain.uu_flood { "flood" } else { "drop" },
            on(domain.flood),
            "off",
            "N/A",
        ]));
        if detail {
            members(domain, &mut lines);
        }
    }
    trimmed(lines)
}

fn members(domain: &BridgeDomain, lines: &mut Vec<String>) {
    let row = |cells: [&str; 7]| -> String {
        let widths = [30, 7, 5, 5, 5, 9, 30];
        cells.iter().zip(widths).map(|(cell, w)| centred(cell, w)).collect()
    };
    if !domain.members.is_empty() {
        lines.push(String::new());
        let heads = ["Interface", "If-idx", "ISN", "SHG", "BVI", "TxFlood", "VLAN-Tag-Rewrite"];
        lines.push(row(heads));
    }
    for member in &domain.members {
        let (index, shg) = (member.sw_if_index.to_string(), member.shg.to_string());
        lines.push(row([member.name.as_str(), &index, "0", &shg, "-", "*", &member.tag_rewrite]));
    }
    if let Some(tag) = &domain.tag {
        lines.extend([String::new(), format!("  BD-Tag: {}", escape(tag.as_str()))]);
    }
}

/// `show l2fib`.
pub(super) fn l2fib(all: &[L2FibEntry], verbose: bool) -> String {
    if all.is_empty() {
        return "no l2fib entries\n".into();
    }
    let row = |cells: [&str; 9]| -> String {
        let widths = [19, 7, 7, 8, 9, 7, 7, 5, 30];
        cells.iter().zip(widths).map(|(cell, w)| centred(cell, w)).collect()
    };
    let mut lines = Vec::new();
    if verbose {
        lines.push(row([
            "Mac-Address",
            "BD-Idx",
            "If-Idx",
            "BSN-ISN",
            "Age(min)",
            "static",
            "filter",
            "bvi",
            "Interface-Name",
        ]));
    }
    let mark = |on| if on { "*" } else { "-" };
    for entry in all.iter().filter(|_| verbose) {
        let age = match (entry.age_seconds, entry.mac_age) {
            (None, _) => "no".to_owned(),
            (Some(_), 0) => "-".to_owned(),
            (Some(seconds), _) => (seconds / 60).to_string(),
        };
        lines.push(row([
            &entry.mac.to_string(),
            &entry.bd_id.to_string(),
            &entry.sw_if_index.map_or_else(|| "-1".to_owned(), |index| index.to_string()),
            "0/0",
            &age,
            mark(entry.static_mac),
            mark(entry.filter_mac),
            "-",
            entry.name.as_ref().map_or("N/A", |name| name.as_str()),
        ]));
    }
    let learned = all.iter().filter(|entry| entry.learned).count();
    lines.push(format!(
        "L2FIB total/learned entries: {}/{learned}  Learn limit: {LEARN_LIMIT}",
        all.len()
    ));
    trimmed(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::BridgeMember;

    fn domain() -> BridgeDomain {
        let member = |name: &str, index, shg| BridgeMember {
            name: name.parse().unwrap(),
            sw_if_index: crate::units::SwIfIndex(index),
            shg,
            tag_rewrite: "none".into(),
        };
        BridgeDomain {
            bd_id: "7".parse().unwrap(),
            flushes: 2,
            learn: true,
            forward: true,
            uu_flood: false,
            flood: true,
            mac_age: 5,
            tag: "blue".parse().ok(),
            members: vec![member("tap0", 1, 0), member("tap1", 2, 3)],
        }
    }

    /// The cells of each line, for their places are those of `centred`.
    fn cells(text: &str) -> Vec<Vec<&str>> {
        text.lines().map(|line| line.split_whitespace().collect()).collect()
    }

    #[test]
    fn a_domain_has_vpps_row_and_in_detail_one_for_each_member_and_its_tag() {
        let text = domains(&[domain()], false);
        let head = "  BD-ID   Index   BSN  Age(min)  Learning  U-Forwrd   UU-Flood   Flooding  \
                    ARP-Term   BVI-Intf";
        let row = "    7       7      2      5         on        on        drop        on       off  \
                   \u{20}     N/A";
        assert_eq!(text, format!("{head}\n{row}\n"));
        let text = domains(&[domain()], true);
        let all = cells(&text);
        assert_eq!(all[3][..3], ["Interface", "If-idx", "ISN"]);
        assert_eq!(all[4], ["tap0", "1", "0", "0", "-", "*", "none"]);
        assert_eq!(all[5], ["tap1", "2", "0", "3", "-", "*", "none"]);
        assert!(text.ends_with("\n\n  BD-Tag: blue\n"), "{text}");
        assert_eq!(domains(&[], true), "no bridge-domains in use\n");
    }

    #[test]
    fn macs_are_counted_and_with_verbose_listed_each_with_its_age_and_marks() {
        let learned = L2FibEntry {
            mac: "02:fe:00:00:00:01".parse().unwrap(),
            bd_id: "7".parse().unwrap(),
            name: "tap0".parse().ok(),
            sw_if_index: Some(crate::units::SwIfIndex(1)),
            learned: true,
            static_mac: false,
            filter_mac: false,
            age_seconds: Some(125),
            mac_age: 5,
        };
        let filter = L2FibEntry {
            mac: "02:fe:00:00:00:02".parse().unwrap(),
            name: None,
            sw_if_index: None,
            learned: false,
            static_mac: true,
            filter_mac: true,
            age_seconds: None,
            ..learned.clone()
        };
        let forever = L2FibEntry { mac_age: 0, ..learned.clone() };
        let total = "L2FIB total/learned entries: 3/2  Learn limit: 65536\n";
        let all = [learned, filter, forever];
        assert_eq!(l2fib(&all, false), total);
        let text = l2fib(&all, true);
        let rows = cells(&text);
        assert_eq!(rows[0][..2], ["Mac-Address", "BD-Idx"]);
        assert_eq!(rows[1], ["02:fe:00:00:00:01", "7", "1", "0/0", "2", "-", "-", "-", "tap0"]);
        assert_eq!(rows[2], ["02:fe:00:00:00:02", "7", "-1", "0/0", "no", "*", "*", "-", "N/A"]);
        assert_eq!(rows[3][4], "-");
        assert!(text.ends_with(total));
        assert_eq!(l2fib(&[], true), "no l2fib entries\n");
    }
}
