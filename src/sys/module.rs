//! Where the driver of a device file is.

use std::fs;
use std::path::Path;

/// Where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// In the kernel that runs.
    Present,
    /// Among the modules of that kernel.
    Loadable,
    /// Neither, as far as can be seen from here: a container does not see the modules of its host.
    Absent,
}

/// Where the driver is that registers `misc` as a device file and whose module is called `module`.
pub fn driver(misc: &str, module: &str) -> Driver {
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    let kernel = read(Path::new("/proc/sys/kernel/osrelease"));
    let modules = Path::new("/lib/modules").join(kernel.trim()).join("modules.dep");
    of(misc, module, &read(Path::new("/proc/misc")), &read(&modules))
}

/// `registered` is the text of /proc/misc, `modules` that of modules.dep.
fn of(misc: &str, module: &str, registered: &str, modules: &str) -> Driver {
    if registered.lines().any(|line| line.split_whitespace().nth(1) == Some(misc)) {
        return Driver::Present;
    }
    let file = format!("/{module}.ko");
    let has = |line: &str| line.split(':').next().is_some_and(|path| path.contains(&file));
    if modules.lines().any(has) { Driver::Loadable } else { Driver::Absent }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_is_in_the_kernel_among_its_modules_or_nowhere() {
        let of = |registered, modules| of("vhost-net", "vhost_net", registered, modules);
        let dep = "kernel/drivers/vhost/vhost_net.ko.xz: kernel/drivers/vhost/vhost.ko.xz\n";
        assert_eq!(of("238 vhost-net\n200 tun\n", dep), Driver::Present);
        assert_eq!(of("200 tun\n", dep), Driver::Loadable);
        // What needs it is not it.
        let other = "kernel/drivers/vhost/x.ko: kernel/drivers/vhost/vhost_net.ko\n";
        assert_eq!(of("200 tun\n", other), Driver::Absent);
        assert_eq!(of("", ""), Driver::Absent);
    }
}
