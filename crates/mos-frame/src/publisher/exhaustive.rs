//! Property 9, the search: in every state that windows, holds, late joiners, leavers and frames withheld from one of them can
//! lead to, `max(1, max N) + sum(H)` buffers are busy at most, and in some state exactly as many. So the admission's formula is
//! enough, and not one too large.
//!
//! Not a model: the states are those of the real publisher, whose control thread is turned by hand. A state is reached again by
//! repeating the steps that led to it, and is known by what stands on the lease pages.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::os::fd::{AsFd, OwnedFd};

use super::state::Sub;
use super::{ByHand, PublisherOptions};
use crate::admission::{self, Budget, Demand};
use crate::format::{Format, FrameMeta};
use crate::pool::{MemfdPool, PoolFrame};
use crate::shm::LeaseView;
use crate::socket::{self, Received, Wait};
use crate::wire::{Message, VERSION};

/// Window and hold of a subscriber.
type Shape = (u32, u32);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    /// Publishes a frame; one subscriber may not have been told of its buffer yet.
    Publish {
        withheld: Option<usize>,
    },
    /// Any order of claims: an honest subscriber's is one of them.
    Claim {
        who: usize,
        seq: u64,
    },
    Release {
        who: usize,
        seq: u64,
    },
    Join {
        who: usize,
    },
    Leave {
        who: usize,
    },
}

/// No two subscribers of a party have the same shape, so it tells them apart.
fn is_of(sub: &Sub, shape: Shape) -> bool {
    (sub.demand.window, sub.demand.hold) == shape
}

struct Guest {
    _socket: OwnedFd,
    view: LeaseView,
}

struct World {
    _dir: tempfile::TempDir,
    producer: ByHand<PoolFrame>,
    pool: MemfdPool,
    shapes: Vec<Shape>,
    guests: Vec<Option<Guest>>,
}

/// Frames of a subscriber: sequence and whether it holds it. `None` if it is not there.
type Leases = Option<BTreeSet<(u64, bool)>>;

impl World {
    fn new(shapes: &[Shape], slots: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = PublisherOptions {
            budget: Budget {
                slots,
                in_flight: 1,
                fences: 0,
            },
            ..Default::default()
        };
        let producer = ByHand::bind(&crate::socket_path(dir.path(), "search"), options);
        let format = Format::nv12_memfd(16, 16, (30, 1));
        producer.publisher.set_format(format.clone());
        let pool = MemfdPool::new(&producer.publisher, &format, slots as usize).unwrap();
        Self {
            _dir: dir,
            producer,
            pool,
            shapes: shapes.to_vec(),
            guests: shapes.iter().map(|_| None).collect(),
        }
    }

    fn play(&mut self, op: Op) {
        match op {
            Op::Publish { withheld } => self.publish(withheld),
            Op::Claim { who, seq } => {
                let view = &self.guests[who].as_ref().unwrap().view;
                assert!((0..self.slots()).any(|slot| view.claim(slot, seq)));
            }
            Op::Release { who, seq } => {
                let view = &self.guests[who].as_ref().unwrap().view;
                assert!((0..self.slots()).any(|slot| view.release(slot, seq)));
            }
            Op::Join { who } => self.guests[who] = Some(self.join(who)),
            Op::Leave { who } => {
                self.guests[who] = None;
                self.producer.turn();
            }
        }
        self.producer.publisher.reap();
    }

    /// There always is a buffer for it, or the search has failed.
    fn publish(&mut self, withheld: Option<usize>) {
        let frame = self
            .pool
            .acquire()
            .expect("the formula keeps a buffer free");
        let publisher = &self.producer.publisher;
        let slot = usize::from(frame.slot().index);
        let index = withheld.map(|who| {
            let state = publisher.shared.lock();
            let found = state.subs.iter().position(|s| is_of(s, self.shapes[who]));
            found.expect("a subscriber that is there")
        });
        let tell = |known: bool| {
            if let Some(index) = index {
                publisher.shared.lock().subs[index].known[slot] = known;
            }
        };
        tell(false);
        frame.publish(publisher, FrameMeta::default()).unwrap();
        tell(true);
    }

