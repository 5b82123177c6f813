//! The holders of several users beside each other.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use serde_json::Value;

use crate::common::{self, Process, World, eventually, live, text};

/// Code, standard output and standard error.
type Ran = (i32, String, String);

fn ran(world: &World, line: &str) -> Ran {
    let out = world.start(line).output(20.0);
    (out.status.code().unwrap_or(-1), text(&out.stdout), text(&out.stderr))
}

/// A file system of this world alone.
fn empty(at: &str) {
    let (none, flags) = (Some("none"), MsFlags::empty());
    mount(none, at, Some("tmpfs"), flags, Some("mode=0755")).unwrap();
}

/// `/dev/net/tun` with this mode, and a copy of the program that everybody finds.
pub fn ground(world: &World, tun: u32) -> PathBuf {
    empty("/dev/net");
    let node = Path::new("/dev/net/tun");
    mknod(node, SFlag::S_IFCHR, Mode::empty(), makedev(10, 200)).unwrap();
    fs::set_permissions(node, fs::Permissions::from_mode(tun)).unwrap();
    fs::set_permissions(world.dir(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = world.dir().join("taptool");
    fs::copy(common::taptool(), &program).unwrap();
    program
}

/// A directory of a user alone.
fn private(path: &Path, uid: u32) {
    fs::create_dir(path).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
    chown(path, Some(uid), Some(uid)).unwrap();
}

/// An ordinary user.
pub struct User<'w> {
    world: &'w World,
    uid: u32,
    pub home: PathBuf,
    /// The program with its variables.
    taptool: String,
}

impl<'w> User<'w> {
    /// With a home, and `XDG_RUNTIME_DIR` where `runtime` says so.
    pub fn new(world: &'w World, program: &Path, uid: u32, runtime: Option<&Path>) -> Self {
        let home = world.dir().join(format!("home{uid}"));
        private(&home, uid);
        let runtime = runtime.map(|dir| format!("XDG_RUNTIME_DIR={}", dir.display()));
        let taptool = format!(
            "env -u TAPTOOL_SOCKET -u XDG_RUNTIME_DIR -u XDG_STATE_HOME HOME={} {} {}",
            home.display(),
            runtime.unwrap_or_default(),
            program.display()
        );
        Self { world, uid, home, taptool }
    }

    /// `line` as this user, who has no capability.
    pub fn line(&self, line: &str) -> String {
        let uid = self.uid;
        format!("setpriv --reuid {uid} --regid {uid} --clear-groups {line}")
    }

    /// `taptool ARGS`.
    fn run(&self, args: &str) -> Ran {
        ran(self.world, &self.line(&format!("{} {args}", self.taptool)))
    }

    /// As [`User::line`], with these capabilities (setpriv(1)).
    fn line_with(&self, capabilities: &str, line: &str) -> String {
        let caps = format!("setpriv --inh-caps {capabilities} --ambient-caps {capabilities}");
        self.line(line).replacen("setpriv", &caps, 1)
    }

    /// Takes this user to where it may make taps.
    pub fn able(&self) -> Able<'_> {
        let allowed = self.world.start(&self.line("unshare -Urn true")).output(10.0).status;
        if !allowed.success() {
            return Able { user: self, process: self.world.unnamed_netns(), unshared: false };
        }
        let process = self.world.start(&self.line("unshare -Urn sleep 1000"));
        let map = format!("/proc/{}/uid_map", process.pid());
        eventually("it is root in a namespace of its own", 10.0, || {
            let map = fs::read_to_string(&map).unwrap();
            map.split_whitespace().eq(["0", &self.uid.to_string(), "1"])
        });
        Able { user: self, process, unshared: true }
    }
}

/// All that taps need.
const CAPABILITIES: &str = "+net_admin,+sys_admin,+net_broadcast";

/// A user who may make taps in a network namespace of its own: as root of a user namespace or,
/// where this machine forbids those, with capabilities.
pub struct Able<'u> {
    user: &'u User<'u>,
    process: Process,
    pub unshared: bool,
}

