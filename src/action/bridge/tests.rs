use super::*;
use crate::action::{HeldKey, Output, Tables};
use crate::units::Kind;

const DOMAIN: DomainKey = DomainKey { slot: 1, generation: 1 };

const fn peer(slot: u32) -> PeerKey {
    PeerKey { slot, generation: 1 }
}

/// What becomes of a frame.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    To(Vec<u32>),
    Lost(DropReason),
}

/// A domain of members, each with its group.
struct Bridged {
    tables: Tables,
    groups: Vec<u8>,
    now_ns: u64,
}

impl Bridged {
    fn new(groups: &[u8], settings: Settings) -> Self {
        let mut tables = Tables::default();
        let members: Vec<_> =
            (0..).zip(groups).map(|(i, group)| Member { peer: peer(i), group: *group }).collect();
        tables.domain_or_new(DOMAIN).set(settings, &members);
        Self { tables, groups: groups.to_vec(), now_ns: 0 }
    }

    /// A frame from `source` for `destination` comes to member `own`.
    fn receive(&mut self, own: u32, source: [u8; 6], destination: [u8; 6]) -> Fate {
        let mut frame = [0; 60];
        frame[..6].copy_from_slice(&destination);
        frame[6..12].copy_from_slice(&source);
        let bridge = Bridge { domain: DOMAIN, group: self.groups[own as usize] };
        let mut output = Output::new();
        let mut context = Context {
            own: peer(own),
            kind: Kind::Tap,
            now_ns: self.now_ns,
            next_held: HeldKey(0),
            tables: &mut self.tables,
            output: &mut output,
        };
        match bridge.visit(&mut context, &frame[..]) {
            Verdict::Forward(to) => Fate::To(vec![to.slot]),
            Verdict::Flood => Fate::To(output.peers().iter().map(|peer| peer.slot).collect()),
            Verdict::Drop(reason) => Fate::Lost(reason),
            other => panic!("{other:?}"),
        }
    }

    fn known(&mut self) -> usize {
        let now = self.now_ns;
        self.tables.domain(DOMAIN).unwrap().macs(now).count()
    }
}

const fn mac(last: u8) -> [u8; 6] {
    [2, 0, 0, 0, 0, last]
}

const ALL: [u8; 6] = [0xff; 6];

#[test]
fn frames_for_groups_and_unknown_macs_go_to_all_others_and_for_a_known_one_to_its_member() {
    let mut bridged = Bridged::new(&[0; 4], Settings::default());
    assert_eq!(bridged.receive(0, mac(1), ALL), Fate::To(vec![1, 2, 3]));
    assert_eq!(bridged.receive(0, mac(1), [1, 0, 0x5e, 0, 0, 1]), Fate::To(vec![1, 2, 3]));
    assert_eq!(bridged.receive(1, mac(2), mac(3)), Fate::To(vec![0, 2, 3]));
    assert_eq!(bridged.receive(1, mac(2), mac(1)), Fate::To(vec![0]));
    // It moved.
    assert_eq!(bridged.receive(3, mac(1), mac(2)), Fate::To(vec![1]));
    assert_eq!(bridged.receive(1, mac(2), mac(1)), Fate::To(vec![3]));
}

#[test]
fn a_group_or_zero_is_no_source_that_is_learned() {
    let mut bridged = Bridged::new(&[0; 2], Settings::default());
    for source in [ALL, [1, 0, 0, 0, 0, 1], [0; 6]] {
        assert_eq!(bridged.receive(0, source, mac(9)), Fate::To(vec![1]));
    }
    assert_eq!(bridged.known(), 0);
}

#[test]
fn a_frame_for_a_mac_behind_the_interface_that_it_came_from_is_lost_as_reflection() {
    let mut bridged = Bridged::new(&[0; 3], Settings::default());
    bridged.receive(0, mac(1), ALL);
    assert_eq!(bridged.receive(0, mac(2), mac(1)), Fate::Lost(DropReason::Reflection));
}