    fn join(&mut self, who: usize) -> Guest {
        let socket = socket::connect(self.producer.publisher.path(), None).unwrap();
        let (window, hold) = self.shapes[who];
        let say = |message: &Message| {
            socket::send(socket.as_fd(), &message.encode(), &[]).unwrap();
        };
        say(&Message::Hello {
            min_version: VERSION,
            max_version: VERSION,
            window,
            hold,
            name: String::new(),
        });
        let mut view = None;
        loop {
            let packet = match socket::receive(socket.as_fd(), Wait::No).unwrap() {
                Received::Packet(packet) => packet,
                Received::Empty => {
                    self.producer.turn();
                    continue;
                }
                Received::Gone => panic!("refused"),
            };
            match Message::decode(&packet.bytes).unwrap().unwrap() {
                Message::Welcome { .. } => {
                    view = Some(LeaseView::new(packet.fds[1].as_fd()).unwrap());
                }
                Message::BufferAdd { .. } => say(&Message::BufferAck { count: 1 }),
                Message::Start => break,
                Message::Format { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        let view = view.unwrap();
        Guest {
            _socket: socket,
            view,
        }
    }

    fn slots(&self) -> usize {
        self.producer.publisher.shared.lock().budget.slots as usize
    }

    /// What every subscriber has, by the producer's books.
    fn leases(&self) -> Vec<Leases> {
        let state = self.producer.publisher.shared.lock();
        let of = |shape: &Shape| {
            let sub = state.subs.iter().find(|s| is_of(s, *shape))?;
            Some(
                sub.book
                    .leases()
                    .map(|(_, seq, held)| (seq, held))
                    .collect(),
            )
        };
        self.shapes.iter().map(of).collect()
    }

    fn ops(&self) -> Vec<Op> {
        let mut ops = vec![Op::Publish { withheld: None }];
        for (who, leases) in self.leases().into_iter().enumerate() {
            let Some(leases) = leases else {
                ops.push(Op::Join { who });
                continue;
            };
            ops.push(Op::Leave { who });
            let withheld = Some(who);
            ops.push(Op::Publish { withheld });
            let (_, hold) = self.shapes[who];
            let held = leases.iter().filter(|(_, held)| *held).count();
            let may_claim = hold == 0 || held < hold as usize;
            for (seq, held) in leases {
                if held {
                    ops.push(Op::Release { who, seq });
                } else if may_claim {
                    ops.push(Op::Claim { who, seq });
                }
            }
        }
        ops
    }

    /// The state, whatever the frames are numbered: ages within the windows, beyond them only the order.
    fn key(&self) -> Vec<Option<Vec<(u64, bool)>>> {
        let leases = self.leases();
        let head = self.producer.publisher.newest_seq();
        let widest = u64::from(self.shapes.iter().map(|s| s.0).max().unwrap_or(1));
        let all = leases.iter().flatten().flatten().map(|(seq, _)| *seq);
        let old: BTreeSet<u64> = all.filter(|seq| seq + widest <= head).collect();
        let label = |seq: u64| {
            let rank = old.iter().rev().position(|o| *o == seq);
            rank.map_or(head - seq, |rank| widest + rank as u64)
        };
        let labelled = |set: &BTreeSet<(u64, bool)>| {
            let mut labels: Vec<_> = set.iter().map(|(seq, held)| (label(*seq), *held)).collect();
            labels.sort_unstable();
            labels
        };
        leases.iter().map(|l| l.as_ref().map(labelled)).collect()
    }

    fn busy(&self) -> u32 {
        let state = self.producer.publisher.shared.lock();
        state.budget.slots - state.spare()
    }
}

/// Steps by number among what is possible then: sequences differ from repetition to repetition.
fn replay(world: &mut World, path: &[usize]) {
    for guest in &mut world.guests {
        *guest = None;
    }
    while !world.producer.publisher.shared.lock().subs.is_empty() {
        world.producer.turn();
    }
    world.play(Op::Publish { withheld: None });
    for step in path {
        let op = world.ops()[*step];
        world.play(op);
    }
}

/// As the admission has it.
fn formula(shapes: &[Shape]) -> u32 {
    let demand = |&(window, hold): &Shape| Demand { window, hold };
    admission::needed(shapes.iter().map(demand))
}

/// Searches all states; gives how many there are and how many buffers are busy at most.
fn search(shapes: &[Shape]) -> (usize, u32) {
    let needed = formula(shapes);
    let mut world = World::new(shapes, needed + 1);
    replay(&mut world, &[]);
    let mut seen = HashSet::from([world.key()]);
    let mut queue = VecDeque::from([Vec::new()]);
    let mut most = 0;
    while let Some(path) = queue.pop_front() {
        replay(&mut world, &path);
        let here = world.key();
        for step in 0..world.ops().len() {
            if world.key() != here {
                replay(&mut world, &path);
            }
            let op = world.ops()[step];
            world.play(op);
            assert!(
                world.busy() <= needed,
                "{shapes:?}: {op:?} after {path:?}: {:?}",
                world.leases()
            );
            most = most.max(world.busy());
            if seen.insert(world.key()) {
                let mut longer = path.clone();
                longer.push(step);
                queue.push_back(longer);
            }
        }
    }
    (seen.len(), most)
}

#[test]
fn the_formula_is_enough_and_not_one_too_large() {
    let parties: [&[Shape]; 8] = [
        &[(1, 1)],
        &[(2, 1)],
        &[(3, 2)],
        &[(2, 0)],
        &[(1, 1), (2, 0)],
        &[(2, 1), (1, 1)],
        &[(2, 1), (1, 2)],
        &[(1, 1), (1, 0), (2, 1)],
    ];
    for shapes in parties {
        let needed = formula(shapes);
        let (states, most) = search(shapes);
        println!("{shapes:?}: {states} states, {most} buffers");
        assert_eq!(most, needed, "{shapes:?}: the formula asks for too much");
    }
}