impl Able<'_> {
    /// `taptool ARGS` there.
    pub fn run(&self, args: &str) -> Ran {
        let (user, pid) = (self.user, self.process.pid());
        let taptool = format!("{} {args}", user.taptool);
        let line = if self.unshared {
            user.line(&format!("nsenter -t {pid} -U -n --preserve-credentials {taptool}"))
        } else {
            format!("nsenter -t {pid} -n {}", user.line_with(CAPABILITIES, &taptool))
        };
        ran(user.world, &line)
    }

    /// A program there, which must succeed; its standard output.
    pub fn inside(&self, line: &str) -> String {
        let pid = self.process.pid();
        self.user.world.must(&format!("nsenter -t {pid} -n {line}"))
    }

    /// As [`Able::run`], which must succeed without a word.
    pub fn done(&self, args: &str) -> String {
        let (code, stdout, stderr) = self.run(args);
        assert_eq!((code, stderr.as_str()), (0, ""), "{args}");
        stdout
    }
}

/// The one interface that is shown: its name and its MAC address.
fn only(shown: &str) -> (String, String) {
    let all: Vec<Value> = serde_json::from_str(shown).unwrap();
    assert_eq!(all.len(), 1, "{shown}");
    let word = |key: &str| all[0][key].as_str().unwrap().to_owned();
    (word("name"), word("mac_addr"))
}

#[test]
fn root_and_two_users_have_a_holder_each_and_none_sees_the_interfaces_of_the_others() {
    live(|world| {
        let program = ground(world, 0o666);
        // Where root's socket and those of users who are logged in stand.
        empty("/run");
        fs::create_dir_all("/run/user").unwrap();
        world.quiet_netns("a");
        let (one, two, three) = (64_001, 64_002, 64_003);
        let runtime = world.dir().join("runtime");
        private(&runtime, one);
        private(Path::new("/run/user/64002"), two);
        let users = [
            User::new(world, &program, one, Some(&runtime)),
            User::new(world, &program, two, None),
            User::new(world, &program, three, None),
        ];
        let able = [users[0].able(), users[1].able()];
        let root =
            |args: &str| ran(world, &format!("env -u TAPTOOL_SOCKET {} {args}", program.display()));
        // The same name for each: one holder would refuse the second.
        let create = "create tap0 --backend userspace --hw-addr 02:fe:00:00:00:0";
        assert_eq!(root(&format!("{create}0 --netns a")), (0, "tap0\n".into(), String::new()));
        assert_eq!(able[0].done(&format!("{create}1")), "tap0\n");
        assert_eq!(able[1].done(&format!("{create}2")), "tap0\n");
        let sees = |shown: &str, last: u32| {
            assert_eq!(only(shown), ("tap0".into(), format!("02:fe:00:00:00:0{last}")));
        };
        let all_see_their_own = || {
            sees(&root("-j show").1, 0);
            sees(&able[0].done("-j show"), 1);
            sees(&able[1].done("-j show"), 2);
        };
        all_see_their_own();
        let holder_of = |pid: u32| fs::metadata(format!("/proc/{pid}")).unwrap().uid();
        let mut owners: Vec<u32> = world.holders().into_iter().map(holder_of).collect();
        owners.sort_unstable();
        assert_eq!(owners, [0, one, two]);
        let places = [
            (PathBuf::from("/run/taptool"), 0),
            (runtime.join("taptool"), one),
            (PathBuf::from("/run/user/64002/taptool"), two),
        ];
        for (dir, uid) in &places {
            let (above, socket) = (fs::metadata(dir).unwrap(), dir.join("ctl.sock"));
            assert_eq!((above.uid(), above.mode() & 0o777), (*uid, 0o700), "{}", dir.display());
            let there = fs::symlink_metadata(&socket).unwrap();
            assert!(there.file_type().is_socket());
            assert_eq!((there.uid(), there.mode() & 0o777), (*uid, 0o600), "{}", socket.display());
        }
        // Nor by name.
        for (dir, uid) in &places {
            for user in &users[..2] {
                let (code, stdout, stderr) =
                    user.run(&format!("-j --socket {}/ctl.sock show", dir.display()));
                if *uid == user.uid {
                    sees(&stdout, user.uid - 64_000);
                } else {
                    assert_eq!((code, stdout.as_str()), (5, ""), "{stderr}");
                    assert!(stderr.contains("EACCES"), "{stderr}");
                }
            }
        }
        // Who has no holder is told whom else to ask.
        let ask = "you have no interfaces; `sudo taptool show' shows root's";
        assert_eq!(users[2].run("show"), (0, String::new(), format!("show: note: {ask}\n")));
        let (code, _, stderr) = users[2].run("delete tap0");
        assert_eq!((code, stderr), (3, format!("delete: tap0: no such interface\n  {ask}\n")));
        all_see_their_own();
        // One that goes takes nothing of the others along.
        assert_eq!(able[0].done("delete --all"), "");
        assert_eq!(able[0].run("-j show").1, "[]\n");
        sees(&root("-j show").1, 0);
        sees(&able[1].done("-j show"), 2);
        assert_eq!(root("delete tap0").0, 0);
        sees(&able[1].done("-j show"), 2);
        able[1].done("delete tap0");
        world.nothing_left();
        let left = places.iter().filter(|(dir, _)| dir.join("ctl.sock").exists());
        assert_eq!(left.count(), 0);
    });
}