#[test]
fn an_interface_that_is_no_member_teaches_a_domain_nothing_and_reaches_no_other() {
    let mut bridged = Bridged::new(&[0; 2], Settings::default());
    bridged.groups.push(0);
    assert_eq!(bridged.receive(2, mac(1), ALL), Fate::Lost(DropReason::NoMember));
    assert_eq!(bridged.known(), 0);
}

#[test]
fn members_of_one_split_horizon_group_do_not_reach_each_other_and_those_of_none_do() {
    let mut bridged = Bridged::new(&[1, 1, 2, 0, 0], Settings::default());
    assert_eq!(bridged.receive(0, mac(1), ALL), Fate::To(vec![2, 3, 4]));
    assert_eq!(bridged.receive(3, mac(4), ALL), Fate::To(vec![0, 1, 2, 4]));
    assert_eq!(bridged.receive(1, mac(2), mac(1)), Fate::Lost(DropReason::Reflection));
    assert_eq!(bridged.receive(2, mac(3), mac(1)), Fate::To(vec![0]));
    let mut alone = Bridged::new(&[1, 1], Settings::default());
    assert_eq!(alone.receive(0, mac(1), ALL), Fate::Lost(DropReason::NoMember));
}

#[test]
fn what_a_domain_is_set_not_to_do_is_lost_as_refused_or_not_learned() {
    let off = |change: fn(&mut Settings)| {
        let mut settings = Settings::default();
        change(&mut settings);
        let mut bridged = Bridged::new(&[0; 3], settings);
        bridged.receive(0, mac(1), ALL);
        [ALL, mac(9), mac(1)].map(|to| bridged.receive(1, mac(2), to))
    };
    let (refused, others) = (|| Fate::Lost(DropReason::BridgeRefused), || Fate::To(vec![0, 2]));
    let known = || Fate::To(vec![0]);
    assert_eq!(off(|s| s.learn = false), [others(), others(), others()]);
    assert_eq!(off(|s| s.forward = false), [others(), others(), refused()]);
    assert_eq!(off(|s| s.flood = false), [refused(), others(), known()]);
    assert_eq!(off(|s| s.unknown_flood = false), [others(), refused(), known()]);
}

#[test]
fn a_mac_is_forgotten_when_no_frame_came_from_it_for_the_ageing_time() {
    let mut bridged = Bridged::new(&[0; 3], Settings { age_ns: 100, ..Settings::default() });
    bridged.receive(0, mac(1), ALL);
    bridged.now_ns = 60;
    bridged.receive(0, mac(1), ALL);
    bridged.now_ns = 159;
    assert_eq!(bridged.receive(1, mac(2), mac(1)), Fate::To(vec![0]));
    bridged.now_ns = 160;
    assert_eq!(bridged.receive(1, mac(2), mac(1)), Fate::To(vec![0, 2]));
    assert_eq!(bridged.known(), 1);
}

#[test]
fn a_full_table_learns_nothing_new_until_what_is_old_makes_room() {
    let age_ns = 10 * SWEEP_NS;
    let mut bridged = Bridged::new(&[0; 3], Settings { age_ns, ..Settings::default() });
    for n in 0..=u32::try_from(MACS_MAX).unwrap() {
        let [_, a, b, c] = n.to_be_bytes();
        bridged.receive(0, [2, 0, 0, a, b, c], ALL);
    }
    assert_eq!(bridged.known(), MACS_MAX);
    bridged.now_ns = age_ns;
    bridged.receive(1, [4, 0, 0, 0, 0, 1], ALL);
    assert_eq!(bridged.known(), 1);
    assert_eq!(bridged.receive(2, mac(2), [4, 0, 0, 0, 0, 1]), Fate::To(vec![1]));
}

#[test]
fn a_frame_without_both_macs_is_short() {
    let mut tables = Tables::default();
    tables.domain_or_new(DOMAIN);
    let mut output = Output::new();
    let mut context = Context {
        own: peer(0),
        kind: Kind::Tap,
        now_ns: 0,
        next_held: HeldKey(0),
        tables: &mut tables,
        output: &mut output,
    };
    let verdict = Bridge { domain: DOMAIN, group: 0 }.visit(&mut context, &[0; 11][..]);
    assert_eq!(verdict, Verdict::Drop(DropReason::ShortFrame));
}

