use super::*;

const MS: i64 = 1_000_000;
const SECOND: i64 = 1000 * MS;
/// `CLOCK_MONOTONIC` at the first capture.
const START: i64 = 5000 * SECOND;
/// This machine's `CLOCK_REALTIME` less `CLOCK_MONOTONIC`.
const AHEAD: i64 = 1_700_000_000 * SECOND;
const HERE: Realtime = Realtime {
    ahead_ns: AHEAD,
    error_ns: 3_000_000,
};

/// A camera at 30 fps; each field is a way to be difficult.
struct Camera {
    /// Its wall clock less this machine's, at `n` frames.
    off: fn(i64) -> i64,
    /// Way of the n-th frame.
    way: fn(i64) -> i64,
    /// Nanoseconds that the media clock gains in a second.
    fast: i64,
    /// The frame with which sender reports begin.
    word_from: i64,
    /// What the media clock jumps by at `n` frames.
    jump: fn(i64) -> i64,
    here: Option<Realtime>,
}

impl Default for Camera {
    fn default() -> Self {
        Self {
            off: |_| 0,
            way: |_| 20 * MS,
            fast: 0,
            word_from: 0,
            jump: |_| 0,
            here: None,
        }
    }
}

/// A frame: what it was in truth, and what was made of it.
struct Shot {
    captured: i64,
    arrived: i64,
    seen: Captured,
}

impl Shot {
    /// How much later it is said to be than it was.
    fn late(&self) -> i64 {
        signed(self.seen.ns) - self.captured
    }
}

impl Camera {
    fn shoot(&self, frames: i64) -> Vec<Shot> {
        let mut clock = CameraClock::default();
        (0..frames)
            .map(|n| {
                let since = n * SECOND / 30;
                let captured = START + since;
                let arrived = captured + (self.way)(n);
                let wall = captured + AHEAD + (self.off)(n);
                let origin = Origin {
                    arrival_ns: arrived.cast_unsigned(),
                    media_ns: since + since / SECOND * self.fast + (self.jump)(n),
                    wall: (n >= self.word_from).then_some(Wall {
                        ns: wall.cast_unsigned(),
                        reference: Reference::Ntp,
                    }),
                };
                Shot {
                    captured,
                    arrived,
                    seen: clock.captured(&origin, self.here),
                }
            })
            .collect()
    }
}

/// 0 to 50 ms, evenly, the same in each run.
fn jitter(n: i64) -> i64 {
    let mixed = n.wrapping_mul(0x2545_F491_4F6C_DD1D) ^ 0x5DEE_CE66;
    (mixed.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33).rem_euclid(50 * MS)
}

fn sources(shots: &[Shot]) -> Vec<ClockSource> {
    let mut sources: Vec<_> = shots.iter().map(|s| s.seen.source).collect();
    sources.dedup();
    sources
}

fn steps(shots: &[Shot]) -> Vec<usize> {
    (0..shots.len())
        .filter(|&n| shots[n].seen.stepped)
        .collect()
}

#[test]
fn without_a_word_of_the_camera_it_is_arrival() {
    let camera = Camera {
        way: jitter,
        word_from: i64::MAX,
        here: Some(HERE),
        ..Camera::default()
    };
    for shot in camera.shoot(100) {
        assert_eq!(shot.seen.source, ClockSource::Arrival);
        assert_eq!(
            (signed(shot.seen.ns), shot.seen.error_ns),
            (shot.arrived, 0)
        );
    }
}

#[test]
fn of_two_synchronised_clocks_the_word_is_carried_over_as_it_is() {
    let camera = Camera {
        way: jitter,
        here: Some(HERE),
        ..Camera::default()
    };
    for shot in camera.shoot(300) {
        assert_eq!(shot.seen.source, ClockSource::Ntp);
        assert_eq!((shot.late(), shot.seen.error_ns), (0, HERE.error_ns));
    }
}