#[test]
fn another_users_holder_is_not_reached_whatever_the_mode_of_its_socket() {
    live(|world| {
        world.quiet_netns("a");
        let program = ground(world, 0o666);
        world.done("-q create tap0 --netns a");
        let nobody = User::new(world, &program, 65_534, None);
        let socket = world.socket().display().to_string();
        for args in ["show", "create tap1", "delete --all", "monitor"] {
            let (code, stdout, stderr) = nobody.run(&format!("--socket {socket} {args}"));
            assert_eq!((code, stdout.as_str()), (5, ""), "{args}: {stderr}");
            let why = format!(
                ": {socket}: connect: Permission denied (EACCES)\n  only its user and root may ask \
                 there: ask as one of them, or name a socket of your own with --socket or \
                 TAPTOOL_SOCKET\n"
            );
            assert!(stderr.contains(&why), "{args}: {stderr}");
        }
        // Even a socket that is open to all answers its owner and root alone.
        fs::set_permissions(world.socket(), fs::Permissions::from_mode(0o666)).unwrap();
        for args in ["show", "create tap1", "delete --all", "monitor"] {
            let (code, stdout, stderr) = nobody.run(&format!("--socket {socket} {args}"));
            assert_eq!((code, stdout.as_str()), (5, ""), "{args}: {stderr}");
            let why = ": holder: it answers only its own user and root\n";
            assert!(stderr.contains(why), "{args}: {stderr}");
        }
        // Nor does a user give files to whoever else listens there.
        let other = User::new(world, &program, 64_001, None);
        let theirs = other.home.join("ctl.sock");
        let mut hold = world.start(&other.line(&format!(
            "{} --socket {} hold",
            other.taptool,
            theirs.display()
        )));
        eventually("it listens", 10.0, || theirs.exists());
        fs::set_permissions(&theirs, fs::Permissions::from_mode(0o666)).unwrap();
        fs::set_permissions(&other.home, fs::Permissions::from_mode(0o755)).unwrap();
        let (code, stdout, stderr) = nobody.run(&format!("--socket {} show", theirs.display()));
        assert_eq!((code, stdout.as_str()), (5, ""), "{stderr}");
        let why = format!(
            "show: {}: another user (uid 64001) listens there\n  \
             name a socket of your own with --socket or TAPTOOL_SOCKET\n",
            theirs.display()
        );
        assert_eq!(stderr, why);
        assert!(hold.running());
        drop(hold);
        fs::remove_file(&theirs).unwrap();
        assert_eq!(world.objects("show").len(), 1);
        world.done("delete tap0");
        world.nothing_left();
    });
}

