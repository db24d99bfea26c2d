//! The memory that consumers hold is the driver's, by inode, and no process has it mapped.

use std::collections::{BTreeMap, BTreeSet};

use mos_testkit::wait_until;

use crate::figures::note;
use crate::parts;
use crate::proc::{self, Dmabuf, Shared, shared_memory};
use crate::subject::{Counter, Demand, PATIENCE, Process, SMALL, Subject};

/// The consumers, in the order in which they come.
const CONSUMERS: [&str; 4] = ["mosctl 1", "mosctl 2", "mosctl 3", "gst-launch mosframesrc"];

/// Bytes of a frame.
const FRAME: u64 = SMALL.0 as u64 * SMALL.1 as u64 * 3 / 2;

/// Buffers that a consumer has to have been handed before it is looked at.
const BUFFERS: usize = 2;

pub(crate) fn proof() {
    let Some(mut subject) = Subject::start("memory", SMALL) else {
        return;
    };
    let mut counter = subject.subscribe();
    counter.next(SMALL);
    let few = Demand::least().is_some();
    let mut buffers = BTreeMap::new();
    for names in CONSUMERS.chunks(if few { 1 } else { CONSUMERS.len() }) {
        wait_until("the last consumers to be gone", PATIENCE, || {
            (claimed(&mut subject).len() == 1).then_some(())
        })
        .unwrap();
        let start = |name: &&str| match name.strip_prefix("mosctl") {
            Some(_) => subject.mosctl(name),
            None => subject.gstreamer(),
        };
        let consumers: Vec<(String, Process)> = names
            .iter()
            .map(|name| ((*name).to_owned(), start(name)))
            .collect();
        for (name, consumer) in &consumers {
            shares_the_drivers_buffers(name, consumer, &subject);
        }
        buffers = the_drivers_buffers(&subject);
        the_kernel_agrees(&buffers);
        let before = claimed(&mut subject);
        nobody_maps(&buffers, &consumers, &mut counter);
        everybody_received(&before, &claimed(&mut subject));
        the_service_says_so(&mut subject, consumers.len() + 1);
    }
    if few {
        wait_until("the last consumer to be gone", PATIENCE, || {
            (claimed(&mut subject).len() == 1).then_some(())
        })
        .unwrap();
    }
    a_mapping_would_be_found(&buffers, &subject);
    a_mapped_node_would_be_found(&subject);
    other_memory_would_be_found(&subject);
}

/// The dma-bufs that the service holds: exported by the driver's own allocator.
fn the_drivers_buffers(subject: &Subject) -> BTreeMap<u64, Dmabuf> {
    let Shared { dmabufs, .. } = shared_memory(subject.service.pid());
    let exporters: BTreeSet<&str> = dmabufs.values().map(|d| d.exporter.as_str()).collect();
    assert!(!dmabufs.is_empty(), "the service holds no dma-buf");
    assert!(
        exporters.iter().all(|name| name.starts_with("videobuf2_")),
        "dma-bufs that no V4L2 driver exported: {exporters:?}"
    );
    assert!(dmabufs.values().all(|d| d.size >= FRAME), "{dmabufs:?}");
    note("dma-bufs of the service, inodes", inodes(&dmabufs));
    note("their exporter (fdinfo exp_name)", format!("{exporters:?}"));
    dmabufs
}

fn inodes(dmabufs: &BTreeMap<u64, Dmabuf>) -> String {
    let numbers: Vec<String> = dmabufs.keys().map(u64::to_string).collect();
    numbers.join(" ")
}

/// A consumer's dma-bufs are the service's, inode by inode, and it has no other memory that a frame would fit in.
fn shares_the_drivers_buffers(name: &str, consumer: &Process, subject: &Subject) {
    let has_some = || {
        let found = shared_memory(consumer.pid());
        (found.dmabufs.len() >= BUFFERS).then_some(found)
    };
    let held = wait_until(&format!("dma-bufs at {name}"), PATIENCE, has_some).unwrap();
    let exported = shared_memory(subject.service.pid()).dmabufs;
    for (inode, dmabuf) in &held.dmabufs {
        assert_eq!(
            exported.get(inode),
            Some(dmabuf),
            "{name} has another dma-buf: inode {inode}"
        );
    }
    assert!(
        held.largest_other_memory < FRAME,
        "{name} has other memory of a frame's size: {} bytes",
        held.largest_other_memory
    );
    note(
        format!("{name}: all of its dma-bufs are the service's"),
        inodes(&held.dmabufs),
    );
    note(
        format!("{name}: largest other shared memory"),
        format!("{} bytes (a frame has {FRAME})", held.largest_other_memory),
    );
}

/// The kernel's list of all dma-bufs names the same exporter.
fn the_kernel_agrees(buffers: &BTreeMap<u64, Dmabuf>) {
    let Some(list) = proc::kernels_list() else {
        assert!(
            std::env::var_os("MOS_V4L2_REQUIRED").is_none(),
            "no dma_buf/bufinfo: mount debugfs"
        );
        note("debugfs dma_buf/bufinfo", "not on this machine");
        return;
    };
    for (inode, dmabuf) in buffers {
        assert_eq!(
            list.get(inode),
            Some(&dmabuf.exporter),
            "inode {inode} in bufinfo: {list:?}"
        );
    }
    let all = list.len();
    note(
        "debugfs dma_buf/bufinfo: same inodes, same exporter",
        format!("{} of {all} on this machine", buffers.len()),
    );
}

