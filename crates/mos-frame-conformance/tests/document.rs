//! The annotated handshake of docs/frame-bus-protocol.md is a real one: its packets are sent to a real producer, which answers
//! with its packets, and the words that it names are read from the memories that came.

#![allow(clippy::unwrap_used, reason = "a test program")]

use std::fs;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use mos_frame::{Format, FrameMeta, MemfdPool, PoolFrame, Publisher, PublisherOptions};
use mos_frame_conformance::packet;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};

/// Bytes of WELCOME that differ in each run: the session.
const SESSION: std::ops::Range<usize> = 12..20;

/// One packet of the document.
#[derive(Debug)]
struct Step {
    title: String,
    from_client: bool,
    fds: usize,
    bytes: Vec<u8>,
}

/// One word of the document's table.
#[derive(Debug)]
struct Word {
    moment: String,
    memory: String,
    index: u64,
    value: u64,
}

fn document() -> String {
    fs::read_to_string(mos_testkit::paths::root().join("docs/frame-bus-protocol.md")).unwrap()
}

fn steps(document: &str) -> Vec<Step> {
    let dump = document.split("```hexdump\n").nth(1).unwrap();
    let dump = dump.split("```").next().unwrap();
    let mut steps: Vec<Step> = Vec::new();
    for line in dump.lines().filter(|line| !line.is_empty()) {
        if let Some(title) = line.strip_prefix(['>', '<']) {
            let fds = title.split(" with ").nth(1).map_or(0, |rest| {
                rest.split(' ').next().unwrap().parse::<usize>().unwrap()
            });
            steps.push(Step {
                title: title.trim().to_owned(),
                from_client: line.starts_with('>'),
                fds,
                bytes: Vec::new(),
            });
            continue;
        }
        let step = steps.last_mut().unwrap();
        let (offset, rest) = line.split_once("  ").unwrap();
        assert_eq!(
            usize::from_str_radix(offset, 16).unwrap(),
            step.bytes.len(),
            "the offset of {line:?}"
        );
        let hex = rest.split("  ").next().unwrap().trim();
        step.bytes.extend(
            hex.split(' ')
                .map(|byte| u8::from_str_radix(byte, 16).unwrap()),
        );
    }
    steps
}

fn words(document: &str) -> Vec<Word> {
    let table = document.split("| Moment | Word | Value |").nth(1).unwrap();
    let rows = table.lines().skip(2).take_while(|l| l.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let (memory, index) = cells[2].split_once(' ').unwrap();
        Word {
            moment: cells[1].to_owned(),
            memory: memory.to_owned(),
            index: index.parse().unwrap(),
            value: u64::from_str_radix(cells[3].strip_prefix("0x").unwrap(), 16).unwrap(),
        }
    })
    .collect()
}

fn receive(socket: &OwnedFd) -> (Vec<u8>, Vec<OwnedFd>) {
    let mut bytes = [0; 1024];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut bytes)];
    let got =
        rustix::net::recvmsg(socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC).unwrap();
    let fds = control.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => fds.collect(),
        _ => Vec::new(),
    });
    (bytes[..got.bytes].to_vec(), fds.collect())
}

fn load(memory: &OwnedFd, index: u64) -> u64 {
    let mut bytes = [0; 8];
    rustix::io::pread(memory, &mut bytes, index * 8).unwrap();
    u64::from_ne_bytes(bytes)
}

#[test]
fn the_annotated_handshake_is_a_real_one() {
    let document = document();
    let dir = tempfile::tempdir().unwrap();
    let path = mos_frame::socket_path(dir.path(), "document");
    let publisher = Publisher::<PoolFrame>::bind(&path, PublisherOptions::default()).unwrap();
    let format = Format::nv12_memfd(640, 480, (30, 1));
    publisher.set_format(format.clone());
    let pool = MemfdPool::new(&publisher, &format, 2).unwrap();

    let flags = SocketFlags::CLOEXEC;
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
    rustix::net::connect(&socket, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    let steps = steps(&document);
    assert_eq!(steps.len(), 7, "{steps:?}");
    let mut memories = Vec::new();
    for step in &steps {
        if step.from_client {
            let mut none = SendAncillaryBuffer::default();
            let parts = [IoSlice::new(&step.bytes)];
            rustix::net::sendmsg(&socket, &parts, &mut none, SendFlags::NOSIGNAL).unwrap();
            continue;
        }
        let (mut bytes, fds) = receive(&socket);
        if bytes[0] == packet::WELCOME as u8 {
            bytes[SESSION].copy_from_slice(&step.bytes[SESSION]);
        }
        assert_eq!(bytes, step.bytes, "{}", step.title);
        assert_eq!(fds.len(), step.fds, "{}", step.title);
        memories.extend(fds);
    }

    let frame = pool.acquire().unwrap();
    frame.publish(&publisher, FrameMeta::default()).unwrap();
    let words = words(&document);
    assert_eq!(words.len(), 7, "{words:?}");
    for word in &words {
        let memory = &memories[usize::from(word.memory == "lease")];
        if word.moment != "published" {
            // The client's own steps; nobody races with them here.
            rustix::io::pwrite(memory, &word.value.to_ne_bytes(), word.index * 8).unwrap();
            let counters = publisher.stats().subscribers[0].counters;
            let held = u32::from(word.moment == "claimed");
            assert_eq!((counters.claimed, counters.held), (1, held), "{word:?}");
        }
        assert_eq!(load(memory, word.index), word.value, "{word:?}");
    }
    assert_eq!(publisher.stats().evicted, 0);
}
