//! The kernel's virtual USB host: its ports and what is plugged into them.
//!
//! Files: the kernel's `Documentation/ABI/testing/sysfs-platform-vhci_hcd` and `drivers/usb/usbip/vhci_sysfs.c`.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::Error;

const HOST: &str = "/sys/devices/platform/vhci_hcd.0";
/// `USB_SPEED_HIGH` of the kernel's `enum usb_device_speed`.
const HIGH_SPEED: u8 = 3;
/// State of a port that is free (`VDEV_ST_NULL`).
const FREE: u32 = 4;
/// How long the kernel gets to free a port.
const FREEING: Duration = Duration::from_secs(30);
/// How often a port is looked at: the host announces nothing.
const LOOK: Duration = Duration::from_millis(5);

/// The virtual host controller of this machine.
#[derive(Debug)]
pub(crate) struct Host {
    folder: PathBuf,
}

/// A line of the host's `status`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Slot {
    high_speed: bool,
    number: u8,
    state: u32,
}

impl Host {
    /// Fails if the host is not loaded.
    pub(crate) fn open() -> Result<Self, Error> {
        let folder = PathBuf::from(HOST);
        if folder.join("attach").exists() {
            Ok(Self { folder })
        } else {
            Err(Error::NoHost(HOST.to_owned()))
        }
    }

    /// Hands `socket` to the kernel as a device in this port, or in the first that is free.
    pub(crate) fn attach(self, port: Option<u8>, socket: BorrowedFd<'_>) -> Result<Port, Error> {
        let slots = self.slots()?;
        let high: Vec<&Slot> = slots.iter().filter(|slot| slot.high_speed).collect();
        if let Some(port) = port {
            if !high.iter().any(|slot| slot.number == port) {
                let numbers: Vec<_> = high.iter().map(|slot| slot.number.to_string()).collect();
                let ports = numbers.join(", ");
                return Err(Error::NoSuchPort { port, ports });
            }
            return if self.try_attach(port, socket)? {
                Ok(Port {
                    host: self,
                    number: port,
                })
            } else {
                Err(Error::PortTaken(port))
            };
        }
        // Another process may be quicker, so each free one is tried.
        for slot in high.iter().filter(|slot| slot.state == FREE) {
            if self.try_attach(slot.number, socket)? {
                return Ok(Port {
                    host: self,
                    number: slot.number,
                });
            }
        }
        Err(Error::NoFreePort(high.len()))
    }

    /// False if the port is taken.
    fn try_attach(&self, port: u8, socket: BorrowedFd<'_>) -> Result<bool, Error> {
        let path = self.folder.join("attach");
        // Bus and device number as a remote host would have them; they tell nothing here, but may not be 0.
        let device = 1 << 16 | (u32::from(port) + 1);
        let text = format!("{port} {} {device} {HIGH_SPEED}", socket.as_raw_fd());
        let written = fs::OpenOptions::new()
            .write(true)
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()));
        match written {
            Ok(()) => Ok(true),
            Err(why) => match why.kind() {
                ErrorKind::ResourceBusy => Ok(false),
                ErrorKind::PermissionDenied => Err(Error::NotAllowed(path.display().to_string())),
                _ => Err(Error::os(format!(
                    "plug into port {port} by {}",
                    path.display()
                ))(why)),
            },
        }
    }

    fn slots(&self) -> Result<Vec<Slot>, Error> {
        let path = self.folder.join("status");
        let text =
            fs::read_to_string(&path).map_err(Error::os(format!("read {}", path.display())))?;
        Ok(parse(&text))
    }
}

/// A port with a camera in it.
#[derive(Debug)]
pub(crate) struct Port {
    host: Host,
    pub(crate) number: u8,
}

impl Port {
    /// The device's directory, once the kernel knows its descriptors and until it has let go of it.
    pub(crate) fn sysfs(&self) -> Option<PathBuf> {
        let is_high_speed = |bus: &PathBuf| {
            fs::read_to_string(bus.join("speed")).is_ok_and(|speed| speed.trim() == "480")
        };
        let bus = entries(&self.host.folder).into_iter().find(is_high_speed)?;
        let number = bus.file_name()?.to_str()?.strip_prefix("usb")?.to_owned();
        let device = bus.join(format!("{number}-{}", self.number + 1));
        device.is_dir().then_some(device)
    }

    /// The device's capture nodes, `/dev/videoN`.
    pub(crate) fn nodes(&self) -> Vec<PathBuf> {
        let Some(device) = self.sysfs() else {
            return Vec::new();
        };
        let interfaces = entries(&device);
        let nodes = interfaces
            .iter()
            .flat_map(|path| entries(&path.join("video4linux")));
        let mut nodes: Vec<_> = nodes
            // uvcvideo makes two nodes a stream, the second of metadata.
            .filter(|node| {
                fs::read_to_string(node.join("index")).is_ok_and(|index| index.trim() == "0")
            })
            .filter_map(|node| Some(Path::new("/dev").join(node.file_name()?)))
            .collect();
        nodes.sort();
        nodes
    }

    /// Waits until the kernel has let go of the device. The socket has to be shut down.
    ///
    /// The port is free before its hub notices. A device that comes into it meanwhile would be taken for the old one.
    pub(crate) fn freed(&self) -> Result<(), Error> {
        let deadline = Instant::now() + FREEING;
        while self.is_taken()? || self.sysfs().is_some() {
            if Instant::now() > deadline {
                return Err(Error::TimedOut {
                    what: "let go by the kernel".to_owned(),
                    after: FREEING,
                    seen: format!("port {} is still taken", self.number),
                });
            }
            thread::sleep(LOOK);
        }
        Ok(())
    }

    fn is_taken(&self) -> Result<bool, Error> {
        let ours = |slot: &Slot| slot.high_speed && slot.number == self.number;
        Ok(self
            .host
            .slots()?
            .iter()
            .any(|slot| ours(slot) && slot.state != FREE))
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let read = |folder: &Path| -> io::Result<Vec<PathBuf>> {
        fs::read_dir(folder)?
            .map(|entry| Ok(entry?.path()))
            .collect()
    };
    // What is unplugged meanwhile has no entries.
    read(folder).unwrap_or_default()
}

/// `hub port sta spd dev sockfd local_busid`, a heading and a line a port.
fn parse(text: &str) -> Vec<Slot> {
    let line = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [hub @ ("hs" | "ss"), number, state, ..] = fields[..] else {
            return None;
        };
        Some(Slot {
            high_speed: hub == "hs",
            number: number.parse().ok()?,
            state: state.parse().ok()?,
        })
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_from_the_hosts_status() {
        let text = "hub port sta spd dev      sockfd local_busid\n\
                    hs  0000 006 003 00010001 000004 1-1\n\
                    hs  0001 004 000 00000000 000000 0-0\n\
                    ss  0008 004 000 00000000 000000 0-0\n";
        let slot = |high_speed, number, state| Slot {
            high_speed,
            number,
            state,
        };
        let expected = [slot(true, 0, 6), slot(true, 1, 4), slot(false, 8, 4)];
        assert_eq!(parse(text), expected);
        assert_eq!(parse("hub port\n\nnonsense\n"), []);
    }
}