/// What it is, this machine's clock, how far the camera's is off, and what becomes of it.
type Case = (&'static str, Option<Realtime>, fn(i64) -> i64, ClockSource);

#[test]
fn which_clock_is_believed() {
    use ClockSource::{Ntp, NtpRelative};
    let cases: [Case; 8] = [
        (
            "this machine's is not synchronised",
            None,
            |_| 0,
            NtpRelative,
        ),
        ("both are right", Some(HERE), |_| 0, Ntp),
        (
            "a little ahead, within the errors",
            Some(HERE),
            |_| 29 * MS,
            Ntp,
        ),
        ("from the future", Some(HERE), |_| 40 * MS, NtpRelative),
        (
            "a slow encoder, or a clock that is behind",
            Some(HERE),
            |_| -1900 * MS,
            Ntp,
        ),
        (
            "too old for a live picture",
            Some(HERE),
            |_| -2100 * MS,
            NtpRelative,
        ),
        ("never set", Some(HERE), |_| -AHEAD, NtpRelative),
        ("an hour ahead", Some(HERE), |_| 3600 * SECOND, NtpRelative),
    ];
    for (name, here, off, source) in cases {
        let camera = Camera {
            off,
            here,
            ..Camera::default()
        };
        let shots = camera.shoot(90);
        assert_eq!(sources(&shots), [source], "{name}");
        for shot in shots {
            assert!(signed(shot.seen.ns) <= shot.arrived, "{name}");
            if source == NtpRelative {
                assert_eq!(shot.late(), 20 * MS, "{name}: all but the way");
            }
        }
    }
}

#[test]
fn jitter_is_taken_out_within_the_bound_that_is_told() {
    let camera = Camera {
        way: |n| 7 * MS + jitter(n),
        off: |_| -3600 * SECOND,
        ..Camera::default()
    };
    let shots = camera.shoot(30 * 600);
    assert_eq!(shots[29].seen.error_ns, 0, "not known yet");
    let mut errors: Vec<_> = shots[60..]
        .iter()
        .map(|shot| {
            let error = shot.late() - 7 * MS;
            assert!(
                error.unsigned_abs() <= shot.seen.error_ns,
                "{error} {:?}",
                shot.seen
            );
            error
        })
        .collect();
    errors.sort_unstable();
    let p99 = errors[errors.len() * 99 / 100];
    assert!((0..2 * MS).contains(&p99), "{p99}");
}

#[test]
fn clocks_of_different_speed_stay_within_the_bound() {
    for fast in [-100_000, 100_000] {
        let camera = Camera {
            fast,
            way: |n| 7 * MS + jitter(n),
            ..Camera::default()
        };
        for shot in &camera.shoot(30 * 120)[60..] {
            let error = shot.late() - 7 * MS;
            assert!(error.abs() <= 6 * MS, "{fast}: {error}");
            assert!(
                error.unsigned_abs() <= shot.seen.error_ns,
                "{fast}: {error} {:?}",
                shot.seen
            );
        }
    }
}

#[test]
fn a_clock_that_is_set_shows_in_one_frame_and_moves_no_relative_time() {
    for off in [
        |n| if n < 300 { 0 } else { 3600 * SECOND },
        |n| if n < 300 { 0 } else { -200 * MS },
        |n| if n < 300 { 0 } else { 25 * MS },
    ] as [fn(i64) -> i64; 3]
    {
        let camera = Camera {
            off,
            way: jitter,
            ..Camera::default()
        };
        let shots = camera.shoot(600);
        assert_eq!(steps(&shots), [300]);
        for shot in &shots[60..] {
            assert!(shot.late().abs() < 5 * MS, "{}", shot.late());
        }
    }
}

#[test]
fn a_clock_that_is_slewed_is_not_set() {
    let camera = Camera {
        // 500 ppm, told by a sender report every five seconds.
        off: |n| n / 150 * 2_500_000,
        ..Camera::default()
    };
    assert!(steps(&camera.shoot(1500)).is_empty());
}

#[test]
fn a_believed_clock_that_is_set_out_of_reason_is_believed_no_longer() {
    let camera = Camera {
        off: |n| if n < 300 { 0 } else { -60 * SECOND },
        here: Some(HERE),
        ..Camera::default()
    };
    let shots = camera.shoot(600);
    assert_eq!(
        sources(&shots),
        [ClockSource::Ntp, ClockSource::NtpRelative]
    );
    assert_eq!(steps(&shots), [300]);
    assert_eq!(shots[300].late(), 20 * MS);
}

#[test]
fn the_way_is_known_before_the_first_word() {
    let camera = Camera {
        way: jitter,
        word_from: 150,
        ..Camera::default()
    };
    let shots = camera.shoot(160);
    assert_eq!(
        sources(&shots),
        [ClockSource::Arrival, ClockSource::NtpRelative]
    );
    assert!(shots[150].late() < 2 * MS, "{}", shots[150].late());
}

#[test]
fn a_backlog_that_comes_at_once_keeps_its_times() {
    let camera = Camera {
        // Nothing for 8 s, then all of it in 5 ms a frame, until it has caught up.
        way: |n| {
            let silent_until = (8 * SECOND + (n - 300) * 5 * MS) - (n - 300) * SECOND / 30;
            if n < 300 {
                20 * MS
            } else {
                silent_until.max(20 * MS)
            }
        },
        ..Camera::default()
    };
    for (n, shot) in camera.shoot(1000).iter().enumerate() {
        assert_eq!(shot.late(), 20 * MS, "{n}");
    }
}

#[test]
fn a_media_clock_that_jumps_begins_anew() {
    for jump in [
        |n| if n < 300 { 0 } else { 40_000 * SECOND },
        |n| if n < 300 { 0 } else { -3 * SECOND },
    ] as [fn(i64) -> i64; 2]
    {
        let camera = Camera {
            jump,
            ..Camera::default()
        };
        let shots = camera.shoot(600);
        assert_eq!(steps(&shots), [300]);
        for shot in shots {
            assert_eq!(shot.late(), 20 * MS);
        }
    }
}

#[test]
fn the_worst_numbers_do_no_harm() {
    let extremes = [0, 1, u64::MAX / 2, u64::MAX];
    let mut clock = CameraClock::default();
    for arrival_ns in extremes {
        for ns in extremes {
            for media_ns in [i64::MIN, -1, 0, i64::MAX] {
                let origin = Origin {
                    arrival_ns,
                    media_ns,
                    wall: Some(Wall {
                        ns,
                        reference: Reference::Ptp,
                    }),
                };
                let captured = clock.captured(&origin, Some(HERE));
                assert!(captured.ns <= arrival_ns, "{origin:?} {captured:?}");
            }
        }
    }
}