/// Looks that are taken, with a frame between two.
const LOOKS: usize = 20;

fn nobody_maps(
    buffers: &BTreeMap<u64, Dmabuf>,
    consumers: &[(String, Process)],
    counter: &mut Counter,
) {
    let device = buffers.values().next().unwrap().device;
    let mut most = 0;
    for _ in 0..LOOKS {
        let (mapped, looked_at) = proc::mapped_anywhere(device);
        assert!(mapped.is_empty(), "dma-bufs are mapped: {mapped:?}");
        let nodes = proc::nodes_mapped_anywhere();
        assert!(nodes.is_empty(), "a node's memory is mapped by {nodes:?}");
        assert!(looked_at > consumers.len());
        most = most.max(looked_at);
        counter.next(SMALL);
    }
    note(
        "dma-bufs and V4L2 nodes mapped by any process (/proc/*/maps)",
        format!("0, in {LOOKS} looks at up to {most} processes"),
    );
}

/// Frames that each subscriber has taken so far, by name.
fn claimed(subject: &mut Subject) -> BTreeMap<String, u64> {
    let (_, stream) = subject.status();
    let counts = stream.subscribers.into_iter().map(|s| (s.name, s.claimed));
    counts.collect()
}

/// All of them received frames while they were looked at.
fn everybody_received(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) {
    for (name, count) in after {
        let earlier = before.get(name).copied().unwrap_or_default();
        assert!(
            *count > earlier,
            "{name} received nothing: {before:?}, {after:?}"
        );
    }
    let fewest = after
        .iter()
        .map(|(name, n)| n - before.get(name).unwrap_or(&0))
        .min();
    note(
        "frames received by each subscriber during the looks",
        format!("at least {}", fewest.unwrap_or_default()),
    );
}

fn the_service_says_so(subject: &mut Subject, subscribers: usize) {
    let (service, stream) = subject.status();
    let (frames, format) = (stream.frames.unwrap(), stream.format.unwrap());
    assert_eq!(service.build, "production");
    assert_eq!(format.memory(), mos_camera_api::v1::Memory::Dmabuf);
    assert_eq!(
        (frames.copied, frames.violations, service.stray_mappings),
        (0, 0, 0)
    );
    let plan = stream.plan.unwrap();
    assert_eq!(plan.memory(), mos_camera_api::v1::FrameMemory::Driver);
    assert_eq!(
        (plan.cpu_copies, plan.hardware_copies, plan.software),
        (0, 0, false),
        "{plan:?}"
    );
    assert!(plan.elements.is_empty(), "{plan:?}");
    let nodes = proc::open_nodes(subject.service.pid());
    assert_eq!(
        nodes.len(),
        1,
        "the exporter can only be the camera: {nodes:?}"
    );
    assert_eq!(
        stream.subscribers.len(),
        subscribers,
        "{:?}",
        stream.subscribers
    );
    note(
        "status: memory, copies, violations",
        format!(
            "dmabuf, {} of {} frames, {}",
            frames.copied, frames.published, frames.violations
        ),
    );
    note("status: elements", stream.chain.join(" ! "));
}

/// The control: a subscriber that maps one frame is found by the same look.
fn a_mapping_would_be_found(buffers: &BTreeMap<u64, Dmabuf>, subject: &Subject) {
    let (mapper, said) = parts::start("mapper", subject);
    assert_eq!(said, "mapped");
    let device = buffers.values().next().unwrap().device;
    let (mapped, _) = proc::mapped_anywhere(device);
    assert!(
        !mapped.is_empty(),
        "a mapping was not found: the look is blind"
    );
    for (pid, mapping) in &mapped {
        assert_eq!(*pid, mapper.pid());
        assert!(buffers.contains_key(&mapping.memory.inode()), "{mapping:?}");
    }
    note(
        "control: a subscriber that maps a frame is found",
        format!("yes, inode {}", mapped[0].1.memory.inode()),
    );
}

/// The control: a program that maps a node's memory is found by the same look.
fn a_mapped_node_would_be_found(subject: &Subject) {
    let Some(mapper) = subject.mapper_of_another_node() else {
        note(
            "control: a program that maps a node is found",
            "no second node here",
        );
        return;
    };
    wait_until("the mapping of a node's memory", PATIENCE, || {
        proc::nodes_mapped_anywhere()
            .contains(&mapper.pid())
            .then_some(())
    })
    .unwrap();
    note("control: a program that maps a node is found", "yes");
}

/// The control: a subscriber that has memory for a copy is found by the same look.
fn other_memory_would_be_found(subject: &Subject) {
    let (hoarder, said) = parts::start("hoarder", subject);
    assert_eq!(said, "holds");
    let size = shared_memory(hoarder.pid()).largest_other_memory;
    assert!(
        size >= FRAME,
        "memory for a copy was not found: the look is blind"
    );
    note(
        "control: a subscriber with memory for a copy is found",
        format!("yes, {size} bytes"),
    );
}