#[test]
fn a_holder_is_neither_made_nor_found_in_a_directory_that_is_a_link() {
    live(|world| {
        let program = ground(world, 0o666);
        let uid = 64_001;
        let runtime = world.dir().join("runtime");
        private(&runtime, uid);
        let user = User::new(world, &program, uid, Some(&runtime));
        let able = user.able();
        // Another user's link to this one's own directory, in which this one's holder listens.
        let own = user.home.join("own");
        private(&own, uid);
        let socket = own.join("ctl.sock");
        let named = format!("--socket {}", socket.display());
        able.done(&format!("{named} create tap0 --backend userspace"));
        let link = runtime.join("taptool");
        symlink(&own, &link).unwrap();
        for args in ["show", "delete --all", "create tap1", "hold", "monitor"] {
            let (code, stdout, stderr) = able.run(args);
            assert_eq!((code, stdout.as_str()), (5, ""), "{args}: {stderr}");
            let verb = args.split(' ').next().unwrap();
            let why = format!(
                "{verb}: {}: not a directory of this user alone\n  \
                 name a socket in a directory of your own with --socket or TAPTOOL_SOCKET\n",
                link.display()
            );
            assert_eq!(stderr, why, "{args}");
        }
        assert_eq!(only(&able.done(&format!("-j {named} show"))).0, "tap0");
        able.done(&format!("{named} delete tap0"));
        world.nothing_left();
        // Nothing was put where the link leads.
        let left: Vec<_> =
            fs::read_dir(&own).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(left, ["ctl.sock.lock"]);
    });
}

#[test]
fn root_reaches_the_holder_of_another_user_at_the_socket_that_it_names() {
    live(|world| {
        let program = ground(world, 0o666);
        let user = User::new(world, &program, 64_001, None);
        let socket = user.home.join("ctl.sock");
        let named = format!("--socket {}", socket.display());
        let root = |args: &str| {
            ran(world, &format!("env -u TAPTOOL_SOCKET {} {named} {args}", program.display()))
        };
        // One that stands where root does.
        let hold = world.start(&user.line(&format!("{} {named} hold", user.taptool)));
        eventually("it listens", 10.0, || socket.exists());
        let (code, threads, stderr) = root("-j show threads");
        assert_eq!((code, stderr.as_str()), (0, ""));
        let threads: Value = serde_json::from_str(&threads).unwrap();
        assert_eq!(threads[0]["lwp"], hold.pid(), "{threads}");
        hold.signal(nix::sys::signal::Signal::SIGTERM);
        assert!(hold.output(10.0).status.success());
        // One in a user namespace, where root is nobody that it knows.
        let able = user.able();
        able.done(&format!("{named} create tap0 --backend userspace"));
        let (code, shown, stderr) = root("-j show");
        assert_eq!((code, stderr.as_str()), (0, ""));
        assert_eq!(only(&shown).0, "tap0");
        assert_eq!(root("set interface state tap0 down"), (0, String::new(), String::new()));
        assert_eq!(root("delete tap0"), (0, String::new(), String::new()));
        world.nothing_left();
        assert!(!socket.exists());
    });
}