/// The MACs that the other pollers are to be told of, and no more from then on.
fn told(bridged: &mut Bridged) -> Vec<u8> {
    let news = bridged.tables.news().iter().map(|news| news.mac[5]).collect();
    bridged.tables.forget_news();
    news
}

#[test]
fn other_pollers_are_told_of_what_is_new_has_moved_or_is_there_after_a_quarter_of_its_age() {
    let mut bridged = Bridged::new(&[0; 3], Settings { age_ns: 100, ..Settings::default() });
    bridged.receive(0, mac(1), ALL);
    assert_eq!(told(&mut bridged), [0; 0]);
    let members: Vec<_> = (0..3).map(|i| Member { peer: peer(i), group: 0 }).collect();
    bridged.tables = Tables::new(true);
    let settings = Settings { age_ns: 100, ..Settings::default() };
    bridged.tables.domain_or_new(DOMAIN).set(settings, &members);
    bridged.receive(0, mac(1), ALL);
    bridged.receive(0, mac(1), ALL);
    assert_eq!(told(&mut bridged), [1]);
    bridged.now_ns = 24;
    bridged.receive(0, mac(1), ALL);
    assert_eq!(told(&mut bridged), [0; 0]);
    bridged.now_ns = 25;
    bridged.receive(0, mac(1), ALL);
    assert_eq!(told(&mut bridged), [1]);
    bridged.receive(2, mac(1), ALL);
    assert_eq!(told(&mut bridged), [1]);
}

#[test]
fn what_another_poller_has_learned_is_known_here_but_for_what_a_command_says_otherwise() {
    let mut bridged = Bridged::new(&[0; 3], Settings::default());
    let domain = bridged.tables.domain(DOMAIN).unwrap();
    domain.give(mac(2), Some(Entry::given(Some(peer(1)), Origin::Static)));
    domain.give(mac(3), Some(Entry::given(None, Origin::Static)));
    for last in 1..=3 {
        domain.hear(mac(last), peer(2), 0);
    }
    // An interface that is no member.
    domain.hear(mac(4), peer(9), 0);
    assert_eq!(bridged.receive(0, mac(7), mac(1)), Fate::To(vec![2]));
    assert_eq!(bridged.receive(0, mac(7), mac(2)), Fate::To(vec![1]));
    assert_eq!(bridged.receive(0, mac(7), mac(3)), Fate::Lost(DropReason::MacFiltered));
    assert_eq!(bridged.receive(0, mac(7), mac(4)), Fate::To(vec![1, 2]));
    // From a filtered source, and from a static one behind another member.
    assert_eq!(bridged.receive(0, mac(3), ALL), Fate::Lost(DropReason::MacFiltered));
    assert_eq!(bridged.receive(0, mac(2), ALL), Fate::Lost(DropReason::MacMoved));
    assert_eq!(bridged.receive(1, mac(2), mac(7)), Fate::To(vec![0]));
}

#[test]
fn an_added_mac_does_not_age_moves_with_its_frames_and_outlives_a_flush() {
    let mut bridged = Bridged::new(&[0; 3], Settings { age_ns: 100, ..Settings::default() });
    let domain = bridged.tables.domain(DOMAIN).unwrap();
    domain.give(mac(1), Some(Entry::given(Some(peer(1)), Origin::Added)));
    bridged.now_ns = 1000;
    bridged.tables.domain(DOMAIN).unwrap().flush(None);
    assert_eq!(bridged.receive(0, mac(7), mac(1)), Fate::To(vec![1]));
    bridged.receive(2, mac(1), ALL);
    assert_eq!(bridged.receive(0, mac(7), mac(1)), Fate::To(vec![2]));
    bridged.tables.domain(DOMAIN).unwrap().flush(Some(peer(2)));
    assert_eq!(bridged.receive(0, mac(7), mac(1)), Fate::To(vec![1, 2]));
    assert_eq!(bridged.known(), 1);
}
