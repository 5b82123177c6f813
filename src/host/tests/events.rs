//! What the watch hears, and that listening keeps nothing alive.

use super::*;
use crate::host::facts::{Absent, is_gone};
use crate::host::watch::{Watch, WatchEvent};

/// Runs `test` with a watch.
pub(super) fn with_watch(staging: &StagingNamespace, test: impl AsyncFnOnce(&mut Watch)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { test(&mut Watch::new(staging).unwrap()).await });
}

pub(super) fn number(staging: &StagingNamespace, namespace: &OwnedFd) -> i32 {
    nsid_of(staging, namespace.as_fd()).unwrap()
}

pub(super) async fn hear(watch: &mut Watch, wanted: WatchEvent) {
    let search = async { while watch.next().await.unwrap() != wanted {} };
    let heard = tokio::time::timeout(PATIENCE, search).await;
    heard.unwrap_or_else(|_| panic!("not heard within {PATIENCE:?}: {wanted:?}"));
}

/// What somebody else does meanwhile, on a thread of its own, as sessions block.
async fn meanwhile(work: impl FnOnce() + Send) {
    thread::scope(|scope| scope.spawn(work).join().unwrap());
}

#[test]
fn the_watch_hears_rename_up_down_address_and_move_in_the_target() {
    if !live() {
        return;
    }
    let (staging, target, elsewhere) =
        (StagingNamespace::new().unwrap(), new_namespace(), new_namespace());
    let numbers = [number(&staging, &target), number(&staging, &elsewhere)];
    with_watch(&staging, async |watch| {
        let nsid = Some(numbers[0]);
        let mut made = None;
        meanwhile(|| made = Some(create(&staging, &target, &exact("tap0")))).await;
        let tap = made.unwrap();
        let ifindex = tap.ifindex();
        hear(watch, WatchEvent::Link { nsid, ifindex }).await;
        type Change = fn(&Session, u32);
        let changes: [Change; 3] = [
            |s, i| s.rename(i, &name("new0")).unwrap(),
            |s, i| s.set_up(i, true).unwrap(),
            |s, i| s.set_up(i, false).unwrap(),
        ];
        for change in changes {
            // Nothing old may stand in for the event.
            drain(watch).await;
            meanwhile(|| change(&session(&target), ifindex)).await;
            hear(watch, WatchEvent::Link { nsid, ifindex }).await;
        }
        for address in ["10.9.0.1/24", "2001:db8::1/64"] {
            drain(watch).await;
            let address = address.parse().unwrap();
            meanwhile(|| session(&target).add_address(ifindex, address).unwrap()).await;
            hear(watch, WatchEvent::Address { nsid, ifindex }).await;
        }
        drain(watch).await;
        meanwhile(|| session(&target).set_netns(ifindex, elsewhere.as_fd()).unwrap()).await;
        hear(watch, WatchEvent::Link { nsid, ifindex }).await;
        let mut there = 0;
        meanwhile(|| there = facts(first(&tap)).unwrap().ifindex).await;
        hear(watch, WatchEvent::Link { nsid: Some(numbers[1]), ifindex: there }).await;
    });
}

async fn drain(watch: &mut Watch) {
    while tokio::time::timeout(Duration::ZERO, watch.next()).await.is_ok() {}
}

#[test]
fn the_watch_hears_the_holders_own_namespace() {
    if !live() {
        return;
    }
    let staging = StagingNamespace::new().unwrap();
    let (own, _) = namespace::own().unwrap();
    let nsid = number(&staging, &own);
    with_watch(&staging, async |watch| {
        let mut made = None;
        let called = format!("tt{}b", std::process::id());
        meanwhile(|| made = Some(open(&staging, own.as_fd(), &exact(&called)).unwrap())).await;
        let ifindex = made.as_ref().unwrap().ifindex();
        hear(watch, WatchEvent::Link { nsid: Some(nsid), ifindex }).await;
    });
}

#[test]
fn a_namespace_is_freed_with_its_last_outside_reference_though_tap_watch_and_number_are_held() {
    if !live() {
        return;
    }
    let (staging, target) = (StagingNamespace::new().unwrap(), new_namespace());
    let nsid = number(&staging, &target);
    with_watch(&staging, async |watch| {
        let mut made = None;
        meanwhile(|| {
            let tap = create(&staging, &target, &TapSpec { queues: 2, ..exact("tap0") });
            session(&target).add_address(tap.ifindex(), "10.9.0.1/24".parse().unwrap()).unwrap();
            facts(first(&tap)).unwrap();
            made = Some(tap);
        })
        .await;
        let tap = made.unwrap();
        meanwhile(|| assert_eq!(number(&staging, &target), nsid, "the number stays")).await;
        drop(target);
        hear(watch, WatchEvent::NamespaceGone { nsid }).await;
        eventually("the tap knows", || is_gone(first(&tap)).unwrap());
        meanwhile(|| assert_eq!(facts(first(&tap)), Err(Absent::Gone))).await;
    });
}

#[test]
fn a_full_socket_is_reported_as_an_overrun() {
    if !live() {
        return;
    }
    let (staging, target) = (StagingNamespace::new().unwrap(), new_namespace());
    let nsid = number(&staging, &target);
    with_watch(&staging, async |watch| {
        watch.shrink();
        meanwhile(|| {
            let there = session(&target);
            for _ in 0..100 {
                there.set_up(1, true).unwrap();
                there.set_up(1, false).unwrap();
            }
        })
        .await;
        hear(watch, WatchEvent::Overrun).await;
        drain(watch).await;
        meanwhile(|| session(&target).set_up(1, true).unwrap()).await;
        hear(watch, WatchEvent::Link { nsid: Some(nsid), ifindex: 1 }).await;
    });
}