#[test]
fn a_user_with_three_capabilities_makes_taps_anywhere_and_with_two_is_told_of_the_third() {
    live(|world| {
        world.quiet_netns("a");
        let program = ground(world, 0o666);
        let user = User::new(world, &program, 64_001, None);
        let named = format!("--socket {}", user.home.join("ctl.sock").display());
        let with = |capabilities: &str, args: &str| {
            let taptool = format!("{} {named} {args}", user.taptool);
            ran(world, &user.line_with(capabilities, &taptool))
        };
        let create = "create tap0 --netns a --backend userspace";
        let (code, stdout, stderr) = with("+net_admin,+sys_admin", create);
        assert_eq!((code, stdout.as_str()), (5, ""), "{stderr}");
        assert!(stderr.contains("needs CAP_NET_BROADCAST"), "{stderr}");
        world.nothing_left();
        assert_eq!(with(CAPABILITIES, create), (0, "tap0\n".into(), String::new()));
        assert_eq!(world.links("a"), ["tap0"]);
        // Its user needs none of them to ask.
        assert_eq!(only(&user.run(&format!("-j {named} show")).1).0, "tap0");
        assert_eq!(user.run(&format!("{named} delete tap0")).0, 0);
        world.nothing_left();
        assert!(world.links("a").is_empty());
    });
}

#[test]
fn a_create_that_is_not_permitted_says_what_to_do_and_starts_one_holder() {
    live(|world| {
        world.quiet_netns("a");
        let program = ground(world, 0o600);
        let user = User::new(world, &program, 64_001, None);
        let socket = user.home.join("ctl.sock");
        let log = user.home.join(".local/state/taptool/holder.log");
        let rights = "unshare(CLONE_NEWNET): Operation not permitted (EPERM)\n  \
            interfaces need CAP_NET_ADMIN, CAP_SYS_ADMIN and CAP_NET_BROADCAST: run it with sudo, \
            or inside `unshare -Urn'\n";
        let device = "open /dev/net/tun: Permission denied (EACCES)\n  let every user open it, which \
            gives no other right: `chmod 0666 /dev/net/tun'; or run it with sudo\n";
        let able = user.able();
        for (is_able, args, says) in [
            (false, "create tap0", rights),
            (false, "create tap0 --netns a", rights),
            (true, "create tap0", device),
        ] {
            let args = format!("--socket {} {args} --backend userspace", socket.display());
            let (code, stdout, stderr) = if is_able { able.run(&args) } else { user.run(&args) };
            assert_eq!((code, stdout.as_str()), (5, ""), "{args}: {stderr}");
            assert!(stderr.ends_with(says), "{args}: {stderr}");
            world.nothing_left();
            assert!(!socket.exists());
            // Each holder says once why it ends, or what it refused.
            let said = fs::read_to_string(&log).unwrap();
            assert_eq!(
                said.matches("not permitted").count() + said.matches("denied").count(),
                1,
                "{said}"
            );
            fs::remove_file(&log).unwrap();
        }
        // What the last hint says, done by root.
        let opens = device.split(['`', '\'']).nth(1).unwrap();
        world.must(opens);
        let named = format!("--socket {}", socket.display());
        able.done(&format!("{named} create tap0 --backend userspace"));
        able.done(&format!("{named} delete tap0"));
        world.nothing_left();
    });
}

#[test]
fn a_lock_that_another_user_has_is_refused_with_its_user_and_process() {
    live(|world| {
        let program = ground(world, 0o666);
        let [first, second] = [64_001, 64_002].map(|uid| User::new(world, &program, uid, None));
        let shared = world.dir().join("shared");
        fs::create_dir(&shared).unwrap();
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).unwrap();
        let socket = shared.join("ctl.sock");
        let hold = format!("--socket {} hold", socket.display());
        let holder = world.start(&first.line(&format!("{} {hold}", first.taptool)));
        eventually("it listens", 10.0, || socket.exists());
        let (code, stdout, stderr) = second.run(&hold);
        assert_eq!((code, stdout.as_str()), (5, ""), "{stderr}");
        let says = format!(
            "{}.lock: open: Permission denied (EACCES): the file belongs to uid 64001, and process \
             {} (taptool) of uid 64001 has the lock\n",
            socket.display(),
            holder.pid()
        );
        assert!(stderr.contains(&says), "{stderr}");
        holder.signal(nix::sys::signal::Signal::SIGTERM);
        assert!(holder.output(10.0).status.success());
        world.nothing_left();
    });
}
