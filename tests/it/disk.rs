//! A disk whose power can be cut: ext4 in a file, mounted through a loop device.
//!
//! A cut is the file system's own shutdown in mid-write, without a flush of its journal: what was
//! only in memory is gone, what reached the disk stays, whatever its order. The drills of the
//! queue (`src/queue/drill`) use this file too.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// `EXT4_GOING_FLAGS_NOLOGFLUSH`: neither the journal nor anything else is written any more.
const NO_LOG_FLUSH: u32 = 2;

/// How long the file system may stay busy after its last user has ended.
const PATIENCE: Duration = Duration::from_secs(20);

nix::ioctl_read!(
    /// `EXT4_IOC_SHUTDOWN`, which is `_IOR('X', 125, __u32)` and reads its argument all the same.
    ext4_ioc_shutdown,
    b'X',
    125,
    u32
);

/// The disk; unmounted and removed with the test.
pub struct Disk {
    directory: TempDir,
}

impl Disk {
    /// A fresh file system of `mib` MiB, mounted; or why this machine does not permit that.
    pub fn new(mib: u64) -> Result<Disk, String> {
        let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
        let disk = Disk { directory };
        let made = File::create(disk.image()).and_then(|image| image.set_len(mib << 20));
        made.map_err(|error| error.to_string())?;
        fs::create_dir(disk.root()).map_err(|error| error.to_string())?;
        let mut mkfs = Command::new("mkfs.ext4");
        run(mkfs.args(["-q", "-F"]).arg(disk.image()))?;
        disk.mount()?;
        Ok(disk)
    }

    /// Where it is mounted.
    pub fn root(&self) -> PathBuf {
        self.directory.path().join("disk")
    }

    /// Cuts its power; see [`cut`].
    pub fn cut(&self) {
        cut(&self.root()).unwrap();
    }

    /// Brings it back after a cut. Whoever used it must have ended.
    pub fn power_on(&self) {
        self.unmount().unwrap();
        self.mount().unwrap();
    }

    fn image(&self) -> PathBuf {
        self.directory.path().join("image")
    }

    fn mount(&self) -> Result<(), String> {
        let mut mount = Command::new("mount");
        run(mount
            .args(["-t", "ext4", "-o", "loop"])
            .arg(self.image())
            .arg(self.root()))
    }

    fn unmount(&self) -> Result<(), String> {
        let began = Instant::now();
        loop {
            match run(Command::new("umount").arg(self.root())) {
                Err(why) if began.elapsed() > PATIENCE => return Err(why),
                Err(_) => thread::sleep(Duration::from_millis(5)),
                Ok(()) => return Ok(()),
            }
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // One that was never mounted, or is shut down, is as well.
        let _unmounted = Command::new("umount")
            .args(["-l", "-q"])
            .arg(self.root())
            .output();
    }
}

/// Shuts down the file system mounted at `root`, in the middle of whatever is being written.
pub fn cut(root: &Path) -> io::Result<()> {
    let root = File::open(root)?;
    let mut flag = NO_LOG_FLUSH;
    #[expect(
        unsafe_code,
        reason = "an ioctl, in test code only: `flag` outlives the call"
    )]
    // SAFETY: the descriptor is open and the kernel reads four bytes from the pointer.
    let cut = unsafe { ext4_ioc_shutdown(root.as_raw_fd(), &raw mut flag) };
    cut.map(drop).map_err(io::Error::from)
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command
        .output()
        .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}
